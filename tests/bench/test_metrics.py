"""Metrics against their closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from diffeditor.bench import metrics as m

POINTS = arrays(np.float64, (5, 2), elements=st.floats(-100, 100))


def plain(grey: int, side: int = 24) -> np.ndarray:
    return np.full((side, side, 3), grey, np.uint8)


def noise(seed: int = 0, side: int = 24) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def left_half(side: int = 24) -> np.ndarray:
    mask = np.zeros((side, side), np.bool_)
    mask[:, : side // 2] = True
    return mask


def test_psnr_of_a_constant_offset() -> None:
    assert m.psnr(plain(110), plain(100)) == pytest.approx(20 * math.log10(255 / 10))


def test_psnr_of_equal_pictures_is_the_most() -> None:
    assert m.psnr(noise(), noise()) == m.MOST_PSNR


def test_psnr_and_ssim_see_only_the_mask() -> None:
    picture, truth = noise(), noise()
    picture[:, 20:] = 255 - truth[:, 20:]
    near = left_half() & (np.arange(24) < 10)
    assert m.psnr(picture, truth, near) == m.MOST_PSNR
    assert m.ssim(picture, truth, near) == pytest.approx(1)
    assert m.ssim(picture, truth) < 0.95


def test_ssim_of_plain_pictures_compares_their_lightness() -> None:
    c1 = (0.01 * 255) ** 2
    expected = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
    assert m.ssim(plain(100), plain(150)) == pytest.approx(expected)


def test_ssim_of_the_negative_is_negative() -> None:
    assert m.ssim(255 - noise(), noise()) < 0


def test_changed_share_counts_pixels_and_not_channels() -> None:
    picture = plain(100)
    picture[0, :6] = 101
    picture[0, 0, 1] = 90
    assert m.changed_share(picture, plain(100), np.ones((24, 24), np.bool_)) == pytest.approx(
        100 * 6 / 24**2
    )
    assert m.changed_share(picture, plain(100), np.zeros((24, 24), np.bool_)) == 0


def test_colour_error_is_the_distance_in_lightness_of_greys() -> None:
    white, black = plain(255), plain(0)
    mask = left_half()
    assert m.colour_error(white, black, mask) == pytest.approx(100, abs=0.1)
    white[:, :12] = 0
    assert m.colour_error(white, black, mask) == 0


def test_pattern_error_is_blind_to_where_the_pattern_lies_but_not_to_its_strength() -> None:
    stripes = plain(100, 64)
    stripes[:, ::8] = 200
    mask = np.ones((64, 64), np.bool_)
    moved = np.roll(stripes, 3, axis=1)
    assert m.pattern_error(moved, stripes, mask) < 0.1 * m.pattern_error(
        plain(100, 64), stripes, mask
    )
    denser = plain(100, 64)
    denser[:, ::4] = 200
    assert m.pattern_error(denser, stripes, mask) > 0.5


def test_distances_of_points() -> None:
    points = np.array([[0.0, 0.0], [1.0, 1.0]])
    targets = points + [3, 4]
    assert m.mean_distance(points, targets) == 5
    assert m.mean_square_distance(points, targets) == 25


@given(starts=POINTS, way=POINTS, share=st.floats(-1, 2))
def test_progress_by_the_squared_distance_is_the_share_of_the_way(
    starts: np.ndarray, way: np.ndarray, share: float
) -> None:
    way[0] += 300  # at least one point is to move
    here = starts + share * way
    gone = m.progress(starts, here, starts + way)
    before = m.mean_square_distance(starts, starts + way)
    assert gone / before == pytest.approx(share, abs=1e-6)


def test_a_step_aside_is_no_progress() -> None:
    starts, targets = np.zeros((1, 2)), np.array([[10.0, 0.0]])
    assert m.progress(starts, np.array([[0.0, 10.0]]), targets) == 0
