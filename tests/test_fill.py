"""A picture without an object: smooth where it was, and exact beyond the band."""

import numpy as np
import pytest

from diffeditor.fill import cleared, filled

SIDE = 48
HOLE = np.zeros((SIDE, SIDE), np.bool_)
HOLE[16:32, 20:36] = True


def ramp() -> np.ndarray:
    """Colours that grow from left to right."""
    row = np.linspace(40, 200, SIDE, dtype=np.float32)
    return np.broadcast_to(row[None, :, None], (SIDE, SIDE, 3)).copy()


def test_what_was_there_does_not_show() -> None:
    hidden = ramp()
    hidden[HOLE] = (255, 0, 128)
    one, hole = cleared(ramp(), HOLE, 3)
    other, _ = cleared(hidden, HOLE, 3)
    assert np.abs(one - other).max() < 1
    assert np.abs(one - ramp())[hole].mean() < 12


def test_only_the_band_round_it_changes() -> None:
    picture = np.random.default_rng(0).uniform(0, 255, (SIDE, SIDE, 3)).astype(np.float32)
    result, hole = cleared(picture, HOLE, 3)
    assert hole[HOLE].all() and hole[14, 28] and not hole[11, 28]
    assert np.array_equal(result[~hole], picture[~hole])
    assert (result != picture)[HOLE].any(-1).all()


@pytest.mark.parametrize("everything", [np.ones((SIDE, SIDE), np.bool_)])
def test_a_hole_of_all_the_picture_is_filled_with_colours_of_it(everything: np.ndarray) -> None:
    result = filled(ramp(), everything)
    assert np.isfinite(result).all() and 40 <= result.min() and result.max() <= 200
