"""A warp goes where its points say, stays inside its region, and is affine where it can be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffeditor.masks import depth
from diffeditor.warp import misfit, moving_least_squares, pulled

coordinates = st.floats(0, 64).map(lambda value: round(value, 2))
places = st.tuples(coordinates, coordinates)


@pytest.fixture
def picture() -> np.ndarray:
    """A smooth picture of 64 x 64 pixels whose red is x and whose green is y, times 4."""
    y, x = np.mgrid[0:64, 0:64].astype(np.float32)
    return np.stack([4 * x, 4 * y, np.full_like(x, 7)], axis=-1)


def square(low: int, high: int) -> np.ndarray:
    region = np.zeros((64, 64), bool)
    region[low:high, low:high] = True
    return region


@given(st.lists(places, min_size=1, max_size=6), places, places)
def test_equal_shifts_give_that_shift_everywhere(
    starts: list[tuple[float, float]], shift: tuple[float, float], place: tuple[float, float]
) -> None:
    begin = np.array(starts)
    pairs = begin, begin + shift
    origin = moving_least_squares(pairs, np.array([place]), ridge=1.0)
    np.testing.assert_allclose(origin, [np.array(place) - shift], atol=1e-6)


def test_an_affine_map_is_followed_exactly() -> None:
    ends = np.array([(3.0, 4.0), (50.0, 9.0), (20.0, 44.0), (40.0, 40.0)])
    matrix, offset = np.array([(1.2, 0.3), (-0.1, 0.8)]), np.array([4.0, -7.0])
    origins = moving_least_squares((ends @ matrix + offset, ends), ends + 5, ridge=1e-9)
    np.testing.assert_allclose(origins, (ends + 5) @ matrix + offset, atol=1e-5)


def test_two_points_stretch_along_their_line_only() -> None:
    starts, ends = np.array([(20.0, 32.0), (40.0, 32.0)]), np.array([(10.0, 32.0), (50.0, 32.0)])
    origin = moving_least_squares((starts, ends), np.array([(30.0, 10.0), (35.0, 50.0)]), 1e-6)
    np.testing.assert_allclose(origin[:, 1], [10, 50], atol=1e-3)
    np.testing.assert_allclose(origin[:, 0], [30, 32.5], atol=0.2)


def test_what_one_affine_map_explains_has_no_misfit() -> None:
    starts = np.random.default_rng(0).uniform(0, 60, (6, 2))
    ends = starts @ np.array([[1.2, 0.1], [-0.3, 0.8]]) + [4.0, -7.0]
    assert misfit((starts, ends)) == pytest.approx(0, abs=1e-9)
    assert misfit((starts, starts)) == 0
    assert misfit((starts[:1], ends[:1])) == pytest.approx(0, abs=1e-9)


def test_one_point_that_moves_among_others_that_stay_is_a_misfit() -> None:
    corners = np.array([[0.0, 0.0], [60.0, 0.0], [0.0, 60.0], [60.0, 60.0], [30.0, 30.0]])
    ends = corners.copy()
    ends[4] += [0.0, 10.0]
    assert misfit((corners, ends)) == pytest.approx(np.sqrt(0.8))


def test_a_ridge_draws_the_map_towards_a_shift() -> None:
    starts, ends = np.array([(20.0, 32.0), (40.0, 32.0)]), np.array([(10.0, 32.0), (50.0, 32.0)])
    place = np.array([(60.0, 32.0)])
    free, stiff = (moving_least_squares((starts, ends), place, ridge) for ridge in (1e-6, 1e9))
    assert abs(free[0, 0] - 45) < 1 < 4 < stiff[0, 0] - free[0, 0]


def test_the_start_comes_to_the_end(picture: np.ndarray) -> None:
    pairs = np.array([(24.5, 30.5)]), np.array([(36.5, 33.5)])
    result = pulled(picture, depth(square(8, 56)), pairs, band=6)
    np.testing.assert_allclose(result[33, 36], picture[30, 24], atol=0.1)


def test_nothing_changes_outside_the_region(picture: np.ndarray) -> None:
    region = square(8, 56)
    before = picture.copy()
    result = pulled(
        picture, depth(region), (np.array([(24.0, 30.0)]), np.array([(40.0, 40.0)])), band=6
    )
    np.testing.assert_array_equal(result[~region], picture[~region])
    np.testing.assert_array_equal(picture, before)
    assert (result[region] != picture[region]).any()


def test_points_that_stay_keep_the_picture(picture: np.ndarray) -> None:
    stay = np.array([(24.0, 30.0), (40.0, 12.0)])
    np.testing.assert_allclose(
        pulled(picture, depth(square(8, 56)), (stay, stay), 6), picture, atol=1e-3
    )


def test_the_border_of_the_picture_is_not_held(picture: np.ndarray) -> None:
    region = square(0, 40)
    pairs = np.array([(20.0, 20.0)]), np.array([(14.0, 20.0)])
    result = pulled(picture, depth(region), pairs, band=6)
    np.testing.assert_allclose(result[20, 0], picture[20, 6], atol=0.1)


def test_depth_counts_pixels_to_the_outside() -> None:
    assert depth(square(8, 56))[8, 30] == 1
    assert depth(square(0, 56))[30, 0] == 26
    assert np.isinf(depth(np.ones((4, 4), bool))).all()
