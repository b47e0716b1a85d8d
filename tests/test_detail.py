"""Fine detail: it comes back where the edit shows the content it belongs to, and nowhere else."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from diffeditor.detail import REACH, displacement, with_detail
from diffeditor.geometry import STILL, ObjectMap, Point, Shift, Size
from diffeditor.images import resize_image
from diffeditor.masks import moved_mask, moved_picture
from diffeditor.tasks.base import Carried
from tests.tiny import box

SIZE = Size(192, 256)
WORKING = Size(48, 64)
PIXEL = 4


def textured(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Waves of all lengths from 2 pixels up, the longer the stronger; uint8 (height, width, 3)."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3))
    waves = sum(cv2.GaussianBlur(noise, (0, 0), s) * s**1.3 for s in (0.5, 1, 2, 4, 8, 16))
    return np.clip(128 + 22 * np.asarray(waves), 0, 255).astype(np.uint8)


PHOTOGRAPH = textured(SIZE.height, SIZE.width)
OBJECT = box(SIZE.height, SIZE.width, 0.1, 0.1, 0.4)


def shown(object_map: ObjectMap) -> np.ndarray:
    """The photograph with its object carried by a map, as a perfect edit at full size has it."""
    inside = moved_mask(OBJECT, object_map)[:, :, None]
    return np.where(inside, moved_picture(PHOTOGRAPH, object_map, SIZE), PHOTOGRAPH)


def reduced(pixels: np.ndarray) -> Image.Image:
    return resize_image(Image.fromarray(pixels), WORKING)


def enlarged(picture: Image.Image) -> np.ndarray:
    return np.asarray(resize_image(picture, SIZE))


def carried(object_map: ObjectMap) -> Carried:
    mask = moved_mask(OBJECT, object_map)
    return Carried(picture=Image.fromarray(PHOTOGRAPH), mask=mask, object_map=object_map)


def error(a: np.ndarray, b: np.ndarray, inside: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b)[inside].mean())


@settings(max_examples=20)
@given(dx=st.floats(-6, 6), dy=st.floats(-6, 6))
def test_a_displacement_is_measured_to_a_fraction_of_a_pixel(dx: float, dy: float) -> None:
    here = cv2.GaussianBlur(textured(60, 70), (0, 0), 1)
    there = moved_picture(here, ObjectMap(Point(0, 0), Shift(dx, dy)), Size(60, 70))
    inside = np.full((60, 70), 255, np.uint8)
    assert displacement(there, here, inside) == pytest.approx((dx, dy), abs=0.2)


def test_what_is_too_small_to_be_looked_for_is_where_it_should_be() -> None:
    small = textured(2 * REACH, 40)
    assert displacement(small, small, np.full(small.shape[:2], 255, np.uint8)) == (0, 0)


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.4])
@pytest.mark.parametrize("off", [(0, 0), (1.4, -0.7), (-3.0, 2.2)])
def test_moved_content_gets_its_detail_where_the_edit_shows_it(
    scale: float, off: tuple[float, float]
) -> None:
    """The edit shows the object `off` working pixels from where it was sent."""
    sent = ObjectMap(Point(77, 58), Shift(80.5, 50), scale)
    truth = shown(sent.shifted(off[0] * PIXEL, off[1] * PIXEL))
    edit = reduced(truth)
    content = carried(sent)
    refined = np.asarray(with_detail(edit, [content], SIZE))
    inside = cv2.erode(content.mask.astype(np.uint8), np.ones((33, 33))) > 0
    assert error(refined, truth, inside) < 0.75 * error(enlarged(edit), truth, inside)
    assert np.array_equal(refined[~content.mask], enlarged(edit)[~content.mask])


def test_what_stays_gets_its_detail_where_it_stands() -> None:
    edit = reduced(PHOTOGRAPH)
    content = Carried(picture=Image.fromarray(PHOTOGRAPH), mask=OBJECT, object_map=STILL)
    refined = np.asarray(with_detail(edit, [content], SIZE))
    inside = cv2.erode(OBJECT.astype(np.uint8), np.ones((9, 9))) > 0
    assert error(refined, PHOTOGRAPH, inside) < 2 < error(enlarged(edit), PHOTOGRAPH, inside)


def test_an_edit_that_shows_something_else_gets_nothing() -> None:
    edit = reduced(255 - shown(ObjectMap(Point(77, 58), Shift(80, 50))))
    refined = with_detail(edit, [carried(ObjectMap(Point(77, 58), Shift(80, 50)))], SIZE)
    changed = (np.asarray(refined) != enlarged(edit)).any(2)
    assert changed.mean() < 0.01


def test_content_at_the_border_and_content_that_left_are_no_trouble() -> None:
    edit = reduced(PHOTOGRAPH)
    for shift in (Shift(150, 110), Shift(-35, -20), Shift(500, 0)):
        refined = with_detail(edit, [carried(ObjectMap(Point(77, 58), shift))], SIZE)
        assert refined.size == (SIZE.width, SIZE.height)


def test_an_edit_at_the_photographs_size_is_left_alone() -> None:
    edit = Image.fromarray(255 - PHOTOGRAPH)
    assert np.array_equal(np.asarray(with_detail(edit, [carried(STILL)], SIZE)), 255 - PHOTOGRAPH)
