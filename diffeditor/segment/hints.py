"""Where an object is, as a user points at it: a box, clicks, an earlier mask."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from PIL import Image

from diffeditor.errors import EmptyMask, InvalidEdit, OutOfBounds
from diffeditor.geometry import Box, Point, Size
from diffeditor.images import ImageSource, MaskSource, load_mask
from diffeditor.tasks.base import checked_pair, size_of


class Segmenter(Protocol):
    """Finds the object that boxes and clicks point at."""

    def segment(
        self,
        image: ImageSource,
        box: Sequence[float] | None = None,
        positive: Iterable[Sequence[float]] = (),
        negative: Iterable[Sequence[float]] = (),
        previous: MaskSource | None = None,
    ) -> np.ndarray:
        """Bool (H, W): the object.

        Args:
            box: two opposite corners x0, y0, x1, y1; what lies outside the picture is cut off.
            positive, negative: places (x, y) on the object, and on what is not.
            previous: an earlier mask of the picture to start from.

        Raises:
            InvalidEdit: there is no hint of where the object is, or one is not made of numbers.
            OutOfBounds: a click or the whole box lies outside the picture.
            EmptyMask: the box has no area, or nothing was found.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Hints:
    """Where the object is, checked, in the picture's pixels."""

    size: Size
    box: Box | None
    positive: tuple[Point, ...]
    negative: tuple[Point, ...]
    previous: np.ndarray | None

    @classmethod
    def checked(
        cls,
        image: Image.Image,
        box: Sequence[float] | None,
        positive: Iterable[Sequence[float]],
        negative: Iterable[Sequence[float]],
        previous: MaskSource | None,
    ) -> Self:
        """Raises as `Segmenter.segment`."""
        size = size_of(image)
        if previous is not None:
            previous = load_mask(previous, size, "previous mask", allow_full=True)
        hints = cls(
            size=size,
            box=None if box is None else _checked_box(box, size),
            positive=_checked_clicks(positive, size),
            negative=_checked_clicks(negative, size),
            previous=previous,
        )
        if hints.box is None and not hints.positive and hints.previous is None:
            raise InvalidEdit("Click on the object or draw a box round it.")
        return hints


def _checked_box(value: Any, size: Size) -> Box:
    corners = list(value) if isinstance(value, Iterable) else []
    if len(corners) != 4:
        raise InvalidEdit(f"A box must be four numbers x0, y0, x1, y1, not {value!r}.")
    (x0, y0), (x1, y1) = (checked_pair(corners[i : i + 2], "corner of the box") for i in (0, 2))
    if x0 == x1 or y0 == y1:
        raise EmptyMask("The box is empty; draw it round the object.")
    left, right = (round(min(max(x, 0), size.width)) for x in sorted((x0, x1)))
    top, bottom = (round(min(max(y, 0), size.height)) for y in sorted((y0, y1)))
    box = Box(left, top, max(right, left + 1), max(bottom, top + 1))
    if left >= size.width or top >= size.height or max(x0, x1) <= 0 or max(y0, y1) <= 0:
        raise OutOfBounds("The box lies outside the picture; draw it round the object.")
    return box


def _checked_clicks(values: Any, size: Size) -> tuple[Point, ...]:
    if not isinstance(values, Iterable):
        raise InvalidEdit(f"Clicks must be a list of points (x, y), not {values!r}.")
    clicks = tuple(Point(*checked_pair(value, "click")) for value in values)
    for click in clicks:
        if not size.contains(click):
            raise OutOfBounds(
                f"The click ({click.x:g}, {click.y:g}) lies outside the picture of "
                f"{size.width} x {size.height} pixels; click inside."
            )
    return clicks


def found(mask: np.ndarray) -> np.ndarray:
    if not mask.any():
        raise EmptyMask("No object was found there; add a click on it or draw a box round it.")
    return mask
