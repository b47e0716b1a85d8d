"""Masks and latents on grids: what is moved, cropped and never wraps round."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from diffeditor.geometry import ObjectMap, Point, Shift, Size
from diffeditor.masks import (
    CellMap,
    Patches,
    PlaceMap,
    bounding_box,
    box_centre,
    grid_mask,
    moved_mask,
    moved_picture,
    resampled_mask,
)
from tests.tiny import picture, random_tensor

CPU = torch.device("cpu")
FORMATS = [Size(12, 20), Size(20, 12), Size(16, 16)]
grids = st.sampled_from(FORMATS)
moves = st.integers(-25, 25)


def shifted(dx: float, dy: float, grid: Size) -> CellMap:
    return CellMap.of(ObjectMap(Point(0, 0), Shift(dx, dy)), grid, CPU)


def by_slices(x: Tensor, dx: int, dy: int) -> Tensor:
    """x moved by whole cells over a canvas of zeros, cropped to its frame."""
    height, width = x.shape[-2:]
    canvas = torch.zeros(*x.shape[:-2], 3 * height, 3 * width)
    if abs(dx) < width and abs(dy) < height:
        canvas[..., height + dy : 2 * height + dy, width + dx : 2 * width + dx] = x
    return canvas[..., height : 2 * height, width : 2 * width]


@given(grid=grids, dx=moves, dy=moves)
def test_a_shift_is_a_cropped_copy(grid: Size, dx: int, dy: int) -> None:
    x = random_tensor(2, 3, grid.height, grid.width)
    assert torch.equal(shifted(dx, dy, grid)(x), by_slices(x, dx, dy))


@given(grid=grids, dx=moves, dy=moves)
def test_there_and_back_is_the_part_that_stayed_in_the_frame(grid: Size, dx: int, dy: int) -> None:
    x = random_tensor(1, 2, grid.height, grid.width)
    there, back = shifted(dx, dy, grid), shifted(-dx, -dy, grid)
    stayed = back(there(torch.ones_like(x)))
    assert torch.equal(back(there(x)), x * stayed)
    kept = max(grid.height - abs(dy), 0) * max(grid.width - abs(dx), 0)
    assert stayed[0, 0].sum() == kept


@given(
    grid=grids,
    dx=st.floats(-30, 30),
    dy=st.floats(-30, 30),
    scale=st.floats(0.1, 5),
    seed=st.integers(0, 99),
)
def test_nothing_wraps_round(grid: Size, dx: float, dy: float, scale: float, seed: int) -> None:
    mask = np.random.default_rng(seed).random((grid.height, grid.width)) > 0.8
    object_map = ObjectMap(Point(grid.width / 2, grid.height / 2), Shift(dx, dy), scale)
    moved = moved_mask(mask, object_map)
    assert moved.shape == mask.shape
    for row, column in zip(*np.nonzero(moved), strict=True):
        centre = object_map.centre
        x = centre.x + (column + 0.5 - centre.x - dx) / scale + 1e-6
        y = centre.y + (row + 0.5 - centre.y - dy) / scale + 1e-6
        assert mask[int(np.floor(y)), int(np.floor(x))] and x >= 0 and y >= 0


@given(scale=st.floats(0.3, 2.5), height=st.integers(20, 40), width=st.integers(20, 40))
def test_the_area_grows_with_the_square_of_the_scale(scale: float, height: int, width: int) -> None:
    mask = np.zeros((140, 120), np.bool_)
    mask[50 : 50 + height, 40 : 40 + width] = True
    moved = moved_mask(mask, ObjectMap(box_centre(mask), Shift(0, 0), scale))
    rows, columns = np.nonzero(moved)
    for places, side in ((rows, height), (columns, width)):
        assert abs(places.max() - places.min() + 1 - scale * side) <= 1
    assert moved.sum() == pytest.approx(scale**2 * mask.sum(), rel=0.25)
    centre = box_centre(moved)
    assert abs(centre.x - box_centre(mask).x) <= 1 and abs(centre.y - box_centre(mask).y) <= 1


@given(scale=st.integers(2, 4), grid=grids)
def test_whole_scales_repeat_cells(scale: int, grid: Size) -> None:
    x = random_tensor(1, 1, grid.height, grid.width)
    grown = CellMap.of(ObjectMap(Point(0, 0), Shift(0, 0), scale), grid, CPU)(x)
    repeated = x.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    assert torch.equal(grown, repeated[..., : grid.height, : grid.width])


@given(
    grid=grids,
    source=st.sampled_from([Size(96, 160), Size(150, 90), Size(99, 101)]),
    seed=st.integers(0, 99),
)
def test_a_cell_is_inside_where_most_of_it_is(grid: Size, source: Size, seed: int) -> None:
    rows = np.arange(source.height) * grid.height // source.height
    columns = np.arange(source.width) * grid.width // source.width
    cells = np.random.default_rng(seed).random((grid.height, grid.width)) > 0.5
    mask = cells[rows][:, columns]
    got = grid_mask(mask, grid, CPU)
    assert got.shape == (1, 1, grid.height, grid.width) and got.dtype is torch.float32
    assert np.array_equal(got[0, 0].numpy() > 0, cells)


@given(dx=st.integers(-9, 9), dy=st.integers(-9, 9), grid=grids)
def test_whole_shifts_need_nothing_between_cells(dx: int, dy: int, grid: Size) -> None:
    x, object_map = (
        random_tensor(2, 3, grid.height, grid.width),
        ObjectMap(Point(0, 0), Shift(dx, dy)),
    )
    exact, whole = (kind.of(object_map, grid, CPU)(x) for kind in (PlaceMap, CellMap))
    assert torch.allclose(exact, whole, atol=1e-3)


@given(dx=st.floats(-4, 4), dy=st.floats(-4, 4), scale=st.floats(0.5, 2))
def test_a_map_between_cells_keeps_the_fraction(dx: float, dy: float, scale: float) -> None:
    """A ramp that tells its own place is found where the object's map puts it."""
    grid = Size(24, 32)
    rows, columns = (torch.arange(n) + 0.5 for n in (24, 32))
    ramp = torch.stack([columns.expand(24, 32), rows[:, None].expand(24, 32)])[None]
    object_map = ObjectMap(Point(16, 12), Shift(dx, dy), scale)
    moved = PlaceMap.of(object_map, grid, CPU)(ramp)
    shown = Point(*moved[0, :, 12, 16].tolist())
    assert object_map.forward(shown).x == pytest.approx(16.5, abs=1e-3)
    assert object_map.forward(shown).y == pytest.approx(12.5, abs=1e-3)


@given(dx=st.floats(-9, 9), scale=st.floats(0.5, 2), left=st.integers(30, 40))
def test_a_resized_mask_is_not_pushed_aside(dx: float, scale: float, left: int) -> None:
    """At any size and shift its middle is off by half a cell at most."""
    mask = np.zeros((8, 100), np.bool_)
    mask[:, left : left + 20] = True
    object_map = ObjectMap(Point(left + 10, 4), Shift(dx, 0), scale)
    columns = np.flatnonzero(moved_mask(mask, object_map)[4])
    assert columns.mean() + 0.5 == pytest.approx(left + 10 + dx, abs=0.51)


def test_a_small_mask_keeps_a_cell() -> None:
    mask = np.zeros((64, 64), np.bool_)
    mask[33, 17] = True
    assert grid_mask(mask, Size(4, 4), CPU).nonzero().tolist() == [[0, 0, 2, 1]]


def test_the_centre_is_that_of_the_bounding_box() -> None:
    mask = np.zeros((20, 30), np.bool_)
    mask[4:8, 10:20] = mask[15, 12] = True
    assert box_centre(mask) == Point(15.0, 10.0)


def patches(pairs: list[tuple[Point, Point]], grid: Size) -> Patches:
    starts, ends = (list(side) for side in zip(*pairs, strict=True))
    return Patches.of(starts, ends, grid, CPU)


def test_a_patch_is_three_by_three_cells() -> None:
    grid = Size(8, 10)
    got = patches([(Point(2.5, 3.9), Point(7.0, 5.0))], grid)
    assert sorted(got.start[0].tolist()) == [r * 10 + c for r in (2, 3, 4) for c in (1, 2, 3)]
    assert sorted(got.end[0].tolist()) == [r * 10 + c for r in (4, 5, 6) for c in (6, 7, 8)]
    assert got.valid.sum() == got.left.sum() == 9


def test_cells_outside_the_frame_do_not_count() -> None:
    got = patches([(Point(0, 0), Point(5, 5))], Size(8, 10))
    assert got.valid.sum() == 4 and got.left.sum() == 4
    assert int(got.start.min()) == 0


def test_start_cells_that_are_end_cells_are_not_left() -> None:
    got = patches([(Point(3, 3), Point(4, 3))], Size(8, 10))
    assert got.left[0].nonzero().flatten().tolist() == [0, 3, 6]


@given(
    grid=grids,
    cells=st.lists(st.tuples(*[st.floats(0, 11.99)] * 4), min_size=1, max_size=5),
)
def test_patches_are_copied_from_the_untouched_latents(
    grid: Size, cells: list[tuple[float, float, float, float]]
) -> None:
    x = random_tensor(1, 2, grid.height, grid.width)
    before = x.clone()
    pairs = [(Point(a, b), Point(c, d)) for a, b, c, d in cells]
    got = patches(pairs, grid).copied(x)
    assert torch.equal(x, before)
    expected = before.clone()
    for start, end in pairs:
        (r0, c0), (r1, c1) = start.cell(grid), end.cell(grid)
        for dr, dc in ((dr, dc) for dr in (-1, 0, 1) for dc in (-1, 0, 1)):
            places = ((r0 + dr, c0 + dc), (r1 + dr, c1 + dc))
            if all(0 <= r < grid.height and 0 <= c < grid.width for r, c in places):
                expected[:, :, *places[1]] = before[:, :, *places[0]]
    assert torch.equal(got, expected)


@given(start=st.tuples(*[st.floats(4, 7)] * 2), end=st.tuples(*[st.floats(4, 7)] * 2))
def test_a_patch_keeps_the_fraction_of_its_way(
    start: tuple[float, float], end: tuple[float, float]
) -> None:
    """End cells show the start's surroundings exactly as far off as they are from the end."""
    places = torch.arange(12) + 0.5
    ramp = torch.stack([places.expand(12, 12), places[:, None].expand(12, 12)])[None]
    got = patches([(Point(*start), Point(*end))], Size(12, 12))
    shown, there = got.starts(ramp)[:, 0], ramp.flatten(2)[0][:, got.end[0]]
    way = torch.tensor(end) - torch.tensor(start)
    assert torch.allclose(there - shown, way[:, None].expand(2, 9), atol=1e-4)


@pytest.mark.parametrize("grid", FORMATS)
def test_pixels_and_cells_address_the_same_place(grid: Size) -> None:
    source = Size(4 * grid.height, 4 * grid.width)
    pair = (Point(13, 22), Point(29, 41))
    got = Patches.between([pair], source, grid, CPU)
    assert int(got.start[0, 4]) == (22 // 4) * grid.width + 13 // 4
    assert int(got.end[0, 4]) == (41 // 4) * grid.width + 29 // 4


def test_maps_modify_nothing() -> None:
    x, mask = random_tensor(1, 2, 16, 16), np.eye(16, dtype=np.bool_)
    kept, copy = x.clone(), mask.copy()
    shifted(3, -2, Size(16, 16))(x)
    moved_mask(mask, ObjectMap(Point(8, 8), Shift(1, 1), 2.0))
    grid_mask(mask, Size(4, 4), CPU)
    assert torch.equal(x, kept) and np.array_equal(mask, copy)


@given(dx=st.integers(-30, 30), dy=st.integers(-30, 30))
def test_a_picture_moved_by_whole_pixels_is_a_copy(dx: int, dy: int) -> None:
    pixels, size = picture(20, 30), Size(24, 26)
    moved = moved_picture(pixels, ObjectMap(Point(0, 0), Shift(dx, dy)), size)
    rows, columns = np.arange(24) - dy, np.arange(26) - dx
    assert np.array_equal(moved, pixels[np.ix_(rows.clip(0, 19), columns.clip(0, 29))])


@pytest.mark.parametrize("scale", [0.2, 0.5, 1.5, 3.0])
def test_a_resized_picture_keeps_its_places_and_levels(scale: float) -> None:
    """A ramp stays the same ramp in the new coordinates, clear of its ends."""
    ramp = np.broadcast_to(np.arange(0, 200, dtype=np.uint8)[None, :, None], (60, 200, 3))
    object_map = ObjectMap(Point(100, 30), Shift(3.25, -2), scale)
    moved = moved_picture(ramp, object_map, Size(60, 200))
    x = (np.arange(200) + 0.5 - 103.25) / scale + 100 - 0.5
    inside = (x > 8) & (x < 190)
    assert np.abs(moved[30, inside, 0] - x[inside]).max() <= 1


def test_a_fine_pattern_is_averaged_when_it_shrinks() -> None:
    board = (np.indices((200, 200)).sum(0) % 2 * 255).astype(np.uint8)
    small = moved_picture(
        np.dstack([board] * 3), ObjectMap(Point(0, 0), Shift(0, 0), 0.125), Size(20, 20)
    )
    assert np.abs(small.astype(int) - 128).max() <= 2


@given(scale=st.floats(0.3, 3), dx=st.integers(-10, 10))
def test_a_resampled_mask_lies_where_its_picture_does(scale: float, dx: int) -> None:
    mask = np.zeros((60, 60), np.bool_)
    mask[20:40, 15:45] = True
    object_map = ObjectMap(Point(30, 30), Shift(dx, 0), scale)
    moved = resampled_mask(mask, object_map, Size(90, 80))
    assert moved.shape == (90, 80)
    assert abs(int(moved[:60, :60].sum()) - int(moved_mask(mask, object_map).sum())) <= 200 * scale


def test_a_bounding_box_holds_exactly_the_mask() -> None:
    mask = np.zeros((9, 12), np.bool_)
    mask[2, 5] = mask[6, 3] = True
    assert bounding_box(mask) == (3, 2, 6, 7)
    assert box_centre(mask) == Point(4.5, 4.5)
