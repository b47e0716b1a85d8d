"""Boxes and clicks find the objects of rendered scenes; any input gives a mask or a clear error."""

from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffeditor.errors import EmptyMask, InvalidEdit
from diffeditor.masks import bounding_box
from diffeditor.segment import GrabCut, load_segmenter
from diffeditor.worlds import random_scene, render

SIDE, SCENES = 96, 8
LEAST = 60
"""Pixels of an object that is worth pointing at."""

Example = tuple[np.ndarray, np.ndarray]
"""A picture and the true mask of one of its objects."""


@cache
def examples() -> list[Example]:
    pictures = [render(random_scene(seed), SIDE) for seed in range(SCENES)]
    return [(one.image, mask) for one in pictures for mask in one.masks if mask.sum() > LEAST]


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union."""
    return float((mask & truth).sum() / (mask | truth).sum())


def middle(mask: np.ndarray) -> tuple[float, float]:
    """The pixel of the mask that lies deepest inside."""
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    return float(column), float(row)


def disc(centre: tuple[float, float], area: float) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.hypot(x - centre[0], y - centre[1]) <= np.sqrt(area / np.pi)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_default_needs_no_weights() -> None:
    assert isinstance(load_segmenter(), GrabCut)


def test_a_box_finds_the_object() -> None:
    found = [
        overlap(GrabCut().segment(image, box=bounding_box(truth)), truth)
        for image, truth in examples()
    ]
    assert np.median(found) >= 0.9
    assert min(found) >= 0.6


def test_a_click_does_better_than_any_disc() -> None:
    clicks = [middle(truth) for _, truth in examples()]
    found = [
        overlap(GrabCut().segment(image, positive=[click]), truth)
        for (image, truth), click in zip(examples(), clicks, strict=True)
    ]
    mean_area = float(np.mean([truth.sum() for _, truth in examples()]))
    for factor in (0.5, 1.0, 1.5):
        discs = [
            overlap(disc(click, factor * mean_area), truth)
            for (_, truth), click in zip(examples(), clicks, strict=True)
        ]
        assert np.median(found) > np.median(discs) + 0.05


def two_squares() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A red square on grey, and beside it an orange one that touches; the masks of both."""
    image = np.full((64, 64, 3), 110, np.uint8)
    left, right = np.zeros((64, 64), bool), np.zeros((64, 64), bool)
    left[22:42, 14:32], right[22:42, 32:50] = True, True
    image[left], image[right] = (210, 30, 30), (230, 120, 20)
    return image, left, right


def test_a_negative_click_takes_a_part_away() -> None:
    image, left, right = two_squares()
    both = left | right
    inside = GrabCut().segment(image, box=bounding_box(both))
    assert overlap(inside, both) > 0.95
    less = GrabCut().segment(image, box=bounding_box(both), negative=[(40, 32), (45, 26)])
    assert overlap(less, left) > 0.9


def test_a_second_click_adds_a_part() -> None:
    image, left, right = two_squares()
    found = GrabCut().segment(image, positive=[(22, 32), (41, 32)])
    assert overlap(found, left | right) > 0.9


def test_an_earlier_mask_is_refined() -> None:
    image, left, right = two_squares()
    rough = np.zeros((64, 64), bool)
    rough[18:46, 12:50] = True
    refined = GrabCut().segment(image, previous=rough)
    assert overlap(refined, left | right) > max(0.95, overlap(rough, left | right))


def test_the_result_depends_on_the_input_alone() -> None:
    image, truth = examples()[0]
    masks = [GrabCut().segment(image, box=bounding_box(truth)) for _ in range(2)]
    np.testing.assert_array_equal(*masks)


def test_a_large_picture_gives_a_mask_of_its_size() -> None:
    image = np.full((400, 900, 3), (40, 90, 40), np.uint8)
    cv2.circle(image, (600, 200), 90, (220, 200, 30), -1)
    truth = image[..., 0] > 100
    found = GrabCut().segment(image, positive=[(600, 200)])
    assert found.dtype == np.bool_
    assert overlap(found, truth) > 0.95


def test_a_box_of_the_whole_picture_is_allowed() -> None:
    image, left, right = two_squares()
    found = GrabCut().segment(image, box=(0, 0, 64, 64))
    assert overlap(found, left | right) > 0.9


def test_nothing_found_is_said() -> None:
    with pytest.raises(EmptyMask, match="No object was found"):
        GrabCut().segment(noise(64, 64), box=(30, 30, 31, 31), negative=[(30, 30)])


numbers = st.floats(-20, 80)
places = st.tuples(st.floats(0, 47.9), st.floats(0, 23.9))


@settings(max_examples=40)
@given(
    st.none() | st.tuples(numbers, numbers, numbers, numbers),
    st.lists(places, max_size=3),
    st.lists(places, max_size=3),
    st.booleans(),
)
def test_any_hints_give_a_mask_or_a_clear_error(
    box: tuple[float, ...] | None,
    positive: list[tuple[float, float]],
    negative: list[tuple[float, float]],
    plain: bool,
) -> None:
    image = np.full((24, 48, 3), 90, np.uint8) if plain else noise(24, 48)
    try:
        mask = GrabCut().segment(image, box=box, positive=positive, negative=negative)
    except InvalidEdit:
        return
    assert (mask.shape, mask.dtype) == ((24, 48), np.bool_)
    assert mask.any()
