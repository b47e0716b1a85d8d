"""The camera's rays: the place and the direction of every sample.

A ray's direction is (u, a, b): u is set by the sample's column, the same in every scene, and a and
b by its row, which is why the pictures can be shaded row geometry first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from diffeditor.worlds.scene_spec import FOCAL
from diffeditor.worlds.scene_world import World

SUPERSAMPLING = 2
"""Samples along each side of a pixel."""
FAR = 60.0
"""How far rays are followed to the floor."""


def sample_centres(side: int, device: torch.device) -> Tensor:
    """Centres of `side` samples across [-1, 1]."""
    return (torch.arange(side, device=device) + 0.5) * (2 / side) - 1


def ray_rows(world: World, side: int) -> tuple[Tensor, Tensor]:
    """The parts a and b (B, N) of a ray's direction that its row sets."""
    v = -sample_centres(side, world.height.device)
    cos, sin = world.cos[:, None], world.sin[:, None]
    return v * cos - FOCAL * sin, v * sin + FOCAL * cos
