import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from diffeditor.composite import composite, feathered
from diffeditor.geometry import Box, Size
from diffeditor.images import resize_image

shapes = st.tuples(st.integers(1, 20), st.integers(1, 20))
regions = arrays(np.bool_, shapes)
feathers = st.floats(0, 12)


def picture(seed: int, height: int, width: int) -> Image.Image:
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(levels)


def distance_to(region: np.ndarray) -> np.ndarray:
    """Pixels from each pixel centre to the nearest centre in the region, by brute force."""
    rows, columns = np.indices(region.shape)
    inside = np.argwhere(region)
    if not len(inside):
        return np.full(region.shape, np.inf)
    return np.hypot(rows[..., None] - inside[:, 0], columns[..., None] - inside[:, 1]).min(axis=2)


@given(regions, feathers, st.integers(0, 3))
def test_the_source_is_kept_bit_for_bit_beyond_the_feather(region, feather, seed):
    source, edited = picture(seed, *region.shape), picture(seed + 100, *region.shape)
    result = np.asarray(composite(source, edited, region, feather))
    beyond = distance_to(region) >= max(feather, 0.5) + 0.5 + 1e-4
    assert np.array_equal(result[beyond], np.asarray(source)[beyond])
    assert np.array_equal(result[region], np.asarray(edited)[region])


@given(regions, feathers, st.integers(0, 3))
def test_the_blend_is_rounded_once(region, feather, seed):
    source, edited = picture(seed, *region.shape), picture(seed + 100, *region.shape)
    result = np.asarray(composite(source, edited, region, feather))
    alpha = feathered(region, feather)[:, :, None].astype(np.float64)
    exact = (1 - alpha) * np.asarray(source) + alpha * np.asarray(edited)
    assert np.abs(result - exact).max() <= 0.5 + 1e-3


@given(regions, feathers)
def test_the_opacity_is_one_inside_and_falls_with_the_distance(region, feather):
    alpha = feathered(region, feather)
    assert alpha.shape == region.shape
    assert alpha.dtype == np.float32
    assert (alpha[region] == 1).all()
    assert (alpha[~region] < 1).all()
    by_distance = alpha.flatten()[np.argsort(distance_to(region), axis=None)]
    assert (np.diff(by_distance) <= 1e-6).all()


def test_the_opacity_crosses_one_half_in_the_middle_of_the_band():
    region = np.zeros((1, 30), bool)
    region[0, :10] = True
    alpha = feathered(region, 9.0)[0]
    assert alpha[14] == pytest.approx(0.5)  # centre at 4.5 pixels from the border
    assert alpha[10] == pytest.approx(1.0, abs=0.01)
    assert 0 < alpha[18] < 0.02
    assert (alpha[19:] == 0).all()


@given(regions)
def test_no_feather_is_a_hard_edge(region):
    assert np.array_equal(feathered(region, 0.0), region.astype(np.float32))


def test_an_edit_of_another_size_is_stretched():
    source, edited = picture(0, 40, 60), picture(1, 16, 32)
    result = composite(source, edited, np.ones((40, 60), bool), 3.0)
    assert result.size == source.size
    assert np.array_equal(np.asarray(result), np.asarray(resize_image(edited, Size(40, 60))))


def test_an_empty_region_changes_nothing_and_the_inputs_stay():
    source, edited = picture(0, 20, 20), picture(1, 20, 20)
    region = np.zeros((20, 20), bool)
    assert composite(source, edited, region, 5.0).tobytes() == source.tobytes()
    region[5:15, 5:15] = True
    assert composite(source, edited, region, 5.0).tobytes() != source.tobytes()
    assert source.tobytes() == picture(0, 20, 20).tobytes()
    assert edited.tobytes() == picture(1, 20, 20).tobytes()


@given(feathers, st.integers(0, 3))
def test_an_edit_of_a_part_ends_inside_it_without_a_seam(feather, seed):
    """The region reaches over the part; at the part's inner borders the edit has faded out."""
    source, edited = picture(seed, 60, 80), picture(seed + 100, 40, 50)
    box = Box(30, 0, 80, 40)
    result = np.asarray(composite(source, edited, np.ones((60, 80), np.bool_), feather, box))
    before, after = np.asarray(source), np.asarray(edited)
    changed = (result != before).any(2)
    assert not changed[:, :30].any() and not changed[40:].any()
    margin = math.ceil(feather)
    inner = slice(0, 40 - margin), slice(30 + margin, 80)
    assert np.array_equal(result[inner], after[: 40 - margin, margin:])
