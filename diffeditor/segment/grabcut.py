"""Segmentation without weights: by colours, in a reduced picture."""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from diffeditor.geometry import Box, Point, Size
from diffeditor.images import MIN_SIDE, ImageSource, MaskSource, load_image, resize_mask
from diffeditor.segment.hints import Hints, found
from diffeditor.tasks.base import dilated

SIDE = 256
"""Longer side in pixels of the reduced picture in which colours are told apart [ours]."""
ROUNDS = 3
"""How often the two colour models and the border between them are worked out [ours]."""
CLICKED = 0.14
"""Radius of the disc round a click that may be object, in mean sides of the picture [ours]."""
FAR = 0.33
"""Radius round a click beyond which nothing is object, in mean sides of the picture [ours]."""
CERTAIN = 2
"""Radius of the disc round a click that is certain, in pixels of the reduced picture [ours]."""
COLOURS = 5
"""Colours of a model of OpenCV's GrabCut, each of which needs a pixel at least."""
SEED = 0
"""Of OpenCV's own random numbers, from which the colour models start."""


class GrabCut:
    """Tells object from background by their colours [Rother et al. 2004], in a reduced picture.

    Round a click the object is taken to be no larger than FAR allows; a box knows no such limit.
    The result depends on the input alone.
    """

    def segment(
        self,
        image: ImageSource,
        box: Sequence[float] | None = None,
        positive: Iterable[Sequence[float]] = (),
        negative: Iterable[Sequence[float]] = (),
        previous: MaskSource | None = None,
    ) -> np.ndarray:
        """See `Segmenter.segment`."""
        picture = load_image(image, "image")
        hints = Hints.checked(picture, box, positive, negative, previous)
        share = min(1.0, SIDE / max(picture.size))
        sides = [max(MIN_SIDE, round(share * side)) for side in picture.size]
        pixels = cv2.resize(np.asarray(picture), sides, interpolation=cv2.INTER_AREA)
        trimap = _trimap(hints, Size(sides[1], sides[0]))
        mask = _cut(pixels, trimap)
        if hints.box is None and hints.previous is None:
            mask = _touching(mask, trimap == cv2.GC_FGD)
        full = cv2.resize(mask.astype(np.float32), picture.size, interpolation=cv2.INTER_LINEAR)
        return found(full > 0.5)


def _trimap(hints: Hints, size: Size) -> np.ndarray:
    """OpenCV's four labels uint8 (height, width): object or background, certainly or probably."""
    reach = float(np.sqrt(size.area))
    positive, negative = (
        [click.rescaled(hints.size, size) for click in clicks]
        for clicks in (hints.positive, hints.negative)
    )
    likely, possible = (_discs(positive, radius * reach, size) for radius in (CLICKED, FAR))
    if hints.box is not None:
        likely = possible = _boxed(hints.box, hints.size, size)
    if hints.previous is not None:
        likely = resize_mask(hints.previous, size)
        possible = likely | possible if hints.box else np.ones_like(likely)
    labels = np.where(likely, cv2.GC_PR_FGD, np.where(possible, cv2.GC_PR_BGD, cv2.GC_BGD))
    labels[_discs(negative, CERTAIN, size)] = cv2.GC_BGD
    labels[_discs(positive, CERTAIN, size)] = cv2.GC_FGD
    return _with_both(labels.astype(np.uint8))


def _boxed(box: Box, source: Size, size: Size) -> np.ndarray:
    mask = np.zeros((source.height, source.width), bool)
    mask[box.slices] = True
    return resize_mask(mask, size)


def _discs(centres: Sequence[Point], radius: float, size: Size) -> np.ndarray:
    """All pixels of the grid within `radius` of a centre, bool (height, width)."""
    y, x = np.mgrid[: size.height, : size.width] + 0.5
    inside = np.zeros((size.height, size.width), bool)
    for centre in centres:
        inside |= np.hypot(x - centre.x, y - centre.y) <= radius
    return inside


def _with_both(labels: np.ndarray) -> np.ndarray:
    """The labels with enough pixels on both sides for their colour models."""
    objects = _objects(labels)
    if 0 < objects.sum() < COLOURS:
        labels[dilated(objects, 2) & ~objects] = cv2.GC_PR_FGD
    if (~objects).sum() < COLOURS:
        labels[[0, -1]] = labels[:, [0, -1]] = cv2.GC_BGD
    return labels


def _cut(pixels: np.ndarray, trimap: np.ndarray) -> np.ndarray:
    """GrabCut's answer, bool (height, width); nothing if nothing may be object."""
    labels = trimap.copy()
    if not _objects(labels).any():
        return _objects(labels)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(SEED)
    cv2.grabCut(pixels, labels, (0, 0, 0, 0), *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    return _objects(labels)


def _objects(labels: np.ndarray) -> np.ndarray:
    return np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD))


def _touching(mask: np.ndarray, certain: np.ndarray) -> np.ndarray:
    """The connected parts of the mask that hold a certain pixel."""
    _, parts = cv2.connectedComponents(mask.astype(np.uint8))
    return mask & np.isin(parts, parts[certain & mask])
