"""Sizes, points and the one affine map that moves an object everywhere.

Coordinates are continuous: a picture of `Size(height, width)` covers [0, width] x [0, height] and
the centre of pixel (row r, column c) lies at Point(x=c + 0.5, y=r + 0.5). A point given in integer
pixel indices addresses that pixel's cell, so `Point(5, 7)` falls into column 5, row 7.
"""

import math
from dataclasses import dataclass


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

    def cell(self, grid: Size) -> tuple[int, int]:
        """(row, column) of the cell that holds the point, clamped to the grid."""
        column = min(max(math.floor(self.x), 0), grid.width - 1)
        return min(max(math.floor(self.y), 0), grid.height - 1), column


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
        """The map on another grid; an unscaled shift is rounded there, cells map to cells."""
        shift = self.shift.rescaled(source, target)
        if self.scale == 1.0:
            shift = shift.rounded()
        return ObjectMap(self.centre.rescaled(source, target), shift, self.scale)

    def forward(self, p: Point) -> Point:
        return Point(
            self.centre.x + self.scale * (p.x - self.centre.x) + self.shift.dx,
            self.centre.y + self.scale * (p.y - self.centre.y) + self.shift.dy,
        )


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
