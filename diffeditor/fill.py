"""What a picture may look like without an object: its surroundings go on, smoothly.

OpenCV's inpainting on a reduced picture, so that it looks far and is quick. Pictures are float32
(H, W, 3) of 0 to 255, masks bool (H, W).
"""

import cv2
import numpy as np

from diffeditor.masks import bounding_box, depth

# Values that did best, or as well as any, on rendered worlds whose right answer is known.
COARSE = 32
"""Mean side in pixels to which a hole is reduced before it is filled: a wide view, a short wait."""
REACH = 9
"""How far the filling looks, in pixels of the reduced picture."""
UNKNOWN = 0.3
"""A pixel of the reduced picture is filled where less than this share of it is known."""
FAINT = 1e-4
"""A weight that matters only where there is no other."""


def cleared(picture: np.ndarray, mask: np.ndarray, band: float) -> tuple[np.ndarray, np.ndarray]:
    """The picture without what is under a non-empty mask, and the mask of all that changed.

    band: pixels round the mask over which the filling fades out, at least 1.
    """
    band = max(1.0, band)
    missing = np.clip((band + 1 - depth(~mask)) / band, 0, 1)
    hole = missing > 0
    return picture + missing[..., None] * (filled(picture, hole) - picture), hole


def filled(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The picture, smooth in a non-empty hole as its surroundings let expect."""
    box = bounding_box(hole).size
    share = min(1.0, 2 * COARSE / (box.height + box.width))
    height, width = hole.shape
    small = max(1, round(share * width)), max(1, round(share * height))
    known = np.where(hole, np.float32(FAINT), np.float32(1))
    cover = cv2.resize(known, small, interpolation=cv2.INTER_AREA)
    colours = cv2.resize(picture * known[..., None], small, interpolation=cv2.INTER_AREA)
    colours = np.rint(colours / cover[..., None]).astype(np.uint8)
    missing = (cover < min(UNKNOWN, cover.max())).astype(np.uint8)
    smooth = cv2.inpaint(colours, missing, REACH, cv2.INPAINT_TELEA)
    return cv2.resize(smooth, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
