"""What an edit will roughly look like, at once and without a model.

    drag, face      the picture warped so that every point comes close to its target
    move, paste     the object laid at its new place; where it stood, the surroundings go on
    appearance      the colours of the object matched to those of the reference object

It is also the plain baseline that the diffusion edits are measured against, and what they begin
from where their `sketch_until` is above 0. Inside, pictures are float32 (H, W, 3) of 0 to 255.
"""

from dataclasses import dataclass
from functools import singledispatch
from typing import Self, cast

import cv2
import numpy as np
from PIL import Image

from diffeditor.errors import InvalidEdit, InvalidSetting
from diffeditor.fill import FAINT, cleared
from diffeditor.geometry import ObjectMap, Point, Size
from diffeditor.images import resize_image, resize_mask
from diffeditor.masks import bounding_box, depth
from diffeditor.tasks import Appearance, Drag, Face, Move, Paste, Task
from diffeditor.tasks.base import as_mask, extent
from diffeditor.tasks.move import SURROUNDINGS
from diffeditor.warp import Pairs, misfit, pulled

LIMIT = 1024
"""Longer side in pixels at which a picture is worked on unless a limit is given."""

# The values below did best, or as well as any, on rendered worlds whose right answer is known.
# Lengths are in mean sides of the object or the region (see `extent`) unless said otherwise.
SOFTNESS = 0.5
"""Standard deviation in pixels by which an object's edge is softened, inwards only."""
WHOLE_BAND, PARTS_BAND, FACE_BAND = 0.05, 0.2, 0.25
"""Widths of the bands inside a region's border over which a warp fades out: where a thing is
dragged as a whole, which fills its region, where parts of it are, and by a face's landmarks, whose
region holds hair and neck too."""
BENT = 0.25
"""Misfit of one affine map to the pairs (see `misfit`) from which on they drag parts."""
FADE = 0.07
"""Width of the band inside a region's border over which the warped picture fades in."""
EDGE = 1.5
"""Width in pixels of the same band when colours are changed."""
GRAIN = 1.0
"""Variance in L*a*b* that any colours are taken to have, so that plain ones can be spread too."""


def preview(task: Task, limit: int | None = None) -> Image.Image:
    """The edit as a sketch, RGB.

    task: a `Face` needs its source and its target landmarks (see `Face.prepared`).
    limit: None gives a picture of the source's size, whose pixels outside the task's region are
        the source's own; a number of pixels bounds the longer side of the picture instead.

    Raises:
        InvalidEdit: a face's landmarks are not known yet.
        InvalidSetting: the limit is no positive number.
    """
    if limit is not None and limit < 1:
        raise InvalidSetting(f"The limit of a preview must be at least 1 pixel, not {limit}.")
    frame = Frame.within(task.size, limit or LIMIT)
    if limit is not None:
        return sketch(task, frame.size)
    region = task.region()
    before = frame.picture(task.source).astype(np.float32)
    after, opacity = _sketch(task, frame, before, frame.mask(region))
    whole = Frame(size=task.size, source=task.size)
    after, opacity = (cv2.resize(layer, whole.sides) for layer in (after, opacity))
    return Image.fromarray(
        _blended(whole.picture(task.source), after, np.where(region, opacity, 0))
    )


def _blended(before: np.ndarray, after: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3), exactly `before` where the opacity (H, W) is 0."""
    result = before.copy()
    if not opacity.any():
        return result
    box = bounding_box(opacity > 0).slices
    old = before[box].astype(np.float32)
    blend = old + opacity[box][..., None] * (after[box] - old)
    result[box] = np.clip(np.rint(blend), 0, 255).astype(np.uint8)
    return result


def sketch(task: Task, size: Size) -> Image.Image:
    """The preview at a size whatever the source's aspect, resized as the source itself would be.

    Raises:
        InvalidEdit: a face's landmarks are not known yet.
    """
    frame = Frame(size=size, source=task.size)
    before = frame.picture(task.source)
    region = frame.mask(task.region())
    after, opacity = _sketch(task, frame, before.astype(np.float32), region)
    return Image.fromarray(_blended(before, after, np.where(region, opacity, 0)))


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

    @property
    def sides(self) -> tuple[int, int]:
        """Width and height, as OpenCV has them."""
        return self.size.width, self.size.height

    def picture(self, image: Image.Image) -> np.ndarray:
        return np.asarray(resize_image(image, self.size))

    def mask(self, mask: object) -> np.ndarray:
        inside = as_mask(mask)
        return inside if self.size == self.source else resize_mask(inside, self.size)

    def pairs(self, ends: dict[Point, Point]) -> Pairs:
        """The keys as starts and the values as ends, in this frame's pixels."""
        starts, goals = (
            np.array([(p.x, p.y) for p in points]) for points in (ends.keys(), ends.values())
        )
        scale = self.size.width / self.source.width, self.size.height / self.source.height
        return starts * scale, goals * scale

    def matrix(self, object_map: ObjectMap) -> np.ndarray:
        """The object's map from its picture's pixels to those of this frame, (3, 3)."""
        x, y = self.size.width / self.source.width, self.size.height / self.source.height
        offset, scale = object_map.forward(Point(0.0, 0.0)), object_map.scale
        return np.diag([x, y, 1]) @ [[scale, 0, offset.x], [0, scale, offset.y], [0, 0, 1]]


@singledispatch
def _sketch(
    task: Task, frame: Frame, before: np.ndarray, region: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The edited picture of the frame's size, and its opacity float32 (H, W) over the source.

    before, region: the source and the task's region at that size.
    """
    raise InvalidEdit(f"There is no preview of the task {task.name}.")


@_sketch.register
def _(
    task: Move, frame: Frame, before: np.ndarray, region: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    mask = frame.mask(task.mask)
    placed, cover = _laid(np.asarray(task.source), as_mask(task.mask), task.object_map, frame)
    ground, hole = cleared(before, mask, SURROUNDINGS * extent(mask))
    after = ground + cover[..., None] * (placed - ground)
    return after, (hole | (cover > 0)).astype(np.float32)


@_sketch.register
def _(
    task: Paste, frame: Frame, before: np.ndarray, region: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    reference = np.asarray(cast(Image.Image, task.reference))
    return _laid(reference, as_mask(task.reference_mask), task.object_map, frame)


@_sketch.register
def _(
    task: Drag, frame: Frame, before: np.ndarray, region: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    pairs = frame.pairs(dict(task.targets()))
    parts = min(1.0, misfit(pairs) / BENT)
    return _warped(before, region, pairs, WHOLE_BAND + parts * (PARTS_BAND - WHOLE_BAND))


@_sketch.register
def _(
    task: Face, frame: Frame, before: np.ndarray, region: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    still = {place: place for place in (Point(*xy) for xy in task.source_landmarks)}
    return _warped(before, region, frame.pairs(still | dict(task.targets())), FACE_BAND)


@_sketch.register
def _(
    task: Appearance, frame: Frame, before: np.ndarray, region: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    mask = frame.mask(task.mask)
    wanted = np.asarray(cast(Image.Image, task.reference))[as_mask(task.reference_mask)]
    after = before.copy()
    after[mask] = _recoloured(before[mask], wanted.astype(np.float32))
    return after, np.clip(depth(mask) / EDGE, 0, 1)


def _warped(
    before: np.ndarray, region: np.ndarray, pairs: Pairs, band: float
) -> tuple[np.ndarray, np.ndarray]:
    """The picture pulled inside the region, into which it fades at the border."""
    inside, side = depth(region), extent(region)
    opacity = np.clip(inside / max(1.0, FADE * side), 0, 1)
    return pulled(before, inside, pairs, band * side), opacity


def _laid(
    picture: np.ndarray, mask: np.ndarray, object_map: ObjectMap, frame: Frame
) -> tuple[np.ndarray, np.ndarray]:
    """A picture of the frame's size with the object at its place, and its cover (H, W), 0 to 1."""
    box = bounding_box(mask)
    inside = mask[box.slices].astype(np.float32)[..., None]
    layers = np.concatenate([picture[box.slices] * inside, inside], axis=2)
    matrix = frame.matrix(object_map) @ _offset(box.left - 1, box.top - 1)
    layers, matrix = _reduced(np.pad(layers, ((1, 1), (1, 1), (0, 0))), matrix)
    matrix = _offset(-0.5, -0.5) @ matrix @ _offset(0.5, 0.5)
    laid = cv2.warpAffine(layers, matrix[:2], frame.sides)
    cover = laid[..., 3]
    softer = np.minimum(cover, cv2.GaussianBlur(cover, (0, 0), SOFTNESS))
    return laid[..., :3] / np.maximum(cover, FAINT)[..., None], softer


def _offset(x: float, y: float) -> np.ndarray:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def _reduced(layers: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The layers by area means at about the size they will have, and the map that is left."""
    height, width = layers.shape[:2]
    scales = matrix[0, 0], matrix[1, 1]
    if max(scales) >= 1:
        return layers, matrix
    small = max(1, round(width * scales[0])), max(1, round(height * scales[1]))
    reduced = cv2.resize(layers, small, interpolation=cv2.INTER_AREA)
    return reduced, matrix @ np.diag([width / small[0], height / small[1], 1.0])


def _recoloured(colours: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Colours (n, 3) carried linearly to the mean and the covariance of the wanted ones (m, 3).

    In CIE L*a*b*, by the linear map that moves them least [Pitie and Kokaram 2007].
    """
    own, other = _lab(colours), _lab(wanted)
    root = _square_root(_covariance(own))
    inverse = np.linalg.inv(root)
    transport = inverse @ _square_root(root @ _covariance(other) @ root) @ inverse
    matched = (own - own.mean(0)) @ transport + other.mean(0)
    return cv2.cvtColor(matched.astype(np.float32)[None], cv2.COLOR_LAB2RGB)[0] * 255


def _lab(colours: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(colours[None] / np.float32(255), cv2.COLOR_RGB2LAB)[0]


def _covariance(colours: np.ndarray) -> np.ndarray:
    return np.cov(colours.T, bias=True) + GRAIN * np.eye(3)


def _square_root(matrix: np.ndarray) -> np.ndarray:
    """Of a symmetric positive matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
