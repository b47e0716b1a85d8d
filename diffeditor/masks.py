"""Masks, latents and pictures, moved by the one affine map of the object. Nothing wraps round.

A mask is float {0, 1}, (1, 1, height, width). A cell of the target shows the source's cell in which
its middle comes to lie. The release addresses cells by their upper left corners instead, as its
nearest-neighbour resizing does, which puts a resized object up to half a cell too low and right.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from diffeditor.geometry import Box, ObjectMap, Point, Size
from diffeditor.images import resize_mask

GridMap = Callable[[Tensor], Tensor]
"""x (B, C, height, width) of the source -> the same grid of the target; zero from outside."""

MIDDLE, CORNER = 0.5, 0.0
"""What stands for a cell: its middle, or its upper left corner as in the release."""

_EDGE = 1e-6  # keeps floor(n - rounding error) at n


def depth(region: np.ndarray) -> np.ndarray:
    """Distance in pixels, float32 (H, W), of each pixel inside to the nearest one outside."""
    if region.all():
        return np.full(region.shape, np.inf, np.float32)
    inside = region.astype(np.uint8)
    return cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE).astype(np.float32)


def grid_mask(mask: np.ndarray, grid: Size, device: torch.device) -> Tensor:
    """A bool mask (H, W) in pixels on a grid: a cell is inside where more than half of it is."""
    cells = torch.from_numpy(resize_mask(mask, grid).astype(np.float32))
    return cells[None, None].to(device)


@dataclass(frozen=True)
class CellMap:
    """For every target cell: the index of its source cell, and whether that lies in the frame.

    source: (height * width,) int64, clamped to the grid; inside: (1, 1, height, width) float.
    """

    source: Tensor
    inside: Tensor

    @classmethod
    def of(
        cls, object_map: ObjectMap, grid: Size, device: torch.device, anchor: float = MIDDLE
    ) -> "CellMap":
        rows, columns = (axis.floor().long() for axis in _sources(object_map, grid, anchor))
        inside_rows = (rows >= 0) & (rows < grid.height)
        inside_columns = (columns >= 0) & (columns < grid.width)
        rows, columns = rows.clamp(0, grid.height - 1), columns.clamp(0, grid.width - 1)
        source = (rows[:, None] * grid.width + columns).flatten()
        inside = (inside_rows[:, None] & inside_columns).float()[None, None]
        return cls(source.to(device), inside.to(device))

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, C, height, width) moved; what comes from outside the frame is zero."""
        return x.flatten(2)[:, :, self.source].view_as(x) * self.inside.to(x.dtype)


@dataclass(frozen=True)
class PlaceMap:
    """For every target cell the exact place in the source that it shows, between four cells.

    places: (height, width, 2), (x, y) in cells, of the middles of the target's cells.
    """

    places: Tensor

    @classmethod
    def of(cls, object_map: ObjectMap, grid: Size, device: torch.device) -> "PlaceMap":
        y, x = _sources(object_map, grid, MIDDLE)
        places = torch.stack([*torch.meshgrid(x, y, indexing="xy")], dim=-1)
        return cls(places.float().to(device))

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, C, height, width) moved; what comes from outside the frame is zero."""
        return sampled(x, self.places)


def sampled(x: Tensor, places: Tensor) -> Tensor:
    """x (B, C, H, W) at places (h, w, 2), (x, y) in its cells, bilinear: (B, C, h, w)."""
    height, width = x.shape[-2:]
    grid = places * (2 / places.new_tensor([width, height])) - 1
    grid = grid.to(x.dtype).expand(len(x), *grid.shape)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _sources(object_map: ObjectMap, grid: Size, anchor: float) -> tuple[Tensor, Tensor]:
    """Where every target row and every target column comes from, in cells, float64."""
    centre, shift, scale = object_map.centre, object_map.shift, object_map.scale
    return (
        _axis_sources(grid.height, anchor, centre.y, shift.dy, scale),
        _axis_sources(grid.width, anchor, centre.x, shift.dx, scale),
    )


def _axis_sources(length: int, anchor: float, centre: float, shift: float, scale: float) -> Tensor:
    targets = torch.arange(length, dtype=torch.float64) + anchor
    return centre + (targets - centre - shift) / scale + _EDGE


def bounding_box(mask: np.ndarray) -> Box:
    """The bounding box of a non-empty bool mask (H, W)."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def box_centre(mask: np.ndarray) -> Point:
    """Centre of the bounding box of a non-empty bool mask (H, W), in its pixels."""
    box = bounding_box(mask)
    return Point((box.left + box.right) / 2, (box.top + box.bottom) / 2)


def moved_mask(mask: np.ndarray, object_map: ObjectMap) -> np.ndarray:
    """A bool mask (H, W) after the object's map in the same pixels, cropped to the frame."""
    sources = _sources(object_map, Size(*mask.shape), MIDDLE)
    rows, columns = (axis.floor().long().numpy() for axis in sources)
    inside = [(axis >= 0) & (axis < n) for axis, n in zip((rows, columns), mask.shape, strict=True)]
    moved = np.zeros_like(mask)
    moved[np.ix_(*inside)] = mask[np.ix_(rows[inside[0]], columns[inside[1]])]
    return moved


def moved_picture(picture: np.ndarray, object_map: ObjectMap, size: Size) -> np.ndarray:
    """A picture uint8 (H, W, 3) after the object's map, at `size`; its border goes on outside.

    A reduction takes area means first; the rest is cubic and exact to a fraction of a pixel.
    """
    return _warped(picture, object_map, size, cv2.BORDER_REPLICATE)


def resampled_mask(mask: np.ndarray, object_map: ObjectMap, size: Size) -> np.ndarray:
    """A bool mask (H, W) after the same map as `moved_picture`; nothing is inside beyond it."""
    return _warped(mask.astype(np.uint8) * 255, object_map, size, cv2.BORDER_CONSTANT) > 127


def _warped(pixels: np.ndarray, object_map: ObjectMap, size: Size, border: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    if object_map.scale < 1:
        reduced = [max(1, round(n * object_map.scale)) for n in (width, height)]
        pixels = cv2.resize(pixels, reduced, interpolation=cv2.INTER_AREA)
    x = object_map.scale * width / pixels.shape[1]
    y = object_map.scale * height / pixels.shape[0]
    corner = object_map.forward(Point(0.0, 0.0))
    half_x, half_y = 0.5 * (x - 1), 0.5 * (y - 1)  # pixel centres instead of corners
    matrix = np.array([[x, 0, corner.x + half_x], [0, y, corner.y + half_y]], dtype=np.float64)
    side = (size.width, size.height)
    return cv2.warpAffine(pixels, matrix, side, flags=cv2.INTER_CUBIC, borderMode=border)


_OFFSETS = tuple((dr, dc) for dr in (-1, 0, 1) for dc in (-1, 0, 1))


@dataclass(frozen=True)
class Patches:
    """3 x 3 cells round the start and the end of P point pairs, cell by cell.

    start, end: (P, 9) int64 cell indices, clamped; valid: (P, 9) float, 1 where both cells of a
    pair of cells lie in the frame; left: (P, 9) float, 1 where a start cell is not an end cell;
    places: (P, 9, 2), (x, y) in cells, what the middle of each end cell shows once the point has
    come exactly to its end; None: the start cell as a whole, as in the release.
    """

    start: Tensor
    end: Tensor
    valid: Tensor
    left: Tensor
    places: Tensor | None = None

    @classmethod
    def of(
        cls,
        starts: list[Point],
        ends: list[Point],
        grid: Size,
        device: torch.device,
        *,
        whole_cells: bool = False,
    ) -> "Patches":
        """Patches for points given in cells of the grid."""
        start, inside_start = _patch_cells(starts, grid)
        end, inside_end = _patch_cells(ends, grid)
        places = None if whole_cells else _shown(starts, ends, grid).to(device)
        overlap = (start[:, :, None] == end[:, None, :]) & inside_end[:, None, :]
        left = inside_start & ~overlap.any(2)
        valid = inside_start & inside_end
        return cls(
            start.to(device),
            end.to(device),
            valid.float().to(device),
            left.float().to(device),
            places,
        )

    @classmethod
    def between(
        cls,
        pairs: Sequence[tuple[Point, Point]],
        source: Size,
        grid: Size,
        device: torch.device,
        *,
        whole_cells: bool = False,
    ) -> "Patches":
        """Patches on a grid for pairs (start, end) given in a picture's pixels."""
        starts, ends = (
            [p.rescaled(source, grid) for p in side] for side in zip(*pairs, strict=True)
        )
        return cls.of(starts, ends, grid, device, whole_cells=whole_cells)

    def starts(self, x: Tensor) -> Tensor:
        """What the end cells show of x (1, C, h, w) when the points have come: (C, P, 9)."""
        if self.places is None:
            return x.flatten(2)[0, :, self.start]
        return sampled(x, self.places)[0]

    def copied(self, x: Tensor) -> Tensor:
        """x (B, C, h, w) with the start cells' values written to the end cells, pair by pair."""
        flat = x.flatten(2)
        result = flat.clone()
        for start, end, valid in zip(self.start, self.end, self.valid > 0, strict=True):
            result[:, :, end[valid]] = flat[:, :, start[valid]]
        return result.view_as(x)


def _patch_cells(points: list[Point], grid: Size) -> tuple[Tensor, Tensor]:
    centres = torch.tensor([point.cell(grid) for point in points])
    cells = centres[:, None, :] + torch.tensor(_OFFSETS)
    limit = torch.tensor([grid.height, grid.width])
    inside = ((cells >= 0) & (cells < limit)).all(-1)
    cells = torch.minimum(cells.clamp_min(0), limit - 1)
    return cells[..., 0] * grid.width + cells[..., 1], inside


def _shown(starts: list[Point], ends: list[Point], grid: Size) -> Tensor:
    """(P, 9, 2), (x, y) in cells: the middles of the end cells, carried back to the starts."""
    rows, columns = _patch_middles(ends, grid)
    way = torch.tensor([[b.x - a.x, b.y - a.y] for a, b in zip(starts, ends, strict=True)])
    return torch.stack([columns, rows], dim=-1) - way[:, None]


def _patch_middles(points: list[Point], grid: Size) -> tuple[Tensor, Tensor]:
    """Rows and columns (P, 9) of the middles of the 3 x 3 cells round points."""
    centres = torch.tensor([point.cell(grid) for point in points])
    middles = centres[:, None, :] + torch.tensor(_OFFSETS) + MIDDLE
    return middles[..., 0], middles[..., 1]
