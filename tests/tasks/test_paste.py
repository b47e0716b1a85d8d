"""Pasting: the object stands where it is said to, whatever the size of its picture."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffeditor.errors import OutOfBounds
from diffeditor.geometry import Size
from diffeditor.masks import moved_mask
from diffeditor.plan import Grid
from diffeditor.tasks import Paste
from tests.tiny import picture, quick, random_tensor

SIDE = 64


def paste(height: int, width: int, rows: slice, columns: slice, **changes: Any) -> Paste:
    """A paste into a square of 64 pixels from a reference of another size."""
    mask = np.zeros((height, width), np.bool_)
    mask[rows, columns] = True
    given: dict[str, Any] = {
        "image": picture(SIDE, SIDE),
        "reference": picture(height, width, seed=1),
        "reference_mask": mask,
        "shift": (0, 0),
    }
    return Paste(**{**given, **changes})


def placed(task: Paste) -> np.ndarray:
    """The pixels of the source that the object shall cover."""
    grid = Grid(
        source=task.size,
        working=Size(8 * SIDE, 8 * SIDE),  # a latent cell a pixel
        latent_factor=8,
        device=torch.device("cpu"),
    )
    return task.cells(grid).b_z[0, 0].numpy() > 0


def bounds(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(mask)
    return rows.min(), rows.max() + 1, columns.min(), columns.max() + 1


def test_a_reference_of_the_same_size() -> None:
    task = paste(SIDE, SIDE, slice(8, 24), slice(16, 40), shift=(16, 24))
    assert bounds(placed(task)) == (32, 48, 32, 56)
    assert task.pictures[1] is task.reference


def test_a_smaller_reference_is_laid_at_the_upper_left_corner() -> None:
    task = paste(40, 30, slice(10, 20), slice(5, 25), shift=(30, 24))
    assert bounds(placed(task)) == (34, 44, 35, 55)
    shown, reference = np.asarray(task.pictures[1]), picture(40, 30, seed=1)
    assert shown.shape == (SIDE, SIDE, 3)
    assert np.array_equal(shown[34:44, 35:55], reference[10:20, 5:25])


def test_a_larger_reference_shows_what_is_pasted() -> None:
    task = paste(200, 100, slice(120, 140), slice(70, 90), shift=(-60, -100))
    assert bounds(placed(task)) == (20, 40, 10, 30)
    reference = picture(200, 100, seed=1)
    assert np.array_equal(np.asarray(task.pictures[1])[20:40, 10:30], reference[120:140, 70:90])


@pytest.mark.parametrize("sides", [(SIDE, SIDE), (40, 60), (100, 70)])
def test_resizing_is_about_the_objects_centre(sides: tuple[int, int]) -> None:
    task = paste(*sides, slice(10, 20), slice(20, 40), shift=(5, 15), scale=2.0)
    assert bounds(placed(task)) == (20, 40, 15, 55)  # centre (30, 15) goes to (35, 30)
    halved = paste(*sides, slice(10, 30), slice(20, 40), shift=(0, 0), scale=0.5)
    assert bounds(placed(halved)) == (15, 25, 25, 35)


@given(dx=st.integers(-30, 40), dy=st.integers(-20, 40))
def test_the_size_of_the_reference_does_not_matter(dx: int, dy: int) -> None:
    same = paste(SIDE, SIDE, slice(8, 24), slice(16, 40), shift=(dx, dy))
    other = paste(SIDE + 8, SIDE + 3, slice(8, 24), slice(16, 40), shift=(dx, dy))
    assert np.array_equal(same.region(), other.region())
    expected = moved_mask(np.asarray(same.reference_mask), same.object_map)
    assert np.array_equal(placed(other), expected)


def test_an_object_outside_is_refused_and_a_cut_one_is_said() -> None:
    with pytest.raises(OutOfBounds, match="leaves the picture entirely; give another shift"):
        paste(200, 100, slice(120, 140), slice(70, 90))
    cut = paste(SIDE, SIDE, slice(8, 24), slice(16, 40), shift=(32, 0))
    assert cut.warnings() == ("Part of the object leaves the picture and is cut off there.",)
    assert paste(SIDE, SIDE, slice(8, 24), slice(16, 40), shift=(8, 0)).warnings() == ()


def test_the_references_latents_are_laid_into_the_sources() -> None:
    task = paste(SIDE, SIDE, slice(8, 24), slice(16, 32), shift=(16, 8))
    size = Size(SIDE, SIDE)
    grid = Grid(source=size, working=size, latent_factor=8, device=torch.device("cpu"))
    plan = task.plan(grid, task.strengths, quick())
    z = random_tensor(2, 4, 8, 8)
    expected = z[:1].clone()
    expected[..., 2:4, 4:6] = z[1:, :, 1:3, 2:4]
    assert torch.equal(plan.start(z), expected)
    outside, object_cells = plan.kv.masks
    assert outside is not None and object_cells is not None
    cells = task.cells(grid)
    assert torch.equal(outside, 1 - cells.b) and torch.equal(object_cells, cells.r)
    assert not plan.kv.keep_own
