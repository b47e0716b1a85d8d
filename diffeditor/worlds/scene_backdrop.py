"""The backdrop of a scene: the floor, with the shadows of the solids on it, and the sky.

Both are shaded densely, row geometry first. The light that reaches the floor is found once a
pixel and interpolated to the samples; the floor's own colour is found at every sample.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from diffeditor.worlds.scene_camera import FAR, SUPERSAMPLING, ray_rows, sample_centres
from diffeditor.worlds.scene_light import SHADOW_DEPTH, SKY_LIGHT, SUN, hidden_sun, in_tube
from diffeditor.worlds.scene_spec import CAMERA_Z, FOCAL
from diffeditor.worlds.scene_world import World, kinds
from diffeditor.worlds.solids import SHAPES, footprint_gap
from diffeditor.worlds.textures import FLOORS, blend, floor_colour

CONTACT_DEPTH, CONTACT_REACH = 0.55, 1.1
FOG_DEPTH, FOG_RANGE = 0.5, 22.0


def backdrop(world: World, size: int) -> Tensor:
    """The lit floor below the horizon and the sky above it, linear (3, B, N, N)."""
    side = size * SUPERSAMPLING
    a, b = ray_rows(world, side)
    sky = _sky(world, a, (a * a + b * b).sqrt())[..., None]
    t, x, z = _ground(world, side)
    top = int((a >= 0).all(0).sum())
    picture = sky.expand(-1, -1, -1, side).clone()
    light = F.interpolate(
        _ground_light(world, size)[None], scale_factor=SUPERSAMPLING, mode="bilinear"
    )
    lit = _floor(world, t, x[:, top:], z[:, top:], side, top) * light[0, :, top:]
    horizon = world.horizon[:, :, None, None]
    fog = FOG_DEPTH * (1 - torch.exp(-t / FOG_RANGE))[:, top:, None]
    below = (a < 0)[:, top:, None]
    picture[:, :, top:] = torch.where(below, blend(lit, horizon, fog), picture[:, :, top:])
    return picture


def _ground(world: World, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ray lengths t (B, N) to the floor, capped at FAR, and its x (B, N, N), z (B, N, 1)."""
    a, b = ray_rows(world, side)
    t = world.height[:, None] / (-a).clamp_min(1e-6)
    t = t.clamp_max(FAR)
    x = t[:, :, None] * sample_centres(side, a.device)
    return t, x, (CAMERA_Z + t * b)[:, :, None]


def _sky(world: World, up: Tensor, length: Tensor) -> Tensor:
    """The sky's colours (3, B, N) in directions whose vertical part is `up`."""
    rise = (2.2 * up / length).clamp(1e-4, 1) ** 0.7
    return blend(world.horizon[:, :, None], world.zenith[:, :, None], rise)


def _floor(world: World, t: Tensor, x: Tensor, z: Tensor, side: int, top: int) -> Tensor:
    """The floor's own colours (3, B, rows, N), unlit, for the rows from `top` on."""
    width = (t * t * (2 / side) / world.height[:, None] * FOCAL)[:, top:, None]
    colours = torch.empty(3, *x.shape, device=x.device)
    for kind, i in kinds(world.floor, FLOORS):
        base, offset = world.floor_base[:, i, None, None], world.floor_offset[:, i, None, None]
        colours[:, i] = floor_colour(kind, x[i], z[i], width[i], base, offset)
    return colours


def _ground_light(world: World, size: int) -> Tensor:
    """What light reaches the floor, (B, n, n): sun less soft shadows, sky less contact shade."""
    _, x, z = _ground(world, size)
    sun = SUN * world.light[1][:, None, None]
    shadow = _soften(_ground_shadow(world, x, z), size)
    return sun * (1 - SHADOW_DEPTH * shadow) + SKY_LIGHT * _ground_contact(world, x, z)


def _ground_contact(world: World, x: Tensor, z: Tensor) -> Tensor:
    """Part of the sky's light that solids standing near leave to the floor, (B, n, n)."""
    shade = torch.empty(len(world.scene), *x.shape[1:], device=x.device)
    for shape, k in kinds(world.shape, SHAPES):
        gap = footprint_gap(shape, *_on_floor(world, k, x, z))
        shade[k] = 1 - CONTACT_DEPTH * (1 - gap / CONTACT_REACH).clamp_min(0) ** 3
    left = torch.ones_like(x)
    for slot in world.slot.unique():
        k = world.slot == slot
        left[world.scene[k]] *= shade[k]
    return left


def _on_floor(world: World, k: Tensor, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Floor points in the units of the solids k: local x and z, each (len(k), n, n)."""
    cos, sin = world.turn[:, k, None, None]
    place, scale = world.place[:, k, None, None], world.scale[:, k, None, None]
    dx, dz = x[world.scene[k]] - place[0], z[world.scene[k]] - place[2]
    return (cos * dx - sin * dz) / scale[0], (sin * dx + cos * dz) / scale[2]


def _ground_shadow(world: World, x: Tensor, z: Tensor) -> Tensor:
    """Part of the sun hidden by solids at floor points, (B, n, n) in [0, 1]."""
    points = torch.stack([x, torch.zeros_like(x), z.expand_as(x)])
    k = torch.arange(len(world.scene), device=x.device)
    near = in_tube(world, points[:, world.scene], k[:, None, None])
    solid, row, column = near.nonzero(as_tuple=True)
    flat = (world.scene[solid] * x.shape[1] + row) * x.shape[2] + column
    return hidden_sun(world, points.view(3, -1), flat, solid).view_as(x)


def _soften(shadow: Tensor, size: int) -> Tensor:
    """Blurred by about a pixel in 128, which hides the number of sun rays."""
    reach = max(1, round(size / 128))
    padded = F.pad(shadow[:, None], (reach,) * 4, mode="replicate")
    return F.avg_pool2d(padded, 2 * reach + 1, stride=1)[:, 0]
