"""Hints are checked at the door."""

import numpy as np
import pytest
from PIL import Image

from diffeditor.errors import EmptyMask, InvalidEdit, OutOfBounds
from diffeditor.geometry import Box, Point
from diffeditor.segment.hints import Hints

IMAGE = Image.new("RGB", (60, 40))


def checked(box=None, positive=(), negative=(), previous=None) -> Hints:
    return Hints.checked(IMAGE, box, positive, negative, previous)


def test_corners_come_in_any_order_and_are_cut_at_the_border() -> None:
    assert checked(box=(50, 30, 20, -5)).box == Box(20, 0, 50, 30)
    assert checked(box=(-9, -9, 99, 99)).box == Box(0, 0, 60, 40)


def test_a_thin_box_holds_a_pixel() -> None:
    assert checked(box=(20.1, 10, 20.2, 10.3)).box == Box(20, 10, 21, 11)


def test_clicks_are_points() -> None:
    hints = checked(positive=[(1, 2.5)], negative=np.array([[3, 4]]))
    assert (hints.positive, hints.negative) == ((Point(1.0, 2.5),), (Point(3.0, 4.0),))


def test_an_earlier_mask_may_cover_everything() -> None:
    previous = checked(previous=np.ones((40, 60), bool)).previous
    assert previous is not None and previous.all()


@pytest.mark.parametrize(
    ("hints", "kind", "message"),
    [
        ({}, InvalidEdit, "Click on the object"),
        ({"negative": [(1, 1)]}, InvalidEdit, "Click on the object"),
        ({"positive": [(60, 1)]}, OutOfBounds, r"click \(60, 1\) lies outside the picture of 60 x"),
        ({"positive": [(1, 1)], "negative": [(-1, 1)]}, OutOfBounds, "lies outside"),
        ({"positive": [(1, float("nan"))]}, InvalidEdit, "finite"),
        ({"positive": [(1, 2, 3)]}, InvalidEdit, "two numbers"),
        ({"box": (5, 5, 5, 20)}, EmptyMask, "box is empty"),
        ({"box": (70, 5, 90, 20)}, OutOfBounds, "box lies outside"),
        ({"box": (-20, 5, 0, 20)}, OutOfBounds, "box lies outside"),
        ({"box": (5, 5, 20)}, InvalidEdit, r"four numbers x0, y0, x1, y1, not \(5, 5, 20\)"),
        ({"box": 5}, InvalidEdit, "four numbers x0, y0, x1, y1, not 5"),
        ({"positive": None}, InvalidEdit, "a list of points"),
        ({"positive": 7, "box": (5, 5, 20, 20)}, InvalidEdit, "a list of points"),
        ({"box": ("a", 5, 20, 30)}, InvalidEdit, "two numbers"),
        ({"previous": np.zeros((40, 60), bool)}, EmptyMask, "previous mask is empty"),
        ({"previous": np.ones((4, 6), bool)}, InvalidEdit, "same size"),
    ],
)
def test_wrong_hints_are_refused(hints: dict, kind: type, message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        checked(**hints)
    assert type(caught.value) is kind
