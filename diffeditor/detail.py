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
from diffeditor.images import Mask, resize_image
from diffeditor.masks import bounding_box, moved_picture
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
    weight = _depth(known[patch.slices], pixel) * _likeness(shown, expected, grain)
    change = _fine(expected, grain) - _fine(shown, grain)
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


def _reduced(pixels: Pixels, grain: float) -> Pixels:
    """A picture (H, W, 3) with one pixel for grain x grain."""
    return _resized(pixels, Size(*(max(1, round(side / grain)) for side in pixels.shape[:2])))


def _resized(pixels: Pixels, size: Size) -> Pixels:
    return np.asarray(resize_image(Image.fromarray(pixels), size))


def _fine(pixels: Pixels, grain: float) -> npt.NDArray[np.float32]:
    """What of a picture (H, W, 3) is finer than so many pixels."""
    coarse = _resized(_reduced(pixels, grain), Size(*pixels.shape[:2]))
    return pixels.astype(np.float32) - coarse


def _likeness(shown: Pixels, expected: Pixels, grain: float) -> Weights:
    """1 where coarse pictures (H, W, 3) agree, falling to 0 at a mean difference of TOLERANCE.

    Beside a coarse pixel that differs it is no more than there: a border has both sides or none.
    """
    difference = cv2.absdiff(_reduced(shown, grain), _reduced(expected, grain))
    likeness = np.clip(1 - difference.astype(np.float32).mean(axis=2) / TOLERANCE, 0, 1)
    return cv2.resize(cv2.erode(likeness, np.ones((3, 3))), shown.shape[1::-1])


def _depth(mask: Mask, pixel: float) -> Weights:
    """0 outside the mask, rising over a working pixel from its border to 1."""
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.clip(distance / pixel, 0, 1)
