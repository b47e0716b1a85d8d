"""Sizes, points, boxes and the one affine map that moves an object everywhere.

Coordinates are continuous: a picture of `Size(height, width)` covers [0, width] x [0, height] and
the centre of pixel (row r, column c) lies at Point(x=c + 0.5, y=r + 0.5). A point given in integer
pixel indices addresses that pixel's cell, so `Point(5, 7)` falls into column 5, row 7.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

LARGE = 4
"""A picture of more than this many times the working area is edited in a crop [ours]."""

ROOM = 2
"""A crop's sides are at least this many times those of what the edit needs to see [ours]."""

WORTHWHILE = 0.5
"""A crop of more than this part of the picture's area gains too little: all is taken [ours]."""

PLACES = 4
"""A crop begins at multiples of its side over this, so that nearby edits share it [ours]."""


@dataclass(frozen=True)
class Size:
    """Height and width in pixels, latent cells or feature cells."""

    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ValueError(f"A size needs positive sides, got {self.height} x {self.width}.")

    @property
    def area(self) -> int:
        return self.height * self.width

    def divided(self, factor: int) -> "Size":
        """This size on a grid whose cells are `factor` pixels wide; sides must divide evenly."""
        if self.height % factor or self.width % factor:
            raise ValueError(f"{self} is not a multiple of {factor}.")
        return Size(self.height // factor, self.width // factor)

    def contains(self, point: "Point") -> bool:
        """True where the point's pixel lies inside the picture."""
        return 0 <= point.x < self.width and 0 <= point.y < self.height


@dataclass(frozen=True)
class Point:
    """A position (x right, y down)."""

    x: float
    y: float

    def rescaled(self, source: Size, target: Size) -> "Point":
        """The same place in a picture of another size, each axis by its own factor."""
        return Point(self.x * target.width / source.width, self.y * target.height / source.height)

    def shifted(self, dx: float, dy: float) -> "Point":
        return Point(self.x + dx, self.y + dy)

    def cell(self, grid: Size) -> tuple[int, int]:
        """(row, column) of the cell that holds the point, clamped to the grid."""
        column = min(max(math.floor(self.x), 0), grid.width - 1)
        return min(max(math.floor(self.y), 0), grid.height - 1), column


class Box(NamedTuple):
    """The pixels left <= x < right, top <= y < bottom of a picture, as Pillow has them."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> Size:
        return Size(self.bottom - self.top, self.right - self.left)

    def holds(self, other: "Box") -> bool:
        """True where no pixel of the other box is outside this one."""
        low = self.left <= other.left and self.top <= other.top
        return low and other.right <= self.right and other.bottom <= self.bottom

    def grown(self, by: float, picture: Size) -> "Box":
        """This box with a margin of a number of pixels, as far as the picture goes."""
        margin = math.ceil(by)
        return Box(
            max(self.left - margin, 0),
            max(self.top - margin, 0),
            min(self.right + margin, picture.width),
            min(self.bottom + margin, picture.height),
        )

    def inset(self, by: float, picture: Size) -> "Box":
        """This box, smaller by a number of pixels on the sides that are not the picture's own."""
        margin = math.ceil(by)
        return Box(
            self.left + margin * (self.left > 0),
            self.top + margin * (self.top > 0),
            self.right - margin * (self.right < picture.width),
            self.bottom - margin * (self.bottom < picture.height),
        )

    @property
    def slices(self) -> tuple[slice, slice]:
        """What cuts the box out of an array (height, width, ...)."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


@dataclass(frozen=True)
class Shift:
    """A displacement (dx right, dy down)."""

    dx: float
    dy: float

    def rescaled(self, source: Size, target: Size) -> "Shift":
        """The same displacement in a picture of another size, each axis by its own factor."""
        return Shift(self.dx * target.width / source.width, self.dy * target.height / source.height)

    def rounded(self) -> "Shift":
        """The nearest whole displacement (halves away from zero)."""
        return Shift(_round(self.dx), _round(self.dy))


def _round(value: float) -> int:
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


@dataclass(frozen=True)
class ObjectMap:
    """q = centre + scale * (p - centre) + shift: where a point p of the object goes.

    `centre` and `shift` are in the units of one grid (pixels, latent or feature cells).
    """

    centre: Point
    shift: Shift
    scale: float = 1.0

    def rescaled(self, source: Size, target: Size) -> "ObjectMap":
        """The map on another grid."""
        shift = self.shift.rescaled(source, target)
        return ObjectMap(self.centre.rescaled(source, target), shift, self.scale)

    def rounded(self) -> "ObjectMap":
        """This map, but an unscaled shift is rounded, so that cells map to cells."""
        return replace(self, shift=self.shift.rounded()) if self.scale == 1.0 else self

    def shifted(self, dx: float, dy: float) -> "ObjectMap":
        """This map, then a shift."""
        return replace(self, shift=Shift(self.shift.dx + dx, self.shift.dy + dy))

    def forward(self, p: Point) -> Point:
        return Point(
            self.centre.x + self.scale * (p.x - self.centre.x) + self.shift.dx,
            self.centre.y + self.scale * (p.y - self.centre.y) + self.shift.dy,
        )


STILL = ObjectMap(Point(0.0, 0.0), Shift(0.0, 0.0))


def working_size(source: Size, side: int, multiple: int) -> Size:
    """The size at which the networks run: the source's aspect, an area close to side^2.

    Each side is the multiple of `multiple` (64 pixels for SD 1.x) nearest to it by ratio, and at
    least one multiple.
    """
    aspect = math.sqrt(source.height / source.width)
    return Size(_nearest(side * aspect, multiple), _nearest(side / aspect, multiple))


def _nearest(length: float, multiple: int) -> int:
    low = max(1, math.floor(length / multiple))
    return multiple * (low if length**2 <= low * (low + 1) * multiple**2 else low + 1)


def crop_box(scope: Box, picture: Size, side: int) -> Box | None:
    """The part of a large picture on which an edit of `scope` runs; None: all of it.

    scope: what the edit changes or reads. side: of the square whose area the working size has.

    The sides are rungs of the ladder side * 2^(k/2), at least ROOM times the scope's, neither more
    than twice the other; the area is at least side^2. Beyond the scope lies an eighth of a side of
    context or the picture's border. Sides and places are coarse on purpose: an edit that changes a
    little keeps its crop, and so its inversion.
    """
    if picture.area <= LARGE * side**2:
        return None
    height = _rung(ROOM * scope.size.height, side)
    width = _rung(ROOM * scope.size.width, side)
    height, width = max(height, width // 2), max(width, height // 2)
    height = min(max(height, math.ceil(side**2 / picture.width)), picture.height)
    width = min(max(width, math.ceil(side**2 / height)), picture.width)
    if height * width > WORTHWHILE * picture.area:
        return None
    top = _place(scope.top + scope.bottom, height, picture.height)
    left = _place(scope.left + scope.right, width, picture.width)
    return Box(left, top, left + width, top + height)


def _rung(length: int, side: int) -> int:
    """The least of side * 2^(k/2), k = 0, 1, ... that is not below `length`."""
    k = max(0, math.ceil(2 * math.log2(length / side)))
    return math.ceil(side * 2 ** (k / 2))


def _place(centre_twice: int, length: int, limit: int) -> int:
    """The first pixel of `length` round a centre, on a coarse lattice and inside the picture."""
    step = max(1, length // PLACES)
    return min(max(round((centre_twice - length) / (2 * step)) * step, 0), limit - length)
