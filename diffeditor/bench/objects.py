"""Where an object is in a picture and how large, told by matching it against its background.

    plate   the true world rendered without the object
    look    the object's pixels in the true picture, or in the picture it was taken from
    score   sum over the object's pixels of |picture - look|^2 - min |picture - shade plate|^2

The look, the place and the two scales with the least score are those at which the object, laid
over the plate, explains the picture best. The plate may be darkened by a shadow. Both looks count
because an object seen from another place shows another side: a copy of it is no worse placed for
that. The two are aligned by their boxes, as what the edit asks for is.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from typing import Self

import cv2
import numpy as np

from diffeditor.fill import FAINT
from diffeditor.masks import bounding_box
from diffeditor.tasks import Paste
from diffeditor.tasks.base import as_mask
from diffeditor.worlds import Case, Render, SceneSpec, render

BORDER = 16
"""Pixels round the picture into which an object may reach."""
COARSE = tuple(np.geomspace(0.6, 1.6, 9))
FINE = (0.94, 0.96, 0.98, 1.0, 1.02, 1.04, 1.06)
"""Scales tried at half the size along each axis, and then round the best of them."""
SHADES = (1.0, 0.85, 0.7, 0.55, 0.4)
"""Factors by which a shadow may darken the plate."""

SOFTNESS = 1 / 64
"""Standard deviation, in widths of the picture, of the blur in which a pattern that is not as it
was still has its colours; what is not found otherwise is looked for in it."""

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
class Look:
    """An object as one picture shows it.

    patch, mask: float32 (h, w, 3), its box in the picture, and 1 where a pixel is the object's.
    """

    patch: np.ndarray
    mask: np.ndarray

    @classmethod
    def of(cls, picture: np.ndarray, own: np.ndarray) -> Self:
        """The object whose pixels are `own` (H, W) in a picture (H, W, 3)."""
        box = bounding_box(own).slices
        return cls(
            patch=picture[box].astype(np.float32),
            mask=np.repeat(own[box].astype(np.float32)[..., None], 3, axis=2),
        )

    def halved(self) -> Self:
        return replace(self, patch=_half(self.patch), mask=_half(self.mask))

    def softened(self, sigma: float) -> Self:
        """The same, blurred with a standard deviation in pixels, from its own pixels alone."""
        share = np.maximum(_soft(self.mask, sigma), FAINT)
        return replace(self, patch=_soft(self.patch * self.mask, sigma) / share)


@dataclass(frozen=True, kw_only=True)
class _Scene:
    """A picture in which an object is looked for, float32, with a border.

    unlike: (H, W), how badly the plate explains each pixel.
    """

    pixels: np.ndarray
    unlike: np.ndarray

    @classmethod
    def of(cls, pixels: np.ndarray, plate: np.ndarray) -> Self:
        shaded = [np.square(pixels - shade * plate).sum(-1) for shade in SHADES]
        return cls(pixels=_bordered(pixels), unlike=_bordered(np.minimum.reduce(shaded)))

    def best(self, look: Look, scales: Iterable[Pair]) -> Placed:
        """Least score of a look, its scale and the object's middle there."""
        return min((self._placed(look, scale) for scale in scales), key=lambda placed: placed[0])

    def _placed(self, look: Look, scale: Pair) -> Placed:
        height, width = look.mask.shape[:2]
        size = max(3, round(width * scale[0])), max(3, round(height * scale[1]))
        patch = cv2.resize(look.patch, size, interpolation=cv2.INTER_LINEAR)
        mask = (cv2.resize(look.mask, size, interpolation=cv2.INTER_LINEAR) > 0.5).astype(
            np.float32
        )
        own = cv2.matchTemplate(self.pixels, patch, cv2.TM_SQDIFF, mask=mask)
        score, _, (left, top), _ = cv2.minMaxLoc(
            own - cv2.matchTemplate(self.unlike, mask[..., 0], cv2.TM_CCORR)
        )
        centre = left - BORDER + size[0] / 2, top - BORDER + size[1] / 2
        return score, (size[0] / width, size[1] / height), centre


@dataclass(frozen=True, kw_only=True)
class ObjectFinder:
    """Finds one object of one world in pictures of it.

    plate: float32 (H, W, 3). looks: as the truth shows the object, then as its old picture does.
    home: the middle of the object's box in the truth, (x, y) pixels.
    """

    plate: np.ndarray
    looks: tuple[Look, Look]
    home: np.ndarray

    @classmethod
    def of(cls, case: Case) -> Self:
        """The finder of what a `move`, a `paste` or a `drag` of a scene edits."""
        scene, index = _scene(case.truth_spec), edited_solid(case)
        rest = replace(scene, solids=(*scene.solids[:index], *scene.solids[index + 1 :]))
        before, after = scene_renders(case)
        own, box = after.masks[index], bounding_box(after.masks[index])
        if isinstance(case.task, Paste):
            old = Look.of(np.asarray(case.task.reference), as_mask(case.task.reference_mask))
        else:
            old = Look.of(before.image, before.masks[index])
        return cls(
            plate=render(rest, case.truth.shape[0]).image.astype(np.float32),
            looks=(Look.of(case.truth, own), old),
            home=np.array([box.left + box.right, box.top + box.bottom]) / 2,
        )

    def find(self, picture: np.ndarray) -> Found | None:
        """The object in a picture (H, W, 3); None when the plate explains all of it better."""
        pixels = picture.astype(np.float32)
        return self._found(pixels) or self._softened()._found(_soft(pixels, self._softness))

    def _found(self, pixels: np.ndarray) -> Found | None:
        scene, small = _Scene.of(pixels, self.plate), _Scene.of(_half(pixels), _half(self.plate))
        placed = [(look, self._place(scene, small, look)) for look in self.looks]
        look, (score, scale, centre) = min(placed, key=lambda pair: pair[1][0])
        if score >= 0:
            return None
        growth = np.divide(look.mask.shape[1::-1], self.looks[0].mask.shape[1::-1])
        return Found(centre=np.array(centre), scale=np.array(scale) * growth)

    @property
    def _softness(self) -> float:
        return SOFTNESS * self.plate.shape[1]

    def _softened(self) -> Self:
        """The finder of the same object in pictures that are blurred."""
        sigma = self._softness
        looks = (self.looks[0].softened(sigma), self.looks[1].softened(sigma))
        return replace(self, plate=_soft(self.plate, sigma), looks=looks)

    @staticmethod
    def _place(scene: _Scene, small: _Scene, look: Look) -> Placed:
        """Where a look has the least score, by a search at half the size and one round the best."""
        coarse = small.best(look.halved(), product(COARSE, COARSE))[1]
        return scene.best(look, [(coarse[0] * a, coarse[1] * b) for a, b in product(FINE, FINE)])


def _bordered(pixels: np.ndarray) -> np.ndarray:
    edges = (BORDER, BORDER, BORDER, BORDER)
    return cv2.copyMakeBorder(pixels, *edges, borderType=cv2.BORDER_REPLICATE)


def _soft(pixels: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(pixels, (0, 0), sigma)


def _half(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    return cv2.resize(
        pixels, (max(2, width // 2), max(2, height // 2)), interpolation=cv2.INTER_AREA
    )


def _scene(spec: object) -> SceneSpec:
    if not isinstance(spec, SceneSpec):
        raise TypeError("Only scenes have objects.")
    return spec
