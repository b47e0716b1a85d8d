"""Fine detail for what an edit carries over as it is.

An edit is drawn from latents, whose cells are several pixels wide, and at a working size that may
be smaller than the photograph's. What is finer than a few cells is the network's guess:

    fine(x) = x - enlarged(reduced(x))        [reduced to one pixel for GRAIN x GRAIN cells]

Where an edit carries content over as it is, its picture is known: the source, with the object laid
in where it was sent. There the edit's `fine` gives way to that of the known picture, as far as the
two agree in all that is coarser. Light and shade stay the edit's; patterns, outlines and the exact
place of an object are the known picture's.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from diffeditor.geometry import STILL, Box, Size
from diffeditor.images import resize_image
from diffeditor.masks import bounding_box, depth, moved_picture
from diffeditor.tasks.base import Carried

GRAIN = 3
"""Cells of the latents across what detail is finer than [ours]."""

TOLERANCE = 24.0
"""Levels of 255 by which the coarse pictures may differ where detail is given [ours]."""

SOFTNESS = 0.5
"""Working pixels by which the border of what is laid in is softened: sigma of a Gaussian [ours]."""

Pixels = npt.NDArray[np.uint8]
Weights = npt.NDArray[Any]
"""Float (H, W), 0..1."""


def with_detail(
    edited: Image.Image, carried: Sequence[Carried], size: Size, cell: int
) -> Image.Image:
    """The edit, RGB at working size, enlarged to `size` with the detail of what it carries over.

    carried: what is laid in, one over the other. cell: working pixels across a cell of the latents.
    Outside the masks of `carried` the edit is enlarged and nothing else.
    """
    result = np.array(resize_image(edited, size))
    known = np.any([content.mask for content in carried], axis=0)
    if not known.any():
        return Image.fromarray(result)
    pixel = (size.area / (edited.width * edited.height)) ** 0.5
    grain = GRAIN * cell * pixel
    patch = bounding_box(known).grown(grain, size)
    shown = result[patch.slices]
    expected = _expected(shown, carried, patch, SOFTNESS * pixel)
    cells = Size(*(max(1, round(side / grain)) for side in shown.shape[:2]))
    coarse = [_resized(picture, cells) for picture in (shown, expected)]
    faded = np.clip(depth(known[patch.slices]) / pixel, 0, 1)
    weight = faded * cv2.resize(_likeness(*coarse), shown.shape[1::-1])
    shown_fine, expected_fine = (
        picture.astype(np.float32) - _resized(reduced, patch.size)
        for picture, reduced in zip((shown, expected), coarse, strict=True)
    )
    change = expected_fine - shown_fine
    refined = np.rint(np.clip(shown + weight[:, :, None] * change, 0, 255))
    result[patch.slices] = refined.astype(np.uint8)
    return Image.fromarray(result)


def _expected(shown: Pixels, carried: Sequence[Carried], patch: Box, softness: float) -> Pixels:
    """The patch of the picture that is known; where nothing is carried, what the edit shows."""
    expected = shown.astype(np.float32)
    for content in carried:
        mask = content.mask[patch.slices]
        if mask.any():
            opacity = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), softness)[:, :, None]
            expected += opacity * (_carried(content, patch) - expected)
    return np.rint(expected).astype(np.uint8)


def _carried(content: Carried, patch: Box) -> Pixels:
    """The patch of a content's picture after the content's map."""
    picture = np.asarray(content.picture)
    if content.object_map == STILL:
        return picture[patch.slices]
    return moved_picture(picture, content.object_map.shifted(-patch.left, -patch.top), patch.size)


def _resized(pixels: Pixels, size: Size) -> Pixels:
    return np.asarray(resize_image(Image.fromarray(pixels), size))


def _likeness(shown: Pixels, expected: Pixels) -> Weights:
    """1 where coarse pictures (H, W, 3) agree, falling to 0 at a mean difference of TOLERANCE.

    Beside a coarse pixel that differs it is no more than there: a border has both sides or none.
    """
    difference = cv2.absdiff(shown, expected).astype(np.float32).mean(axis=2)
    return cv2.erode(np.clip(1 - difference / TOLERANCE, 0, 1), np.ones((3, 3)))
