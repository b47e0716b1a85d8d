"""The colours of solids where they are seen: their pattern, lit, with what mirrors in them."""

from __future__ import annotations

import torch
from torch import Tensor

from diffeditor.worlds.scene_camera import FAR
from diffeditor.worlds.scene_fragments import Fragments
from diffeditor.worlds.scene_light import (
    FLOOR_LIGHT,
    SHADOW_DEPTH,
    SKY_LIGHT,
    SUN,
    hidden_sun,
    in_tube,
)
from diffeditor.worlds.scene_world import World, kinds
from diffeditor.worlds.solids import dot, normalise
from diffeditor.worlds.textures import FLOORS, PATTERNS, blend, floor_colour, solid_colour

METAL_MIRROR = 0.55
MIRRORED_FLOOR, MIRROR_BLUR = 0.62, 0.04


def shade(world: World, seen: Fragments) -> Tensor:
    """Linear colours (3, M) of the solids where they are seen."""
    k, scene, normal = seen.solid, world.scene[seen.solid], seen.normal
    light, gloss, metal = world.light[:, scene], world.gloss[k], world.metal[k]
    colour = _own_colour(world, seen)
    sunlit = 1 - _cast_shadow(world, seen)
    sun = SUN * dot(normal, light).clamp_min(0) * (1 - SHADOW_DEPTH * (1 - sunlit))
    low = (seen.local[1] / 0.9).clamp(0, 1)
    near_floor = 0.62 + 0.38 * low
    up = 0.5 + 0.5 * normal[1]
    sky = (SKY_LIGHT * up * near_floor)[None] + FLOOR_LIGHT * (1 - up) * world.bounce[:, scene]
    lit = colour * (sun + sky) * (1 - METAL_MIRROR * metal)
    facing = -dot(seen.view, normal)
    mirror = (
        gloss.clamp_max(1) * (0.05 + 0.5 * (1 - facing.clamp(0, 1)) ** 4) + METAL_MIRROR * metal
    )
    tint = torch.where(metal > 0, 0.35 + 0.9 * colour, 1.0)
    around = _surroundings(world, seen, facing) * (0.6 + 0.4 * near_floor)
    half = dot(normal, normalise(light - seen.view)).clamp(0, 1)
    glint = (0.9 * half**60 + 0.12 * half**14) * gloss * sunlit
    return lit + around * mirror * tint + glint


def _own_colour(world: World, seen: Fragments) -> Tensor:
    """The solids' patterns, unlit, (3, M)."""
    middle = 0.5 * world.extent[1] / world.scale[1]
    colour = torch.empty_like(seen.local)
    for pattern, i in kinds(world.pattern[seen.solid], PATTERNS):
        k = seen.solid[i]
        q = torch.stack([seen.local[0, i], seen.local[1, i] - middle[k], seen.local[2, i]])
        colour[:, i] = solid_colour(
            pattern, q, world.base[:, k], world.accent[:, k], world.offset[:, k]
        )
    return colour


def _cast_shadow(world: World, seen: Fragments) -> Tensor:
    """Part of the sun hidden by the other solids of the scene, (M,)."""
    others = (world.scene[:, None] == world.scene) & ~torch.eye(
        len(world.scene), dtype=torch.bool, device=world.scene.device
    )
    index, k = others[seen.solid].nonzero(as_tuple=True)
    near = in_tube(world, seen.point[:, index], k)
    return hidden_sun(world, seen.point, index[near], k[near])


def _surroundings(world: World, seen: Fragments, facing: Tensor) -> Tensor:
    """What is mirrored in the solids: the sky or the floor itself, (3, M)."""
    scene = world.scene[seen.solid]
    way = seen.view + 2 * facing * seen.normal
    rise = (1.6 * way[1]).clamp(1e-4, 1)
    sky = blend(world.horizon[:, scene], world.zenith[:, scene], rise)
    reach = (seen.point[1] / (-way[1]).clamp_min(1e-3)).clamp_max(FAR)
    x, z = seen.point[0] + reach * way[0], seen.point[2] + reach * way[2]
    floor = torch.empty_like(sky)
    for kind, i in kinds(world.floor[scene], FLOORS):
        base, offset = world.floor_base[:, scene[i]], world.floor_offset[:, scene[i]]
        floor[:, i] = floor_colour(kind, x[i], z[i], MIRROR_BLUR * (1 + reach[i]), base, offset)
    return torch.where(way[1] > 0, sky, MIRRORED_FLOOR * floor)
