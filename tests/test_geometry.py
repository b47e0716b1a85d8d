"""Working sizes, crops, points and the object's map, in landscape, portrait and square."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffeditor.geometry import Box, ObjectMap, Point, Shift, Size, crop_box, working_size

sides = st.integers(16, 4000)
multiples = st.sampled_from([8, 16, 32, 64])
coordinates = st.floats(-500, 500)
points = st.builds(Point, coordinates, coordinates)
shifts = st.builds(Shift, coordinates, coordinates)
sizes = st.builds(Size, st.integers(1, 300), st.integers(1, 300))


@st.composite
def pictures(draw: st.DrawFn) -> Size:
    """A picture whose sides differ by a factor of 4 at most."""
    height = draw(sides)
    return Size(height, draw(st.integers(math.ceil(height / 4), 4 * height)))


@given(source=pictures(), multiple=multiples, cells=st.integers(4, 16))
def test_a_working_size_keeps_area_and_aspect(source: Size, multiple: int, cells: int) -> None:
    side = cells * multiple
    size = working_size(source, side, multiple)
    assert size.height % multiple == 0 and size.width % multiple == 0
    aspect = math.sqrt(source.height / source.width)
    for got, ideal in ((size.height, side * aspect), (size.width, side / aspect)):
        misfit = abs(math.log(got / ideal))
        for other in (got - multiple, got + multiple):
            assert other == 0 or misfit <= abs(math.log(other / ideal)) + 1e-12
    assert 0.5 < size.area / side**2 < 2
    assert 0.6 < (size.height / size.width) / (source.height / source.width) < 1.6


@given(source=pictures())
def test_a_large_enough_grid_keeps_them_closely(source: Size) -> None:
    size = working_size(source, 1024, 16)
    assert size.area == pytest.approx(1024**2, rel=0.07)
    assert size.height / size.width == pytest.approx(source.height / source.width, rel=0.07)


@given(height=sides, width=sides, multiple=multiples)
def test_turning_the_picture_turns_the_working_size(height: int, width: int, multiple: int) -> None:
    size = working_size(Size(height, width), 512, multiple)
    turned = working_size(Size(width, height), 512, multiple)
    assert (size.height, size.width) == (turned.width, turned.height)
    assert min(size.height, size.width) >= multiple


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (Size(512, 512), Size(512, 512)),
        (Size(3000, 3000), Size(512, 512)),
        (Size(1080, 1920), Size(384, 704)),
        (Size(1920, 1080), Size(704, 384)),
        (Size(16, 1600), Size(64, 5120)),
    ],
)
def test_known_working_sizes(source: Size, expected: Size) -> None:
    assert working_size(source, 512, 64) == expected


def test_a_size_needs_sides_and_divides_evenly() -> None:
    with pytest.raises(ValueError, match="positive sides"):
        Size(0, 5)
    assert Size(64, 96).divided(8) == Size(8, 12)
    with pytest.raises(ValueError, match="not a multiple of 8"):
        Size(64, 90).divided(8)


@given(size=sizes, point=points)
def test_a_point_inside_lies_in_its_own_cell(size: Size, point: Point) -> None:
    row, column = point.cell(size)
    assert 0 <= row < size.height and 0 <= column < size.width
    if size.contains(point):
        assert row <= point.y < row + 1 and column <= point.x < column + 1


@given(size=sizes, other=sizes, point=points, shift=shifts)
def test_rescaling_and_back_changes_nothing(
    size: Size, other: Size, point: Point, shift: Shift
) -> None:
    there = point.rescaled(size, other).rescaled(other, size)
    assert (there.x, there.y) == pytest.approx((point.x, point.y))
    back = shift.rescaled(size, other).rescaled(other, size)
    assert (back.dx, back.dy) == pytest.approx((shift.dx, shift.dy))


@given(size=sizes, point=points, other=sizes)
def test_a_point_stays_inside_at_every_size(size: Size, point: Point, other: Size) -> None:
    clear = abs(point.x - size.width) > 1e-6 and abs(point.y - size.height) > 1e-6
    if clear:
        assert other.contains(point.rescaled(size, other)) == size.contains(point)


@pytest.mark.parametrize(
    ("value", "rounded"), [(0.4, 0), (0.5, 1), (-0.5, -1), (2.5, 3), (-2.49, -2), (0.0, 0)]
)
def test_shifts_round_away_from_zero(value: float, rounded: int) -> None:
    assert Shift(value, -value).rounded() == Shift(rounded, -rounded)


@given(centre=points, shift=shifts, scale=st.floats(0.05, 20), p=points, size=sizes, other=sizes)
def test_the_map_is_the_same_on_every_grid(
    centre: Point, shift: Shift, scale: float, p: Point, size: Size, other: Size
) -> None:
    object_map = ObjectMap(centre, shift, scale)
    mapped = object_map.forward(p).rescaled(size, other)
    on_grid = object_map.rescaled(size, other).forward(p.rescaled(size, other))
    room = 1e-6 * (1 + scale) * 1e5
    assert abs(mapped.x - on_grid.x) <= room and abs(mapped.y - on_grid.y) <= room


@given(centre=points, shift=shifts, scale=st.floats(0.05, 20))
def test_the_centre_moves_by_the_shift(centre: Point, shift: Shift, scale: float) -> None:
    moved = ObjectMap(centre, shift, scale).forward(centre)
    assert (moved.x, moved.y) == pytest.approx((centre.x + shift.dx, centre.y + shift.dy))


def test_only_an_unscaled_shift_is_rounded() -> None:
    unscaled = ObjectMap(Point(10, 10), Shift(3.25, -1.25))
    assert unscaled.rounded().shift == Shift(3, -1)
    grown = ObjectMap(Point(10, 10), Shift(3.25, -1.25), 1.5)
    assert grown.rounded() == grown


@st.composite
def scopes(draw: st.DrawFn) -> tuple[Box, Size]:
    """A box inside a picture, of any format."""
    picture = Size(draw(st.integers(16, 6000)), draw(st.integers(16, 6000)))
    top, left = draw(st.integers(0, picture.height - 1)), draw(st.integers(0, picture.width - 1))
    bottom = draw(st.integers(top + 1, picture.height))
    return Box(left, top, draw(st.integers(left + 1, picture.width)), bottom), picture


@given(scopes(), st.sampled_from([64, 128, 512]))
def test_a_crop_shows_its_scope_with_room_round_it(drawn: tuple[Box, Size], side: int) -> None:
    scope, picture = drawn
    crop = crop_box(scope, picture, side)
    if crop is None:
        return
    size = crop.size
    assert Box(0, 0, picture.width, picture.height).holds(crop) and crop.holds(scope)
    assert side**2 <= size.area <= picture.area / 2
    room = (size.height // 8 - 1, size.width // 8 - 1)
    assert scope.top - crop.top >= room[0] or crop.top == 0
    assert crop.bottom - scope.bottom >= room[0] or crop.bottom == picture.height
    assert scope.left - crop.left >= room[1] or crop.left == 0
    assert crop.right - scope.right >= room[1] or crop.right == picture.width
    whole_side = size.height == picture.height or size.width == picture.width
    assert whole_side or max(size.height, size.width) <= 2 * min(size.height, size.width) + 1


def test_only_large_pictures_are_cropped() -> None:
    scope = Box(10, 10, 30, 30)
    assert crop_box(scope, Size(128, 128), 128) is None
    assert crop_box(scope, Size(256, 256), 128) is None
    assert crop_box(scope, Size(256, 257), 128) == Box(0, 0, 128, 128)
    photograph = Size(4000, 6000)
    assert crop_box(Box(10, 10, 1300, 1000), photograph, 512) == Box(0, 0, 2897, 2048)
    assert crop_box(Box(10, 10, 2000, 1500), photograph, 512) is None


def test_a_small_object_in_a_photograph_is_edited_pixel_by_pixel() -> None:
    crop = crop_box(Box(3000, 2000, 3100, 2150), Size(4000, 6000), 512)
    assert crop is not None and crop.size == Size(512, 512)


def test_a_strip_is_cropped_along_its_length() -> None:
    crop = crop_box(Box(3000, 20, 3100, 80), Size(100, 6000), 128)
    assert crop is not None and (crop.top, crop.bottom) == (0, 100)
    assert crop.size.area >= 128**2


@given(st.integers(0, 500), st.integers(0, 500))
def test_nearby_edits_share_a_crop(x: int, y: int) -> None:
    """Over 500 x 500 places of an object there are few crops."""
    crop = crop_box(Box(1000 + x, 800 + y, 1090 + x, 900 + y), Size(4000, 6000), 512)
    assert crop is not None
    assert crop.left % 128 == 0 and crop.top % 128 == 0


def test_boxes_grow_and_shrink_inside_their_picture() -> None:
    picture = Size(100, 200)
    assert Box(5, 10, 190, 50).grown(7.2, picture) == Box(0, 2, 198, 58)
    assert Box(0, 10, 200, 100).inset(7.2, picture) == Box(0, 18, 200, 100)
    assert Box(5, 10, 190, 50).inset(3, picture) == Box(8, 13, 187, 47)
    box = Box(5, 10, 190, 50)
    assert np.zeros((100, 200))[box.slices].shape == (box.size.height, box.size.width) == (40, 185)
