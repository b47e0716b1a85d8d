"""Working sizes, points and the object's map, in landscape, portrait and square."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffeditor.geometry import ObjectMap, Point, Shift, Size, working_size

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
    room = 0.5 + 1e-6 if scale == 1.0 else 1e-6 * (1 + scale) * 1e5
    assert abs(mapped.x - on_grid.x) <= room and abs(mapped.y - on_grid.y) <= room


@given(centre=points, shift=shifts, scale=st.floats(0.05, 20))
def test_the_centre_moves_by_the_shift(centre: Point, shift: Shift, scale: float) -> None:
    moved = ObjectMap(centre, shift, scale).forward(centre)
    assert (moved.x, moved.y) == pytest.approx((centre.x + shift.dx, centre.y + shift.dy))


def test_an_unscaled_shift_is_whole_on_the_grid() -> None:
    object_map = ObjectMap(Point(10, 10), Shift(13, -5))
    assert object_map.rescaled(Size(80, 80), Size(20, 20)).shift == Shift(3, -1)
    grown = ObjectMap(Point(10, 10), Shift(13, -5), 1.5)
    assert grown.rescaled(Size(80, 80), Size(20, 20)).shift == Shift(3.25, -1.25)
