"""Moving: where the object goes on every grid, what is vacated, kept and filled."""

from typing import Any

import numpy as np
import pytest
import torch

from diffeditor.config import Preset
from diffeditor.errors import InvalidEdit, OutOfBounds
from diffeditor.geometry import Point, Size
from diffeditor.plan import Grid
from diffeditor.tasks import Move
from diffeditor.tasks.move import MoveCells
from tests.tiny import picture, quick, random_tensor

SIDE = 64


def move(rows: slice, columns: slice, **changes: Any) -> Move:
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[rows, columns] = True
    given: dict[str, Any] = {"image": picture(SIDE, SIDE), "mask": mask, "shift": (16, 8)}
    return Move(**{**given, **changes})


AS_RELEASED = quick(clear_vacated=False)


def cells_of(task: Move, preset: Preset = AS_RELEASED) -> MoveCells:
    return task.cells(grid_of(task), preset)


def grid_of(task: Move, working: int = SIDE) -> Grid:
    size = Size(working, working)
    return Grid(source=task.size, working=size, latent_factor=8, device=torch.device("cpu"))


def where(mask: torch.Tensor) -> tuple[int, int, int, int]:
    """Rows and columns of a mask's bounding box."""
    rows, columns = mask[0, 0].nonzero(as_tuple=True)
    return int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1


def test_source_and_destination_on_both_grids() -> None:
    cells = cells_of(move(slice(8, 24), slice(16, 32)))
    assert where(cells.left) == (2, 6, 4, 8) and where(cells.dst) == (4, 8, 8, 12)
    assert where(cells.left_z) == (1, 3, 2, 4) and where(cells.dst_z) == (2, 4, 4, 6)


def test_the_frame_is_divided_into_its_parts() -> None:
    cells = cells_of(move(slice(8, 32), slice(16, 40)))
    parts = cells.keep + cells.dst + cells.vacated
    assert torch.equal(parts, torch.ones_like(parts))
    assert bool((cells.vacated <= cells.left).all()) and cells.vacated.sum() > 0
    assert torch.equal(cells.fill, cells.keep)


def test_what_is_left_reaches_to_the_shadow_where_it_starts_anew() -> None:
    task = move(slice(16, 40), slice(16, 40), shift=(20, 0), scale=0.5)
    released, ours = cells_of(task), cells_of(task, quick())
    assert where(released.left) == (4, 10, 4, 10) and where(ours.left) == (3, 11, 3, 11)
    assert torch.equal(ours.dst, released.dst)
    assert torch.equal(ours.keep, (1 - ours.left) * (1 - ours.dst))
    plan = task.plan(grid_of(task), task.strengths, quick())
    assert plan.kv.hidden is not None and plan.m_anew is not None
    assert torch.equal(plan.kv.hidden.cells, ours.left)
    assert where(plan.m_anew) == where(ours.left_z * (1 - ours.dst_z))


def test_a_fill_mask_is_where_the_vacated_place_is_filled_from() -> None:
    fill = np.zeros((SIDE, SIDE), np.bool_)
    fill[48:, :16] = True
    cells = cells_of(move(slice(8, 24), slice(16, 32), fill_mask=fill))
    assert where(cells.fill) == (12, 16, 0, 4)


def test_latents_are_moved_over_the_untouched_rest() -> None:
    task = move(slice(8, 24), slice(16, 32))
    plan = task.plan(grid_of(task), task.strengths, quick())
    z = random_tensor(1, 4, 8, 8)
    start = plan.start(z)
    expected = z.clone()
    expected[..., 2:4, 4:6] = z[..., 1:3, 2:4]
    assert torch.equal(start, expected)
    assert torch.equal(plan.m_edit > 0, (start != z).any(1, keepdim=True))


def test_what_leaves_the_frame_is_cut_and_said() -> None:
    task = move(slice(8, 24), slice(40, 56), shift=(16, 0))
    assert where(cells_of(task).dst) == (2, 6, 14, 16)
    assert task.warnings() == ("Part of the object leaves the picture and is cut off there.",)
    assert move(slice(8, 24), slice(16, 32)).warnings() == ()


def test_a_sliver_that_no_cell_holds_is_refused() -> None:
    task = move(slice(8, 24), slice(40, 56), shift=(23, 0))
    with pytest.raises(OutOfBounds, match="Too little of the object stays"):
        cells_of(task)


def test_an_object_that_is_shrunk_away_needs_a_larger_scale() -> None:
    with pytest.raises(OutOfBounds, match="becomes too small to be seen; give a larger scale"):
        move(slice(8, 16), slice(16, 24), shift=(1, 0), scale=0.06)
    with pytest.raises(OutOfBounds, match="becomes too small"):
        cells_of(move(slice(9, 17), slice(17, 25), shift=(1, 0), scale=0.15))


def test_resizing_is_about_the_objects_own_centre() -> None:
    task = move(slice(8, 24), slice(40, 56), shift=(0, 0), scale=2.0)
    assert where(cells_of(task).dst) == (0, 8, 8, 16)
    assert task.targets() == ((Point(48, 16), Point(48, 16)),)
    moved = move(slice(8, 24), slice(40, 56), shift=(-16, 8), scale=0.5)
    assert where(cells_of(moved).dst) == (5, 7, 7, 9)
    assert moved.targets() == ((Point(48, 16), Point(32, 24)),)


def test_nothing_to_do_is_refused() -> None:
    with pytest.raises(InvalidEdit, match="stays where it is; give a shift or another scale"):
        move(slice(8, 24), slice(16, 32), shift=(0, 0))


def test_the_region_holds_object_destination_and_surroundings() -> None:
    task = move(slice(8, 24), slice(16, 32))
    region = task.region()
    assert region[8:24, 16:32].all() and region[16:32, 32:48].all()
    assert region[7, 20] and not region[4, 20] and not region[50:].any()


def test_cells_follow_the_working_size() -> None:
    task = move(slice(8, 24), slice(16, 32))
    cells = task.cells(grid_of(task, working=128), AS_RELEASED)
    assert where(cells.dst) == (8, 16, 16, 24)
