"""The light of a scene: how strong sun, sky and floor are, and what hides the sun.

A point's shadow is the part of the rays from it to the sun's disc that meet a solid. Rays are cast
only for the pairs of a point and a solid that the caller names, those that `in_tube` does not rule
out.
"""

from __future__ import annotations

import torch
from torch import Tensor

from diffeditor.worlds.scene_world import World, kinds
from diffeditor.worlds.solids import SHAPES, dot, intersect, normalise

SUN, SHADOW_DEPTH = 0.95, 0.92
SKY_LIGHT, FLOOR_LIGHT = 0.46, 0.26
SUN_RAYS, SUN_RADIUS, SUN_SLACK = 6, 0.11, 0.25
GOLDEN_ANGLE = 2.399963


def hidden_sun(world: World, points: Tensor, index: Tensor, k: Tensor) -> Tensor:
    """Part of the sun hidden at each point, (P,); only the pairs (index, solid k) are tested."""
    rays = _sun_rays(world)[:, :, world.scene]
    hidden = torch.zeros(SUN_RAYS, points.shape[1], device=points.device)
    for shape, i in kinds(world.shape[k], SHAPES):
        solid = k[i]
        origin = world.local(points[:, index[i]] - world.place[:, solid], solid)
        t, _ = intersect(shape, origin[:, None], world.local(rays[:, :, solid], solid))
        hidden.index_add_(1, index[i], t.isfinite().float())
    return hidden.clamp_max_(1).mean(0)


def in_tube(world: World, points: Tensor, k: Tensor) -> Tensor:
    """Whether the bounding ball of solid k may stand between a point (3, ...) and the sun."""
    to = world.middle[:, k] - points
    radius = 0.5 * world.extent[:, k].square().sum(0).sqrt() + SUN_SLACK
    along = dot(to, world.light[:, world.scene[k]])
    return (dot(to, to) - along * along < radius * radius) & (along > -radius)


def _sun_rays(world: World) -> Tensor:
    """Directions (3, SUN_RAYS, B) spread over the sun's disc."""
    j = torch.arange(SUN_RAYS, device=world.light.device) + 0.5
    radius, angle = SUN_RADIUS * (j / SUN_RAYS).sqrt(), GOLDEN_ANGLE * j
    spread = torch.stack([radius * angle.cos(), 0.2 * radius * angle.sin(), radius * angle.sin()])
    return normalise(world.light[:, None] + spread[:, :, None])
