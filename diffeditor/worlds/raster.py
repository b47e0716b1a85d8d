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


CHUNK = 1 << 18
"""Elements of the tensors in which distances to edges are computed: few, but in a cache."""

CHUNK_ACCELERATOR = 1 << 25
"""The same where launching an operation costs more than a cache saves; one part in nine of them."""


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


def _spans(x: Tensor, y: Tensor, count: int) -> Iterator[slice]:
    """Cut `count` edges into runs whose (B, edges, h, w) tensors have about CHUNK elements."""
    chunk = CHUNK if x.device.type == "cpu" else CHUNK_ACCELERATOR
    step = max(1, chunk // (y.numel() * x.shape[-1]))
    return (slice(first, first + step) for first in range(0, count, step))


def _segments(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest points of segments from a to b, both (B, E, 2).

    Returns where they lie, t in [0, 1] from a to b, and their distance squared, (B, E, h, w).
    """
    edge = b - a
    slope = edge / (edge * edge).sum(-1, keepdim=True).clamp_min(1e-12)
    ax, ay = a[..., None, None].unbind(2)
    ex, ey = edge[..., None, None].unbind(2)
    kx, ky = slope[..., None, None].unbind(2)
    dx, dy = x[:, None] - ax, y[:, None] - ay
    t = torch.add(dx * kx, dy * ky).clamp_(0.0, 1.0)
    px = torch.addcmul(dx, t, ex, value=-1.0)
    py = torch.addcmul(dy, t, ey, value=-1.0)
    return t, px.mul_(px).addcmul_(py, py)


def _crossed(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Whether a ray to the right crosses an odd number of the edges (B, E, 2), bool (B, h, w)."""
    ax, ay = a[..., None, None].unbind(2)
    bx, by = b[..., None, None].unbind(2)
    spanned = (y[:, None] >= ay) != (y[:, None] >= by)
    rise = torch.where(by == ay, 1.0, by - ay)
    crossing = torch.where(spanned, ax + (y[:, None] - ay) * ((bx - ax) / rise), -torch.inf)
    return (x[:, None] < crossing).sum(1, dtype=torch.uint8) % 2 == 1


def polygon_distance(x: Tensor, y: Tensor, polygon: Tensor) -> Tensor:
    """Signed distance (B, h, w) to closed polygons (B, M, 2), negative inside (even-odd)."""
    after = polygon.roll(-1, dims=1)
    square = torch.full_like(x + y, torch.inf)
    inside = torch.zeros_like(square, dtype=torch.bool)
    for span in _spans(x, y, polygon.shape[1]):
        a, b = polygon[:, span], after[:, span]
        torch.minimum(square, _segments(x, y, a, b)[1].amin(1), out=square)
        inside.logical_xor_(_crossed(x, y, a, b))
    distance = square.sqrt_()
    return torch.where(inside, -distance, distance)


def stroke_distance(x: Tensor, y: Tensor, line: Tensor, radius: Tensor) -> Tensor:
    """Signed distance (B, h, w) to open polylines (B, M, 2) of half-width radius (B, M)."""
    nearest = torch.full_like(x + y, torch.inf)
    start, grow = radius[:, :-1, None, None], radius.diff(dim=1)[..., None, None]
    for span in _spans(x, y, line.shape[1] - 1):
        t, square = _segments(x, y, line[:, :-1][:, span], line[:, 1:][:, span])
        distance = square.sqrt_().sub_(start[:, span]).sub_(t.mul_(grow[:, span]))
        torch.minimum(nearest, distance.amin(1), out=nearest)
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
