"""Anti-aliased 2-D shapes in batched torch, on any device.

Coordinates are frame units: x and y run over [0, 1] from the top left corner of the picture, and a
pixel of a picture of `size` pixels has its centre at ((c + 0.5) / size, (r + 0.5) / size). Shapes
are polygons and polylines (B, M, 2), one per picture; each becomes a signed distance (negative
inside) and the distance becomes a coverage in [0, 1], so that one sample per pixel is enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

COARSE_CELLS = 64
"""Cells per side of the grid on which distances of large, smooth shapes are sampled."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """Pixel centres of one rectangle per picture, all of the same height and width.

    rows (B, h) and columns (B, w) index the picture; x (B, 1, w) and y (B, h, 1) are in frame
    units; pixel is the side of a pixel in frame units.
    """

    rows: Tensor
    columns: Tensor
    x: Tensor
    y: Tensor
    pixel: float

    @staticmethod
    def at(rows: Tensor, columns: Tensor, size: int) -> Window:
        """The window of the given pixel indices in pictures of size x size."""
        x = ((columns + 0.5) / size).float()[:, None, :]
        y = ((rows + 0.5) / size).float()[:, :, None]
        return Window(rows=rows, columns=columns, x=x, y=y, pixel=1.0 / size)

    @staticmethod
    def full(batch: int, size: int, device: torch.device) -> Window:
        """All pixels."""
        index = torch.arange(size, device=device).expand(batch, size)
        return Window.at(index, index, size)

    @staticmethod
    def around(centre: Tensor, width: float, height: float, size: int) -> Window:
        """A width x height box (frame units) round centre (B, 2), pushed inside the frame."""
        extent = [min(size, round(side * size) + 2) for side in (width, height)]
        indices: list[Tensor] = []
        for axis, count in enumerate(extent):
            first = (centre[:, axis] * size - count / 2).round().long().clamp(0, size - count)
            indices.append(first[:, None] + torch.arange(count, device=centre.device))
        return Window.at(indices[1], indices[0], size)


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """Pictures being painted: image (B, 3, h, w) and owner (B, h, w), the part seen in a pixel."""

    image: Tensor
    owner: Tensor

    def paint(self, coverage: Tensor, colour: Tensor, part: int | None = None) -> None:
        """Blend colour (B, 3, 1, 1) or (B, 3, h, w) in by coverage (B, h, w), in place.

        Where coverage exceeds one half the pixel then belongs to `part`, unless that is None.
        """
        self.image.add_(coverage[:, None] * (colour - self.image))
        if part is not None:
            self.owner.masked_fill_(coverage > 0.5, part)

    def crop(self, window: Window) -> Canvas:
        """A copy of the pixels in the window."""
        batch, rows, columns = _indices(window)
        return Canvas(
            image=self.image.permute(0, 2, 3, 1)[batch, rows, columns].permute(0, 3, 1, 2),
            owner=self.owner[batch, rows, columns],
        )

    def paste(self, window: Window, crop: Canvas) -> None:
        """Write back a crop taken with the same window."""
        batch, rows, columns = _indices(window)
        self.image.permute(0, 2, 3, 1)[batch, rows, columns] = crop.image.permute(0, 2, 3, 1)
        self.owner[batch, rows, columns] = crop.owner


def _indices(window: Window) -> tuple[Tensor, Tensor, Tensor]:
    batch = torch.arange(len(window.rows), device=window.rows.device)
    return batch[:, None, None], window.rows[:, :, None], window.columns[:, None, :]


def _segments(x: Tensor, y: Tensor, ends: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield, per segment (a, b) of ends (B, S, 2, 2), the foot's position t and distance squared.

    t in [0, 1] runs from a to b; both results are (B, h, w).
    """
    a, edge = ends[:, :, 0], ends[:, :, 1] - ends[:, :, 0]
    scale = 1.0 / (edge * edge).sum(-1).clamp_min(1e-12)
    for i in range(ends.shape[1]):
        ax, ay = a[:, i, 0, None, None], a[:, i, 1, None, None]
        ex, ey = edge[:, i, 0, None, None], edge[:, i, 1, None, None]
        k = scale[:, i, None, None]
        dx, dy = x - ax, y - ay
        t = torch.add(dx * (ex * k), dy * (ey * k)).clamp_(0.0, 1.0)
        px = torch.addcmul(dx, t, ex, value=-1.0)
        py = torch.addcmul(dy, t, ey, value=-1.0)
        yield t, px.mul_(px).addcmul_(py, py)


def _inside(x: Tensor, y: Tensor, polygon: Tensor) -> Tensor:
    """Whether each pixel is inside by the even-odd rule, bool (B, h, w)."""
    batch, count, _ = polygon.shape
    after = polygon.roll(-1, dims=1)
    inside = torch.zeros(batch, y.shape[1], x.shape[2], dtype=torch.bool, device=x.device)
    for i in range(count):
        ax, ay = polygon[:, i, 0, None, None], polygon[:, i, 1, None, None]
        bx, by = after[:, i, 0, None, None], after[:, i, 1, None, None]
        crosses = (y >= ay) != (y >= by)
        rise = torch.where(by == ay, torch.ones_like(by), by - ay)
        crossing = torch.where(crosses, ax + (y - ay) * ((bx - ax) / rise), -torch.inf)
        inside.logical_xor_(x < crossing)
    return inside


def polygon_distance(x: Tensor, y: Tensor, polygon: Tensor) -> Tensor:
    """Signed distance (B, h, w) to closed polygons (B, M, 2), negative inside (even-odd)."""
    ends = torch.stack([polygon, polygon.roll(-1, dims=1)], dim=2)
    square = torch.full_like(x + y, torch.inf)
    for _, distance in _segments(x, y, ends):
        torch.minimum(square, distance, out=square)
    return torch.where(_inside(x, y, polygon), -square.sqrt(), square.sqrt())


def stroke_distance(x: Tensor, y: Tensor, line: Tensor, radius: Tensor) -> Tensor:
    """Signed distance (B, h, w) to open polylines (B, M, 2) of half-width radius (B, M)."""
    ends = torch.stack([line[:, :-1], line[:, 1:]], dim=2)
    nearest = torch.full_like(x + y, torch.inf)
    for i, (t, square) in enumerate(_segments(x, y, ends)):
        start, end = radius[:, i, None, None], radius[:, i + 1, None, None]
        torch.minimum(nearest, square.sqrt_().sub_(start + t * (end - start)), out=nearest)
    return nearest


def coarse_polygon_distance(window: Window, polygon: Tensor) -> Tensor:
    """`polygon_distance` in a full window, interpolated from a grid of COARSE_CELLS.

    The distance to a smooth outline is almost linear between cells (the error is cell^2 / 8 radius
    of curvature: hundredths of a pixel), and the cost no longer depends on the size of the picture.
    """
    grid = (torch.arange(COARSE_CELLS + 2, device=polygon.device) - 0.5) / COARSE_CELLS
    grid = grid.float().expand(len(polygon), -1)
    coarse = polygon_distance(grid[:, None, :], grid[:, :, None], polygon)
    position = (window.x[0, 0] * COARSE_CELLS + 0.5).clamp(0, COARSE_CELLS + 0.999)
    low = position.long()
    part = position - low
    across = torch.lerp(coarse[:, :, low], coarse[:, :, low + 1], part)
    return torch.lerp(across[:, low], across[:, low + 1], part[:, None])


def coverage(distance: Tensor, pixel: float, inset: float = 0.0) -> Tensor:
    """Share of each pixel covered; the outline first moves inwards by inset pixels."""
    return (0.5 - inset - distance / pixel).clamp_(0.0, 1.0)


def soft(distance: Tensor, width: float | Tensor) -> Tensor:
    """Smooth step from 1 (inside) to 0 over `width` frame units, centred on the outline."""
    t = (0.5 - distance / width).clamp_(0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def gaussians(window: Window, centre: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """Factors of exp(-((x - cx) / rx)^2 - ((y - cy) / ry)^2) for K bumps per picture.

    centre and radius are (B, K, 2); the factors (B, K, w) and (B, K, h) are separable.
    """
    across = (window.x - centre[..., :1]) / radius[..., :1]
    down = (window.y.transpose(1, 2) - centre[..., 1:]) / radius[..., 1:]
    return torch.exp(-across * across), torch.exp(-down * down)
