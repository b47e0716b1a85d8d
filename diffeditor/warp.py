"""A picture pulled by points, by moving least squares.

Points are float (n, 2), (x, y) in pixels; pictures are float32 (H, W, 3) of 0 to 255.
"""

import cv2
import numpy as np

from diffeditor.geometry import Box
from diffeditor.masks import bounding_box

Pairs = tuple[np.ndarray, np.ndarray]
"""Starts and ends, two arrays of points."""

FALLOFF = 2
"""Power of the squared distance by which a pair's say fades [ours, as are the next two]."""
STIFFNESS = 0.0005
"""How much a warp prefers shifts to stretches, in areas of the region's box."""
CLOSEST = 0.5
"""Pixels within which a pair's say grows no more."""
GRID = 64
"""Places along each side of a warp at which it is worked out; between them it is interpolated."""


def pulled(picture: np.ndarray, inside: np.ndarray, pairs: Pairs, band: float) -> np.ndarray:
    """The picture with the starts brought towards the ends, inside a region only.

    inside: the `depth` of the region, which is not empty. band: width in pixels of the band inside
    the region's border over which the warp fades out; the picture's own border is not one.
    """
    box = bounding_box(inside > 0)
    share = np.clip(inside[box.slices] / max(band, 1.0), 0, 1)
    eased = share * share * (3 - 2 * share)
    offset = _offsets(pairs, box) * eased[..., None]
    y, x = np.mgrid[box.slices].astype(np.float32)
    sources = x + offset[..., 0], y + offset[..., 1]
    result = picture.copy()
    result[box.slices] = cv2.remap(
        picture, *sources, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return result


def _offsets(pairs: Pairs, box: Box) -> np.ndarray:
    """From each pixel of the box to where its content comes from, float32 (height, width, 2)."""
    height, width = box.size.height, box.size.width
    x = np.linspace(box.left + 0.5, box.right - 0.5, GRID)
    y = np.linspace(box.top + 0.5, box.bottom - 0.5, GRID)
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    origins = moving_least_squares(pairs, places, STIFFNESS * box.size.area)
    coarse = (origins - places).reshape(GRID, GRID, 2).astype(np.float32)
    columns, rows = (np.linspace(0, GRID - 1, n, dtype=np.float32) for n in (width, height))
    return cv2.remap(coarse, *np.meshgrid(columns, rows), cv2.INTER_LINEAR)


def misfit(pairs: Pairs) -> float:
    """How far the pairs are from one affine map of all: 0 where one takes every start to its end.

    The root of the squared error of the map that fits best, in parts of the pairs' lengths. Up to
    three pairs are 0, but for three on a line; the parts of a bending thing are not.
    """
    starts, ends = pairs
    ways = ends - starts
    length = np.square(ways).sum()
    if length == 0:
        return 0.0
    places = np.column_stack([starts, np.ones(len(starts))])
    fitted = places @ np.linalg.lstsq(places, ways, rcond=None)[0]
    return float(np.sqrt(np.square(ways - fitted).sum() / length))


def moving_least_squares(pairs: Pairs, places: np.ndarray, ridge: float) -> np.ndarray:
    """Where the content of each place (m, 2) comes from, when each start goes to its end.

    Every place has its own affine map, the one that fits the pairs best with the nearest counting
    most [Schaefer et al. 2006]. One pair gives a shift, two a stretch along their line; the ridge,
    above 0 and in squared pixels, draws the maps towards shifts.
    """
    starts, ends = pairs
    x, y = (np.square(np.subtract.outer(places[:, i], ends[:, i])) for i in (0, 1))
    weights = 1 / np.maximum(x + y, CLOSEST**2) ** FALLOFF
    weights /= weights.sum(1, keepdims=True)
    values = np.concatenate([ends, starts - ends], axis=1)
    products = ends[:, :, None] * values[:, None]
    means = weights @ values
    moments = (weights @ products.reshape(-1, 8)).reshape(-1, 2, 4)
    covariance = moments - means[:, :2, None] * means[:, None]
    spread, common = covariance[..., :2], covariance[..., 2:]
    stretch = np.linalg.solve(spread + ridge * np.eye(2), common)
    away = places - means[:, :2]
    return places + means[:, 2:] + (away[:, None] @ stretch)[:, 0]
