"""Fine detail for an edit that was made smaller than its photograph.

What a working picture cannot hold of a photograph is what reducing and enlarging it takes away:

    lost(x) = x - enlarged(reduced(x))

Where an edit carries content over as it is, the source is warped by the map of that content and its
`lost` is added to the enlarged edit. It is added as far as the edit shows that content, and where
the edit shows it: cells of latents and features are wider than pixels, so that the edit may be off
by a part of a cell.
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

TOLERANCE = 24.0
"""Levels of 255 by which the edit may differ from the content before nothing is added [ours]."""

NEIGHBOURHOOD = 5
"""Side in working pixels of the square over which that difference is averaged [ours]."""

REACH = 8
"""Working pixels within which the content is looked for round its place: a latent cell."""

Pixels = npt.NDArray[np.uint8]
Weights = npt.NDArray[Any]
"""Float (H, W), 0..1."""


def with_detail(edited: Image.Image, carried: Sequence[Carried], size: Size) -> Image.Image:
    """The edit, RGB at working size, enlarged to `size` with the detail of what it carries over.

    An edit that is no smaller than `size` on one side gets nothing but that size.
    """
    enlarged = resize_image(edited, size)
    if edited.width >= size.width or edited.height >= size.height:
        return enlarged
    result = np.array(enlarged)
    pixel = (size.area / (edited.width * edited.height)) ** 0.5
    for content in carried:
        if content.mask.any():
            patch = bounding_box(content.mask).grown(REACH * pixel, size)
            result[patch.slices] = _refined(result[patch.slices], content, patch, pixel)
    return Image.fromarray(result)


def _refined(shown: Pixels, content: Carried, patch: Box, pixel: float) -> Pixels:
    """The patch of the enlarged edit with detail; `pixel`: source pixels in a working one."""
    mask, picture = content.mask[patch.slices], np.asarray(content.picture)
    cells = Size(*(max(1, round(side / pixel)) for side in mask.shape))
    object_map = content.object_map.shifted(-patch.left, -patch.top)
    seen, moved = _resized(shown, cells), moved_picture(picture, object_map, patch.size)
    if content.object_map != STILL:
        inside = _resized(mask * np.uint8(255), cells)
        dx, dy = displacement(seen, _resized(moved, cells), inside)
        moved = moved_picture(picture, object_map.shifted(dx * pixel, dy * pixel), patch.size)
    expected = _resized(moved, cells)
    lost = moved.astype(np.float32) - _resized(expected, patch.size)
    likeness = cv2.resize(_likeness(seen, expected), mask.shape[::-1])
    weight = (_depth(mask, pixel) * likeness)[:, :, None]
    return np.rint(np.clip(shown + weight * lost, 0, 255)).astype(np.uint8)


def displacement(seen: Pixels, expected: Pixels, inside: Pixels) -> tuple[float, float]:
    """(dx, dy) by which `seen` shows what `expected` shows inside, to a fraction of a pixel.

    Pictures (H, W, 3) and a mask (H, W) of 0..255. The least squared difference among shifts of up
    to REACH pixels, then the vertex of the parabola through it and its neighbours.
    """
    height, width = inside.shape
    if min(height, width) <= 2 * REACH:
        return 0.0, 0.0
    inner = slice(REACH, height - REACH), slice(REACH, width - REACH)
    weights = np.repeat(inside[inner][:, :, None].astype(np.float32) / 255, 3, axis=2)
    scores = cv2.matchTemplate(
        seen.astype(np.float32),
        expected[inner].astype(np.float32),
        cv2.TM_SQDIFF,
        mask=weights,
    )
    row, column = np.unravel_index(scores.argmin(), scores.shape)
    dy = row + _vertex(scores[:, column], int(row)) - REACH
    dx = column + _vertex(scores[row], int(column)) - REACH
    return float(dx), float(dy)


def _vertex(scores: npt.NDArray[Any], least: int) -> float:
    """Where between -1/2 and 1/2 of its least entry a row of scores has its minimum."""
    if not 0 < least < len(scores) - 1:
        return 0.0
    before, here, after = (float(v) for v in scores[least - 1 : least + 2])
    bend = before - 2 * here + after
    return 0.5 * (before - after) / bend if bend > 0 else 0.0


def _resized(pixels: Pixels, size: Size) -> Pixels:
    return np.asarray(resize_image(Image.fromarray(pixels), size))


def _likeness(seen: Pixels, expected: Pixels) -> Weights:
    """1 where the pictures (H, W, 3) agree, falling to 0 at a mean difference of TOLERANCE."""
    difference = cv2.absdiff(seen, expected).astype(np.float32).mean(axis=2)
    around = cv2.blur(difference, (NEIGHBOURHOOD, NEIGHBOURHOOD))
    return np.clip(1 - around / TOLERANCE, 0, 1)


def _depth(mask: Mask, pixel: float) -> Weights:
    """0 outside the mask, rising over a working pixel from its border to 1."""
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.clip(distance / pixel, 0, 1)
