"""Textures of objects and floors: colours as functions of a point and a few parameters.

Points are anything that indexes to x, y, z (or x, z) tensors that broadcast; colours are linear
RGB, (3, ...), in [0, 1]. A texture's own seed becomes an `offset` into one endless noise field, so
that a texture is fixed in its object's coordinates and moves along with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

PATTERNS = ("plain", "shiny", "metal", "striped", "checkered", "dotted", "wooden", "marble")
GLOSS = {
    "plain": 0.08,
    "shiny": 1.0,
    "metal": 1.3,
    "striped": 0.35,
    "checkered": 0.3,
    "dotted": 0.4,
    "wooden": 0.15,
    "marble": 0.6,
}
FLOORS = ("plain", "tiled", "wooden", "marble", "grass", "sand")

WOOD = (0.72, 0.46, 0.22)
PLANKS = (0.60, 0.40, 0.23)
GRASS = ((0.13, 0.34, 0.07), (0.36, 0.58, 0.17))
SAND = ((0.70, 0.56, 0.36), (0.88, 0.77, 0.56))
GOLDEN = 0.6180339887

Point = Sequence[Tensor] | Tensor


def _octave_directions(count: int) -> list[list[list[float]]]:
    """Three unit vectors per octave, fixed once: the grain of the noise field."""
    raw = np.random.default_rng(20).normal(size=(count, 3, 3))
    return (raw / np.linalg.norm(raw, axis=-1, keepdims=True)).tolist()


_DIRECTIONS = _octave_directions(6)


def noise_offset(seed: int) -> tuple[float, float, float]:
    """Where in the noise field the texture `seed` starts; each coordinate in [-40, 40]."""
    x, y, z = np.random.default_rng(seed).uniform(-40.0, 40.0, 3).tolist()
    return x, y, z


def noise(point: Point, octaves: int, frequency: float) -> Tensor:
    """Smooth noise in about [-1, 1]: sums of turned sines, each octave bent by the one before."""
    x, y, z = point
    total, weight, amplitude = torch.zeros_like(x), 0.0, 1.0
    for directions in _DIRECTIONS[:octaves]:
        waves = [
            torch.sin(x * (a * frequency) + y * (b * frequency) + z * (c * frequency))
            for a, b, c in directions
        ]
        total = total + amplitude * waves[0] * (waves[1] + 0.5 * waves[2])
        weight += 1.1 * amplitude
        bend = 0.35 / frequency
        x, y, z = (q + bend * wave for q, wave in zip((x, y, z), waves, strict=True))
        frequency, amplitude = 2.03 * frequency, 0.55 * amplitude
    return total / weight


def blend(first: Tensor, second: Tensor, amount: Tensor) -> Tensor:
    """`first` where amount is 0 and `second` where it is 1."""
    return first + (second - first) * amount


def _step(value: Tensor, width: float) -> Tensor:
    """0 below, 1 above zero, with a linear ramp of this width."""
    return (value / width + 0.5).clamp(0, 1)


def _square_wave(phase: Tensor, width: Tensor) -> Tensor:
    """A square wave in [-1, 1], smoothed over `width` radians, flat grey where that is too wide."""
    return (torch.sin(phase) / width.clamp_min(0.05)).clamp(-1, 1)


def _fade(width: Tensor) -> Tensor:
    """How much of a texture is left where a pixel spans `width` of its periods."""
    return 1 / (1 + width.square())


def _colour(value: Sequence[float], like: Tensor) -> Tensor:
    """A constant colour as (3, 1, ...), to broadcast with a field shaped as `like`."""
    return like.new_tensor(value).view(3, *([1] * like.dim()))


def solid_colour(pattern: str, q: Tensor, base: Tensor, accent: Tensor, offset: Tensor) -> Tensor:
    """Colours (3, M) of one pattern at points q (3, M) of unit solids centred at the origin.

    base, accent: the two colours (3, M); offset: the texture's place in the noise field (3, M).
    """
    x, y, z = q
    if pattern == "striped":
        return blend(base, accent, _step(torch.sin(y * 9.5 + x * 1.5), 0.35))
    if pattern == "checkered":
        wave = [torch.sin(math.pi * 1.8 * axis + 0.6) for axis in (x, y, z)]
        return blend(base, accent, _step(wave[0] * wave[1] * wave[2], 0.12))
    if pattern == "dotted":
        grid = q * 2.7 + 0.25
        distance = (grid - grid.round()).square().sum(0).sqrt()
        return blend(base, accent, _step(0.36 - distance, 0.08))
    if pattern == "wooden":
        return _wood(q, base, offset)
    if pattern == "marble":
        warp = noise(1.2 * q + offset, 4, 1.6)
        vein = (1.5 * torch.sin(2 * x + 3 * y + 3.5 * warp).abs()).clamp(0, 1)
        return blend(0.55 * base, 0.35 * base + 0.62, vein)
    return base


def _wood(q: Tensor, base: Tensor, offset: Tensor) -> Tensor:
    """Growth rings round an axis that leans, wavy and dark on one side, and fine grain along it."""
    x, y, z = q
    wave = noise((x + offset[0], 0.35 * y + offset[1], z + offset[2]), 2, 1.6)
    radius = torch.hypot(x + 0.45 + 0.25 * y, 0.9 * z - 0.3)
    ring = (0.5 + 0.5 * torch.sin(15 * radius + 2.4 * wave)) ** 3
    grain = noise((6 * x + offset[0], 0.7 * y, 6 * z + offset[2]), 2, 2.0)
    wood = 0.68 * _colour(WOOD, x) + 0.32 * base
    return wood * (1.05 - 0.55 * ring + 0.12 * grain)


def floor_colour(
    floor: str, x: Tensor, z: Tensor, width: Tensor, base: Tensor, offset: Tensor
) -> Tensor:
    """Colours (3, ...) of one kind of floor at the points (x, 0, z).

    width: size of a pixel on the ground along z, in world units, by which detail is faded;
    base: the floor's own colour (3, ...); offset: its place in the noise field (3, ...).
    """
    fade = _fade(3.0 * width)
    at = (x + offset[0], z + offset[2])
    if floor == "tiled":
        across, along = 3.4 * x, 3.4 * z
        checks = _square_wave(across, 0.5 * width) * _square_wave(along, 3.4 * width)
        return base * (0.80 + 0.26 * checks)
    if floor == "wooden":
        return _planks(x, at, width, base, offset)
    if floor == "marble":
        warp = noise((0.8 * at[0], offset[1], 0.8 * at[1]), 4, 1.6)
        vein = torch.sin(1.2 * x + 0.7 * z + 3 * warp).abs()
        return blend(0.45 * base + 0.1, 0.3 * base + 0.64, vein * fade + 0.64 * (1 - fade))
    if floor == "grass":
        blades = noise((2.6 * at[0], offset[1], 1.8 * at[1]), 5, 2.2)
        patches = noise((0.5 * at[0], offset[1], 0.5 * at[1]), 2, 1.6)
        green = (0.45 + 0.30 * patches + 0.85 * fade * blades).clamp(0, 1)
        return blend(_colour(GRASS[0], green), _colour(GRASS[1], green), green)
    if floor == "sand":
        dunes = noise((1.2 * at[0], offset[1], 1.2 * at[1]), 3, 1.6)
        ripples = torch.sin(7 * z + 2.5 * dunes)
        grain = (0.5 + fade * (0.55 * dunes + 0.28 * ripples)).clamp(0, 1)
        return blend(_colour(SAND[0], grain), _colour(SAND[1], grain), grain)
    speckle = noise((at[0], offset[1], at[1]), 2, 1.6)
    return base * (1 + 0.04 * speckle)


def floor_mean(floor: str, base: Sequence[float]) -> tuple[float, float, float]:
    """About the mean colour of a floor, for the light it throws back."""
    mean = {
        "wooden": [0.72 * wood + 0.28 * own for wood, own in zip(PLANKS, base, strict=True)],
        "grass": [(low + high) / 2 for low, high in zip(*GRASS, strict=True)],
        "sand": [(low + high) / 2 for low, high in zip(*SAND, strict=True)],
    }.get(floor, base)
    red, green, blue = mean
    return red, green, blue


def _planks(
    x: Tensor, at: tuple[Tensor, Tensor], width: Tensor, base: Tensor, offset: Tensor
) -> Tensor:
    """Boards that run away from the viewer, each with its own tone, grain and a dark gap."""
    board = torch.floor(1.7 * x)
    fade, far = _fade(3.0 * width), _fade(0.15 * width)
    tone = 0.99 + 0.30 * far * (torch.frac((board * GOLDEN + offset[1]).abs()) - 0.5)
    grain = noise((3 * x + offset[0], 3.1 * board + offset[1], 0.5 * at[1]), 3, 2.0)
    gap = _step((1.7 * x - board - 0.5).abs() - 0.475, 0.03) * fade
    wood = 0.72 * _colour(PLANKS, grain) + 0.28 * base
    return wood * (tone + 0.13 * grain * fade) * (1 - 0.5 * gap)
