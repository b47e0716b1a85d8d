"""Dragging: points, the mask they start in, and the latents that go with them."""

from typing import Any

import numpy as np
import pytest
import torch

from diffeditor.errors import InvalidEdit, OutOfBounds
from diffeditor.geometry import Point, Size
from diffeditor.plan import Grid
from diffeditor.tasks import Drag
from tests.tiny import picture, quick, random_tensor

SIDE = 64
MASK = np.zeros((SIDE, SIDE), np.bool_)
MASK[8:48, 8:56] = True


def drag(*points: Any, mask: np.ndarray = MASK) -> Drag:
    return Drag(image=picture(SIDE, SIDE), mask=mask, points=points)


def grid_of(task: Drag) -> Grid:
    size = Size(SIDE, SIDE)
    return Grid(source=task.size, working=size, latent_factor=8, device=torch.device("cpu"))


def test_points_become_plain_numbers() -> None:
    task = drag((np.array([20, 20]), [30.0, 25]))
    assert task.points == (((20.0, 20.0), (30.0, 25.0)),)
    assert task.targets() == ((Point(20, 20), Point(30, 25)),)


def test_every_start_lies_in_the_mask() -> None:
    with pytest.raises(OutOfBounds, match="Point 2 starts outside the mask; brush over"):
        drag(((20, 20), (30, 25)), ((60, 60), (30, 25)))


def test_an_end_outside_the_mask_is_said() -> None:
    assert drag(((20, 20), (30, 25))).warnings() == ()
    (warning,) = drag(((20, 20), (30, 25)), ((20, 20), (60, 60))).warnings()
    assert warning == "Point 2 ends outside the mask, where nothing may change."


def test_latents_are_copied_from_start_to_end() -> None:
    task = drag(((20, 20), (44, 36)))
    plan = task.plan(grid_of(task), task.strengths, quick())
    z = random_tensor(1, 4, 8, 8)
    expected = z.clone()
    expected[..., 3:6, 4:7] = z[..., 1:4, 1:4]
    assert torch.equal(plan.start(z), expected)


def test_what_may_change_is_the_mask() -> None:
    task = drag(((20, 20), (44, 36)))
    plan = task.plan(grid_of(task), task.strengths, quick())
    assert np.array_equal(task.region(), MASK)
    assert plan.m_edit.sum() == plan.m_sde.sum() == 5 * 6
    assert plan.kv.keep_own and plan.kv.masks == (None,)


@pytest.mark.parametrize("points", [(), (((20, 20), (20, 20)),), (((20, 20), (64, 20)),)])
def test_points_are_checked(points: Any) -> None:
    with pytest.raises(InvalidEdit):
        drag(*points)


def test_a_point_on_the_last_pixel_is_inside() -> None:
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[32:, 32:] = True
    task = drag(((63, 63), (40, 40)), mask=mask)
    plan = task.plan(grid_of(task), task.strengths, quick())
    assert bool(plan.start(random_tensor(1, 4, 8, 8)).isfinite().all())
