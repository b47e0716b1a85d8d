"""Where an object is in a picture and how large, told by matching it against its background.

    plate   the true world rendered without the object
    patch   the object's pixels in the true picture, under `mask`
    score   sum over the object's pixels of |picture - patch|^2 - min |picture - shade plate|^2

The place and the two scales with the least score are those at which the object, laid over the
plate, explains the picture best. The plate may be darkened by a shadow.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from typing import Self

import cv2
import numpy as np

from diffeditor.worlds import Render, SceneSpec, render
from diffeditor.worlds.cases import Case

BORDER = 16
"""Pixels round the picture into which an object may reach."""
COARSE = tuple(np.geomspace(0.6, 1.6, 9))
FINE = (0.94, 0.96, 0.98, 1.0, 1.02, 1.04, 1.06)
"""Scales tried at half the size along each axis, and then round the best of them."""
SHADES = (1.0, 0.85, 0.7, 0.55, 0.4)
"""Factors by which a shadow may darken the plate."""

Pair = tuple[float, float]
Placed = tuple[float, Pair, Pair]
"""A score, the scales (x, y) that it was reached at, and the object's middle (x, y) there."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """An object's place: its middle, (x, y) pixels, and its scale (x, y) to that in the truth."""

    centre: np.ndarray
    scale: np.ndarray

    @property
    def size(self) -> float:
        """Its size in parts of that in the truth, by the square root of its area."""
        return float(np.sqrt(self.scale.prod()))


def edited_solid(case: Case) -> int:
    """Which solid of the truth is not in the source as it is."""
    before, after = _scene(case.spec).solids, _scene(case.truth_spec).solids
    return next(i for i, one in enumerate(after) if i >= len(before) or one != before[i])


def scene_renders(case: Case) -> tuple[Render, Render]:
    """The worlds of a scene's case before and after."""
    size = case.truth.shape[0]
    return render(case.spec, size), render(case.truth_spec, size)


@dataclass(frozen=True, kw_only=True)
class ObjectFinder:
    """Finds one object of one world in pictures of it.

    plate: float32 (H, W, 3). patch, mask: float32 (h, w, 3), the object's box in the truth, and
    1 where a pixel is the object's. home: the middle of that box, (x, y) pixels.
    """

    plate: np.ndarray
    patch: np.ndarray
    mask: np.ndarray
    home: np.ndarray

    @classmethod
    def of(cls, case: Case) -> Self:
        """The finder of what a case of a scene edits."""
        scene, index = _scene(case.truth_spec), edited_solid(case)
        rest = replace(scene, solids=(*scene.solids[:index], *scene.solids[index + 1 :]))
        size = case.truth.shape[0]
        own = render(scene, size).masks[index].astype(np.float32)
        left, top, width, height = cv2.boundingRect(own.astype(np.uint8))
        box = slice(top, top + height), slice(left, left + width)
        return cls(
            plate=render(rest, size).image.astype(np.float32),
            patch=case.truth[box].astype(np.float32),
            mask=np.repeat(own[box][..., None], 3, axis=2),
            home=np.array([left + width / 2, top + height / 2]),
        )

    def find(self, picture: np.ndarray) -> Found | None:
        """The object in a picture (H, W, 3); None when the plate explains all of it better."""
        pixels = picture.astype(np.float32)
        coarse = self._halved().best(_half(pixels), product(COARSE, COARSE))[1]
        tried = [(coarse[0] * a, coarse[1] * b) for a, b in product(FINE, FINE)]
        score, scale, centre = self.best(pixels, tried)
        if score >= 0:
            return None
        return Found(centre=np.array(centre), scale=np.array(scale))

    def best(self, pixels: np.ndarray, scales: Iterable[Pair]) -> Placed:
        """Least score, its scale and the object's middle there, for a picture float32 (H, W, 3)."""
        padded = _bordered(pixels)
        shaded = [np.square(pixels - shade * self.plate).sum(-1) for shade in SHADES]
        unlike = _bordered(np.minimum.reduce(shaded))
        return min((self._placed(padded, unlike, scale) for scale in scales), key=lambda p: p[0])

    def _placed(self, padded: np.ndarray, unlike: np.ndarray, scale: Pair) -> Placed:
        height, width = self.mask.shape[:2]
        size = max(3, round(width * scale[0])), max(3, round(height * scale[1]))
        patch = cv2.resize(self.patch, size, interpolation=cv2.INTER_LINEAR)
        mask = (cv2.resize(self.mask, size, interpolation=cv2.INTER_LINEAR) > 0.5).astype(
            np.float32
        )
        own = cv2.matchTemplate(padded, patch, cv2.TM_SQDIFF, mask=mask)
        score, _, (left, top), _ = cv2.minMaxLoc(
            own - cv2.matchTemplate(unlike, mask[..., 0], cv2.TM_CCORR)
        )
        centre = left - BORDER + size[0] / 2, top - BORDER + size[1] / 2
        return score, (size[0] / width, size[1] / height), centre

    def _halved(self) -> Self:
        return replace(
            self, plate=_half(self.plate), patch=_half(self.patch), mask=_half(self.mask)
        )


def _bordered(pixels: np.ndarray) -> np.ndarray:
    edges = (BORDER, BORDER, BORDER, BORDER)
    return cv2.copyMakeBorder(pixels, *edges, borderType=cv2.BORDER_REPLICATE)


def _half(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    return cv2.resize(
        pixels, (max(2, width // 2), max(2, height // 2)), interpolation=cv2.INTER_AREA
    )


def _scene(spec: object) -> SceneSpec:
    if not isinstance(spec, SceneSpec):
        raise TypeError("Only scenes have objects.")
    return spec
