"""What every task is: validated input in the user's pixels, and the EditPlan made of it.

A task knows masks, energies and grids, and nothing of models, samplers or other tasks.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Self, cast

import cv2
import numpy as np
from PIL import Image

from diffeditor.config import Preset, Strengths
from diffeditor.errors import InvalidEdit, OutOfBounds
from diffeditor.geometry import Box, ObjectMap, Point, Size, crop_box
from diffeditor.images import (
    ImageSource,
    MaskSource,
    load_image,
    load_mask,
    resize_image,
    resize_mask,
)
from diffeditor.masks import CORNER, CellMap, GridMap, PlaceMap, bounding_box, box_centre
from diffeditor.plan import EditPlan, Grid

MAX_POINTS = 100
MOST_OF_IT = 0.97
"""Share of an object's pixels that must stay in the picture for it to count as whole [ours]."""
LandmarkFinder = Callable[[Image.Image], np.ndarray]
"""A portrait -> its 68 iBUG landmarks, (68, 2) pixels (x, y); raises NoFaceFound."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Carried:
    """Content that an edit takes over as it is, to another place or where it stands.

    picture: RGB, of the source's size, that shows it; mask: bool (H, W), where it shall be;
    object_map: from the picture's to the source's pixels.
    """

    picture: Image.Image
    mask: np.ndarray
    object_map: ObjectMap


@dataclass(frozen=True, kw_only=True, eq=False)
class Task(ABC):
    """One edit of one source picture.

    Attributes:
        image: the source picture: a path, a PIL image or uint8 (H, W, 3); a PIL image afterwards.
    """

    name: ClassVar[str]
    strengths: ClassVar[Strengths]
    """The release's row of defaults for this task."""

    image: ImageSource

    def __post_init__(self) -> None:
        self._set("image", load_image(self.image, "image"))

    def _set(self, field: str, value: object) -> None:
        object.__setattr__(self, field, value)

    @property
    def source(self) -> Image.Image:
        """The source picture, RGB."""
        return cast(Image.Image, self.image)

    @property
    def size(self) -> Size:
        """The source picture's size in pixels."""
        return size_of(self.source)

    @property
    def pictures(self) -> tuple[Image.Image, ...]:
        """The pictures to invert, all of the source's size: the source, then a reference."""
        return (self.source,)

    @property
    @abstractmethod
    def prompts(self) -> tuple[str, ...]:
        """A prompt for each of `pictures`."""

    @abstractmethod
    def region(self) -> np.ndarray:
        """Bool (H, W) of the source's pixels that the result may change."""

    @abstractmethod
    def plan(self, grid: Grid, strengths: Strengths, preset: Preset) -> EditPlan:
        """The edit on the grids of its picture.

        Raises:
            OutOfBounds: nothing of the object is left in the frame on one of the grids.
        """

    def prepared(self, find_landmarks: LandmarkFinder) -> Self:
        """This task with all that it takes from a landmark finder filled in."""
        return self

    def scope(self) -> Box:
        """The part of the source that the edit changes or reads."""
        return bounding_box(self.region())

    @abstractmethod
    def cropped(self, box: Box) -> Self:
        """The same edit of the part of the source in `box`, which holds the scope."""

    def focused(self, side: int) -> tuple[Self, Box | None]:
        """The task to run at a working size of about side x side, and the box that it shows.

        None stands for the whole source.
        """
        box = crop_box(self.scope(), self.size, side)
        return (self, None) if box is None else (self.cropped(box), box)

    def carried(self) -> tuple[Carried, ...]:
        """What the result shows as it is in one of the pictures, there or at a known place."""
        return ()

    def targets(self) -> tuple[tuple[Point, Point], ...]:
        """Pairs (where it is, where it shall be) that measure how far the edit got."""
        return ()

    def warnings(self) -> tuple[str, ...]:
        """What the user should know of this input although it is accepted."""
        return ()


def size_of(image: Image.Image) -> Size:
    """The size of a PIL image."""
    return Size(image.height, image.width)


def as_mask(mask: object) -> np.ndarray:
    """A mask field of a task after validation: bool (H, W)."""
    return cast(np.ndarray, mask)


def checked_prompt(prompt: object, name: str = "prompt") -> str:
    """The prompt, if it is text."""
    if not isinstance(prompt, str):
        raise InvalidEdit(f"The {name} must be text, not {type(prompt).__name__}.")
    return prompt.strip()


def checked_pair(value: Any, name: str) -> tuple[float, float]:
    """Two finite numbers."""
    try:
        x, y = (float(v) for v in value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidEdit(f"The {name} must be two numbers (x, y), not {value!r}.") from None
    if not (math.isfinite(x) and math.isfinite(y)):
        raise InvalidEdit(f"The {name} must be finite numbers, not ({x}, {y}).")
    return x, y


def checked_scale(value: Any) -> float:
    """A resize factor from 0.05 to 20."""
    try:
        scale = float(value)
    except (TypeError, ValueError):
        raise InvalidEdit(f"The scale must be a number, not {value!r}.") from None
    if not 0.05 <= scale <= 20:
        raise InvalidEdit(f"The scale must be from 0.05 to 20, not {scale:g}.")
    return scale


def checked_points(values: Any, size: Size) -> tuple[tuple[Point, Point], ...]:
    """1 to 100 pairs of different points inside the picture."""
    pairs = list(values) if isinstance(values, Iterable) else []
    if not pairs:
        raise InvalidEdit("There are no points; give at least one pair of start and end.")
    if len(pairs) > MAX_POINTS:
        raise InvalidEdit(f"There are {len(pairs)} point pairs; give at most {MAX_POINTS}.")
    return tuple(_checked_pair_of_points(pair, n + 1, size) for n, pair in enumerate(pairs))


def _checked_pair_of_points(pair: Any, number: int, size: Size) -> tuple[Point, Point]:
    try:
        first, second = pair
    except (TypeError, ValueError):
        raise InvalidEdit(
            f"Point {number} must be a pair of start and end, ((x0, y0), (x1, y1))."
        ) from None
    start = Point(*checked_pair(first, f"start of point {number}"))
    end = Point(*checked_pair(second, f"end of point {number}"))
    for point, which in ((start, "start"), (end, "end")):
        if not size.contains(point):
            raise OutOfBounds(
                f"The {which} of point {number}, ({point.x:g}, {point.y:g}), lies outside the "
                f"picture of {size.width} x {size.height} pixels; move it inside."
            )
    if start == end:
        raise InvalidEdit(f"Point {number} starts and ends at the same place; drag it somewhere.")
    return start, end


def loaded_mask(mask: MaskSource, size: Size, name: str) -> np.ndarray:
    """A mask of a picture of this size that selects some but not all of it."""
    return load_mask(mask, size, name)


def loaded_reference_mask(mask: MaskSource, reference: Image.Image) -> np.ndarray:
    """The mask of the object in a reference, which may fill it."""
    return load_mask(mask, size_of(reference), "reference mask", allow_full=True)


def grid_maps(object_map: ObjectMap, grid: Grid, *, whole_cells: bool) -> tuple[GridMap, GridMap]:
    """An object's map (in pixels of the source) on the feature and on the latent grid.

    Latents always move as whole cells, since a mean of noise is no noise. Features, which only
    guide, keep the fraction of a cell that the object moves by; with `whole_cells` they do not, and
    everything is rounded as in the release.
    """
    on_features = object_map.rescaled(grid.source, grid.feature)
    on_latents = object_map.rescaled(grid.source, grid.latent)
    if whole_cells:
        return (
            CellMap.of(on_features.rounded(), grid.feature, grid.device, CORNER),
            CellMap.of(on_latents.rounded(), grid.latent, grid.device, CORNER),
        )
    return (
        PlaceMap.of(on_features, grid.feature, grid.device),
        CellMap.of(on_latents, grid.latent, grid.device),
    )


def lost(mask: np.ndarray, object_map: ObjectMap, size: Size, why: str) -> OutOfBounds:
    """What to raise where nothing is left of an object: it became too small, or else `why`."""
    if object_map.scale < 1 and size.contains(object_map.forward(box_centre(mask))):
        return OutOfBounds("The object becomes too small to be seen; give a larger scale.")
    return OutOfBounds(why)


def cut_off(mask: np.ndarray, object_map: ObjectMap, size: Size) -> tuple[str, ...]:
    """A warning if more than a little of an object's pixels leave a picture of this size."""
    rows, columns = (axis + 0.5 for axis in np.nonzero(mask))
    there = object_map.forward(Point(cast(float, columns), cast(float, rows)))
    x, y = np.asarray(there.x), np.asarray(there.y)
    inside = (x >= 0) & (x < size.width) & (y >= 0) & (y < size.height)
    if inside.mean() >= MOST_OF_IT:
        return ()
    return ("Part of the object leaves the picture and is cut off there.",)


def dilated(mask: np.ndarray, radius: float) -> np.ndarray:
    """A non-empty bool mask grown by `radius` pixels, at least one."""
    reach = max(1, round(radius))
    around = bounding_box(mask).grown(reach, Size(*mask.shape)).slices
    outside = (~mask[around]).astype(np.uint8)
    grown = np.zeros_like(mask)
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    grown[around] = distance <= reach
    return grown


def extent(mask: np.ndarray) -> float:
    """Mean side of the bounding box of a non-empty bool mask, in pixels."""
    size = bounding_box(mask).size
    return (size.height + size.width) / 2


def fitted(reference: Image.Image, mask: np.ndarray, size: Size) -> tuple[Image.Image, np.ndarray]:
    """A reference and its mask brought to another picture's size without distortion.

    The reference is resized to fit into it, then extended at its border to the other's aspect.
    The mask is never empty.
    """
    own = size_of(reference)
    if own == size:
        return reference, mask
    scale = min(size.width / own.width, size.height / own.height)
    inner = Size(*(max(1, round(scale * side)) for side in (own.height, own.width)))
    left, top = (size.width - inner.width) // 2, (size.height - inner.height) // 2
    border = (top, size.height - inner.height - top, left, size.width - inner.width - left)
    pixels = np.asarray(resize_image(reference, inner))
    picture = cv2.copyMakeBorder(pixels, *border, cv2.BORDER_REPLICATE)
    return Image.fromarray(picture), np.pad(resize_mask(mask, inner), (border[:2], border[2:]))
