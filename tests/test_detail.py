"""Fine detail: it comes back where the edit shows the content it belongs to, and nowhere else."""

import cv2
import numpy as np
import pytest
from PIL import Image

from diffeditor.detail import with_detail
from diffeditor.geometry import STILL, ObjectMap, Point, Shift, Size
from diffeditor.images import resize_image
from diffeditor.masks import moved_mask, moved_picture
from diffeditor.tasks.base import Carried
from tests.tiny import box

SIZE = Size(192, 256)
WORKING = Size(48, 64)
PIXEL = 4
CELL = 4


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


def blurred(pixels: np.ndarray, size: float) -> np.ndarray:
    return cv2.GaussianBlur(pixels, (0, 0), size)


def refined(edit: Image.Image, content: Carried) -> np.ndarray:
    return np.asarray(with_detail(edit, [content], SIZE, CELL))


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.4])
@pytest.mark.parametrize("off", [(0, 0), (1.4, -0.7), (-3.0, 2.2)])
def test_moved_content_gets_its_detail_and_its_exact_place(
    scale: float, off: tuple[float, float]
) -> None:
    """The edit shows the object `off` working pixels from where it was sent."""
    sent = ObjectMap(Point(77, 58), Shift(80.5, 50), scale)
    edit = reduced(shown(sent.shifted(off[0] * PIXEL, off[1] * PIXEL)))
    content = carried(sent)
    result, truth = refined(edit, content), shown(sent)
    assert error(result, truth, content.mask) < 0.75 * error(enlarged(edit), truth, content.mask)
    assert np.array_equal(result[~content.mask], enlarged(edit)[~content.mask])


def test_what_stays_gets_its_detail_where_it_stands() -> None:
    edit = reduced(PHOTOGRAPH)
    content = Carried(picture=Image.fromarray(PHOTOGRAPH), mask=OBJECT, object_map=STILL)
    result = refined(edit, content)
    inside = cv2.erode(OBJECT.astype(np.uint8), np.ones((9, 9))) > 0
    assert error(result, PHOTOGRAPH, inside) < 2 < error(enlarged(edit), PHOTOGRAPH, inside)


def test_an_outline_that_the_network_softened_is_sharp_again() -> None:
    """An edit at the photograph's own size, with a soft border and no pattern on its object."""
    sent = ObjectMap(Point(77, 58), Shift(80, 50))
    truth, content = shown(sent), carried(sent)
    around = Carried(
        picture=Image.fromarray(PHOTOGRAPH), mask=~content.mask & ~OBJECT, object_map=STILL
    )
    edit = Image.fromarray(blurred(truth, 3))
    result = np.asarray(with_detail(edit, [around, content], SIZE, CELL))
    near = cv2.dilate(content.mask.astype(np.uint8), np.ones((9, 9))) > 0
    border = near & ~(cv2.erode(content.mask.astype(np.uint8), np.ones((9, 9))) > 0) & ~OBJECT
    assert error(result, truth, border) < 0.4 * error(np.asarray(edit), truth, border)


def test_light_and_shade_stay_the_edits() -> None:
    sent = ObjectMap(Point(77, 58), Shift(80, 50))
    content = carried(sent)
    lighter = np.clip(shown(sent).astype(np.int16) + 12, 0, 255).astype(np.uint8)
    result = refined(Image.fromarray(blurred(lighter, 2)), content)
    inside = cv2.erode(content.mask.astype(np.uint8), np.ones((33, 33))) > 0
    assert result[inside].mean() - shown(sent)[inside].mean() == pytest.approx(12, abs=1)
    assert error(result, lighter, inside) < 0.7 * error(blurred(lighter, 2), lighter, inside)


def test_an_edit_that_shows_something_else_gets_nothing() -> None:
    edit = reduced(shown(ObjectMap(Point(77, 58), Shift(80, 50))) // 4)
    result = refined(edit, carried(ObjectMap(Point(77, 58), Shift(80, 50))))
    assert (result != enlarged(edit)).any(2).mean() < 0.01


def test_content_at_the_border_and_content_that_left_are_no_trouble() -> None:
    edit = reduced(PHOTOGRAPH)
    for shift in (Shift(150, 110), Shift(-35, -20), Shift(500, 0)):
        result = refined(edit, carried(ObjectMap(Point(77, 58), shift)))
        assert result.shape == PHOTOGRAPH.shape


def test_an_edit_that_carries_nothing_over_is_only_enlarged() -> None:
    edit = reduced(PHOTOGRAPH)
    assert np.array_equal(np.asarray(with_detail(edit, [], SIZE, CELL)), enlarged(edit))
