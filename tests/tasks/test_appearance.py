"""Appearance: two objects on their own grids, and keys and values of both pictures."""

import numpy as np
import torch
from PIL import Image

from diffeditor.geometry import Size
from diffeditor.plan import Grid
from diffeditor.tasks import Appearance
from tests.tiny import box, picture, quick, random_tensor

SIDE = 64


def appearance(height: int = SIDE, width: int = SIDE) -> Appearance:
    return Appearance(
        image=picture(SIDE, SIDE),
        mask=box(SIDE, SIDE, 0.125, 0.25, 0.25),
        reference=picture(height, width, seed=1),
        reference_mask=box(height, width, 0.5, 0.25, 0.25),
    )


def grid_of(task: Appearance) -> Grid:
    size = Size(SIDE, SIDE)
    return Grid(source=task.size, working=size, latent_factor=8, device=torch.device("cpu"))


def test_both_objects_are_found_on_the_feature_grid() -> None:
    b, r = appearance().cells(grid_of(appearance()))
    assert b.nonzero()[:, 2:].amin(0).tolist() == [2, 4] and b.sum() == 16
    assert r.nonzero()[:, 2:].amin(0).tolist() == [8, 4] and r.sum() == 16


def test_nothing_is_moved() -> None:
    task = appearance()
    plan = task.plan(grid_of(task), task.strengths, quick())
    z = random_tensor(2, 4, 8, 8)
    assert torch.equal(plan.start(z), z[:1])
    b, r = task.cells(grid_of(task))
    outside, object_cells = plan.kv.masks
    assert outside is not None and torch.equal(outside, 1 - b)
    assert object_cells is not None and torch.equal(object_cells, r)
    assert np.array_equal(task.region(), np.asarray(task.mask))


def test_a_reference_of_another_format_is_extended_not_stretched() -> None:
    task = appearance(64, 128)
    shown = task.pictures[1]
    assert shown.size == (SIDE, SIDE)
    _, r = task.cells(grid_of(task))
    cells = r.nonzero()[:, 2:]
    assert (cells.amax(0) - cells.amin(0) + 1).tolist() == [2, 4]  # 16 x 32 pixels at half size
    middle = np.asarray(shown)[16:48]
    direct = Image.fromarray(picture(64, 128, seed=1)).reduce(2)
    assert np.abs(middle.astype(int) - np.asarray(direct)).max() <= 1
