"""What an edit will roughly look like, at once and without a model.

    drag, face      the picture warped so that every point comes close to its target
    move, paste     the object laid at its new place; where it stood, the surroundings go on
    appearance      the colours of the object matched to those of the reference object

It is also the plain baseline that the diffusion edits are measured against. Inside, pictures are
float32 (H, W, 3) of 0 to 255 and points are complex numbers x + iy in pixels.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import singledispatch
from typing import Self, cast

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from diffeditor.errors import InvalidEdit
from diffeditor.geometry import ObjectMap, Point, Size
from diffeditor.images import resize_image, resize_mask
from diffeditor.tasks import Appearance, Drag, Face, Move, Paste, Task
from diffeditor.tasks.base import as_mask, extent

Pixels = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Points = npt.NDArray[np.complex128]

LIMIT = 1024
"""Longer side in pixels at which a picture is worked on unless a limit is given."""

# Lengths are in mean sides of the object or region (see `extent`) unless said otherwise. The values
# are the best of those tried on rendered worlds whose right answer is known.
SURROUNDINGS = 0.08
"""How far round an object the picture is filled; less than a move may change, so that it shows."""
COARSE = 32
"""Mean side in pixels to which a hole is reduced before it is filled: a wide view, a short wait."""
REACH = 9
"""How far the filling looks, in pixels of the reduced picture."""
UNKNOWN = 0.3
"""A pixel of the reduced picture is filled where less than this share of it is known."""
DRAG_BAND = 0.1
"""Width of the band inside a dragged region's border over which the warp fades out."""
FACE_BAND = 0.25
"""The same for faces, whose region holds hair and neck too."""
FALLOFF = 1.5
"""Power of the distance with which a point's say in the warp fades."""
STIFFNESS = 0.002
"""How much a warp prefers shifts to stretches, in squared sides."""
STRIDE = 4
"""Pixels between the places where a warp is worked out; between them it is interpolated."""


def preview(task: Task, limit: int | None = None) -> Image.Image:
    """The edit as a sketch, RGB.

    task: a `Face` needs its source and its target landmarks (see `Face.prepared`).
    limit: None gives a picture of the source's size, whose pixels outside the task's region are
        the source's own; a number of pixels bounds the longer side of the picture instead.

    Raises:
        InvalidEdit: a face's landmarks are not known yet.
    """
    frame = Frame.within(task.size, limit or LIMIT)
    before = frame.picture(task.source)
    after, opacity = _sketch(task, frame, before.astype(np.float32))
    sketch = _blended(before, after, opacity)
    if limit is not None or frame.size == task.size:
        return Image.fromarray(sketch)
    enlarged = resize_image(Image.fromarray(sketch), task.size)
    opacity = cv2.resize(opacity, (task.size.width, task.size.height))
    return Image.fromarray(_blended(np.asarray(task.source), np.asarray(enlarged), opacity))


def _blended(before: np.ndarray, after: np.ndarray, opacity: Pixels) -> np.ndarray:
    """uint8: `before` exactly where the opacity (H, W) is 0."""
    touched = opacity > 0
    result = before.copy()
    old, share = before[touched].astype(np.float32), opacity[touched][:, None]
    result[touched] = np.clip(np.rint(old + share * (after[touched] - old)), 0, 255)
    return result


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The size that is worked at, and the source's."""

    size: Size
    source: Size

    @classmethod
    def within(cls, source: Size, limit: int) -> Self:
        """The source's size, reduced where its longer side is above the limit."""
        share = min(1.0, limit / max(source.height, source.width))
        height, width = (max(1, round(share * side)) for side in (source.height, source.width))
        return cls(size=Size(height, width), source=source)

    def picture(self, image: Image.Image) -> np.ndarray:
        return np.asarray(resize_image(image, self.size))

    def mask(self, mask: object) -> Mask:
        inside = as_mask(mask)
        return inside if self.size == self.source else resize_mask(inside, self.size)

    def points(self, points: Iterable[Point]) -> Points:
        moved = [point.rescaled(self.source, self.size) for point in points]
        return np.array([complex(p.x, p.y) for p in moved])

    def matrix(self, object_map: ObjectMap) -> np.ndarray:
        """The object's map from its picture's pixels to those of this frame, (2, 3)."""
        x, y = self.size.width / self.source.width, self.size.height / self.source.height
        offset = object_map.forward(Point(0.0, 0.0))
        scale = object_map.scale
        return np.array([[x * scale, 0, x * offset.x], [0, y * scale, y * offset.y]])


@singledispatch
def _sketch(task: Task, frame: Frame, before: Pixels) -> tuple[Pixels, Pixels]:
    """The edited picture of the frame's size, and where it shows: opacity (H, W), 0 to 1."""
    raise InvalidEdit(f"There is no preview of the task {task.name}.")


@_sketch.register
def _(task: Move, frame: Frame, before: Pixels) -> tuple[Pixels, Pixels]:
    mask = frame.mask(task.mask)
    hole, opacity = _grown(mask, max(1.0, SURROUNDINGS * extent(mask)))
    picture, cover = _laid(np.asarray(task.source), as_mask(task.mask), task.object_map, frame)
    ground = _filled(before, hole)
    after = ground + cover[..., None] * (picture - ground)
    return after, np.maximum(opacity, cover)


@_sketch.register
def _(task: Paste, frame: Frame, before: Pixels) -> tuple[Pixels, Pixels]:
    reference = np.asarray(cast(Image.Image, task.reference))
    return _laid(reference, as_mask(task.reference_mask), task.object_map, frame)


@_sketch.register
def _(task: Drag, frame: Frame, before: Pixels) -> tuple[Pixels, Pixels]:
    starts, ends = zip(*task.targets(), strict=True)
    pairs = frame.points(starts), frame.points(ends)
    return _pulled(before, frame.mask(task.region()), pairs, DRAG_BAND)


@_sketch.register
def _(task: Face, frame: Frame, before: Pixels) -> tuple[Pixels, Pixels]:
    if task.source_landmarks is None or task.target_landmarks is None:
        raise InvalidEdit("Find the landmarks of the face first; the preview follows them.")
    places = {Point(*place): Point(*place) for place in task.source_landmarks} | dict(
        task.targets()
    )
    pairs = frame.points(places.keys()), frame.points(places.values())
    return _pulled(before, frame.mask(task.region()), pairs, FACE_BAND)


@_sketch.register
def _(task: Appearance, frame: Frame, before: Pixels) -> tuple[Pixels, Pixels]:
    mask = frame.mask(task.mask)
    wanted = np.asarray(cast(Image.Image, task.reference))[as_mask(task.reference_mask)]
    after = before.copy()
    after[mask] = _recoloured(before[mask], wanted.astype(np.float32))
    return after, np.minimum(_depth(mask), 1)


def _depth(mask: Mask) -> Pixels:
    """Distance in pixels of every pixel to the nearest one outside; the frame is no border."""
    if mask.all():
        return np.full(mask.shape, np.inf, np.float32)
    inside = mask.astype(np.uint8)
    return cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE).astype(np.float32)


def _eased(share: Pixels) -> Pixels:
    """0 to 1 with a smooth start and end."""
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)


# --- objects ----------------------------------------------------------------------------------


def _grown(mask: Mask, reach: float) -> tuple[Mask, Pixels]:
    """The mask with all within `reach` pixels, and its opacity that fades over that ring."""
    away = _depth(~mask)
    return away < reach + 1, np.clip((reach + 1 - away) / reach, 0, 1).astype(np.float32)


def _filled(picture: Pixels, hole: Mask) -> Pixels:
    """The picture with the hole filled from round it, smooth as a glance would remember it."""
    height, width = hole.shape
    share = min(1.0, COARSE / extent(hole))
    small = (max(1, round(share * width)), max(1, round(share * height)))
    known = (~hole).astype(np.float32)
    cover = cv2.resize(known, small, interpolation=cv2.INTER_AREA)
    colours = cv2.resize(picture * known[..., None], small, interpolation=cv2.INTER_AREA)
    colours = colours / np.maximum(cover, UNKNOWN)[..., None]
    missing = (cover < UNKNOWN).astype(np.uint8)
    filled = cv2.inpaint(np.rint(colours).astype(np.uint8), missing, REACH, cv2.INPAINT_TELEA)
    large = cv2.resize(filled, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.where(hole[..., None], large, picture).astype(np.float32)


def _laid(
    picture: np.ndarray, mask: Mask, object_map: ObjectMap, frame: Frame
) -> tuple[Pixels, Pixels]:
    """The object at its place in the frame, and its cover (H, W) of the pixels, 0 to 1."""
    matrix = frame.matrix(object_map)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    matrix[:, 2] += matrix[:, :2] @ (columns[0] - 1, rows[0] - 1)
    inside = mask[box].astype(np.float32)[..., None]
    layers = np.concatenate([picture[box] * inside, inside], axis=2)
    layers, matrix = _reduced(np.pad(layers, ((1, 1), (1, 1), (0, 0))), matrix)
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    laid = cv2.warpAffine(layers, matrix, (frame.size.width, frame.size.height))
    cover = laid[..., 3]
    return laid[..., :3] / np.maximum(cover, 1e-6)[..., None], cover


def _reduced(layers: Pixels, matrix: np.ndarray) -> tuple[Pixels, np.ndarray]:
    """The layers by area means at about the size they will have, and the map that is left."""
    height, width = layers.shape[:2]
    if matrix[0, 0] >= 1 or matrix[1, 1] >= 1:
        return layers, matrix.copy()
    small = max(1, round(width * matrix[0, 0])), max(1, round(height * matrix[1, 1]))
    left = np.array([[width / small[0], 0, 0], [0, height / small[1], 0], [0, 0, 1]])
    return cv2.resize(layers, small, interpolation=cv2.INTER_AREA), matrix @ left


# --- warps ------------------------------------------------------------------------------------


def _pulled(
    before: Pixels, region: Mask, pairs: tuple[Points, Points], band: float
) -> tuple[Pixels, Pixels]:
    """The picture with starts brought to ends inside the region; the edge of its frame is free."""
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    depth = _depth(region)[box]
    eased = _eased(depth / max(1.0, band * extent(region)))
    offset = _displacement(pairs, box, STIFFNESS * extent(region) ** 2) * eased[..., None]
    y, x = np.mgrid[box].astype(np.float32)
    warped = cv2.remap(
        before,
        x + offset[..., 0],
        y + offset[..., 1],
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    after = before.copy()
    after[box] = warped
    return after, region.astype(np.float32)


def _displacement(pairs: tuple[Points, Points], box: tuple[slice, slice], ridge: float) -> Pixels:
    """From every pixel of the box to where its content comes from, (height, width, 2) pixels."""
    top, left = box[0].start, box[1].start
    height, width = box[0].stop - top, box[1].stop - left
    y, x = np.mgrid[0 : height + STRIDE : STRIDE, 0 : width + STRIDE : STRIDE]
    places = (left + x + 0.5 + 1j * (top + y + 0.5)).ravel()
    starts, ends = pairs
    moved = (_moving_least_squares(ends, starts, places, ridge) - places).reshape(x.shape)
    coarse = np.stack([moved.real, moved.imag], axis=-1).astype(np.float32)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / STRIDE
    return cv2.remap(coarse, x, y, cv2.INTER_LINEAR)


def _moving_least_squares(ends: Points, starts: Points, places: Points, ridge: float) -> Points:
    """Where the content of each place comes from: the affine map that fits the nearest points best.

    One point gives a shift, two a stretch along their line, three or more any affine map; ridge,
    in squared pixels, draws the map towards a shift [Schaefer et al. 2006, affine deformations].
    """
    weights = 1 / np.maximum(np.abs(places[:, None] - ends), 0.5) ** (2 * FALLOFF)
    weights /= weights.sum(1, keepdims=True)
    end, start = weights @ ends, weights @ starts
    from_end, from_start = ends - end[:, None], starts - start[:, None]
    z, change = _plane(from_end), _plane(from_start - from_end)
    weighted = (z * weights[..., None]).swapaxes(1, 2)
    stretch = np.linalg.solve(weighted @ z + ridge * np.eye(2), weighted @ change)
    away = places - end
    stretched = (_plane(away)[:, None] @ stretch)[:, 0]
    return start + away + stretched[:, 0] + 1j * stretched[:, 1]


def _plane(points: Points) -> np.ndarray:
    return np.stack([points.real, points.imag], axis=-1)


# --- colours ----------------------------------------------------------------------------------


def _recoloured(colours: Pixels, wanted: Pixels) -> Pixels:
    """Colours (n, 3) with the mean and the spread that the wanted ones (m, 3) have, in CIE L*a*b*.

    [Reinhard et al. 2001]
    """
    own, other = _lab(colours), _lab(wanted)
    spread = other.std(0) / np.maximum(own.std(0), 1e-3)
    matched = ((own - own.mean(0)) * spread + other.mean(0)).astype(np.float32)
    return cv2.cvtColor(matched[None], cv2.COLOR_LAB2RGB)[0] * 255


def _lab(colours: Pixels) -> Pixels:
    return cv2.cvtColor(colours[None] / np.float32(255), cv2.COLOR_RGB2LAB)[0]
