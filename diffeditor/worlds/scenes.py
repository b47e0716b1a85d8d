"""Pictures of scenes: analytic ray casting in torch, many scenes at once, on any device.

Floors and skies are shaded densely, row geometry first; solids are shaded as fragments, flat lists
of the samples where a solid is seen, so that nothing is spent on samples it cannot reach.

| symbol | shape | meaning |
|---|---|---|
| B, K | | scenes in the batch, solids in all of them together |
| n, N | | side of the picture in pixels, in samples (n * SUPERSAMPLING) |
| M | | fragments |
| x, y, z | (3, ...) | world coordinates: right, up, away from the viewer |
| u, (a, b) | (N,), (B, N) | a ray's direction is (u of its column, a of its row, b of its row) |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from diffeditor.worlds.scene_spec import (
    CAMERA_Z,
    COLOURS,
    FLOOR_COLOURS,
    FOCAL,
    SKIES,
    VOCABULARY,
    Colour,
    SceneSpec,
    Solid,
    caption,
    centres,
    project,
    random_scene,
)
from diffeditor.worlds.solids import (
    SHAPES,
    dot,
    footprint_gap,
    intersect,
    normalise,
)
from diffeditor.worlds.textures import (
    FLOORS,
    GLOSS,
    PATTERNS,
    blend,
    floor_colour,
    floor_mean,
    noise_offset,
    solid_colour,
)

__all__ = [
    "VOCABULARY",
    "SceneBuffers",
    "SceneSpec",
    "Solid",
    "caption",
    "centres",
    "project",
    "random_scene",
    "render_scenes",
]

SUPERSAMPLING = 2
SAMPLES_AT_ONCE = 1 << 18
"""Samples rendered together on a CPU: a few scenes, so that a field stays in the cache."""
SAMPLES_AT_ONCE_ACCELERATOR = 1 << 23

FAR = 60.0
SUN, SHADOW_DEPTH = 0.95, 0.92
SKY_LIGHT, FLOOR_LIGHT = 0.46, 0.26
CONTACT_DEPTH, CONTACT_REACH = 0.55, 1.1
SUN_RAYS, SUN_RADIUS, SUN_SLACK = 6, 0.11, 0.25
GOLDEN_ANGLE = 2.399963
FOG_DEPTH, FOG_RANGE = 0.5, 22.0
METAL_MIRROR = 0.55
MIRRORED_FLOOR, MIRROR_BLUR = 0.62, 0.04
GAMMA = 1 / 1.15


@dataclass(frozen=True, kw_only=True)
class SceneBuffers:
    """A batch of finished scenes.

    image: float32 (B, 3, H, W) in [0, 1].
    ids: int8 (B, H, W), 0 where no solid is seen, else 1 + its index in `spec.solids`.
    """

    image: Tensor
    ids: Tensor
    captions: list[str]


@dataclass(frozen=True, kw_only=True)
class _World:
    """The parameters of B scenes and their K solids as tensors on one device."""

    cos: Tensor
    sin: Tensor
    height: Tensor
    light: Tensor
    zenith: Tensor
    horizon: Tensor
    floor_base: Tensor
    floor_offset: Tensor
    floor: Tensor
    bounce: Tensor
    scene: Tensor
    slot: Tensor
    shape: Tensor
    pattern: Tensor
    place: Tensor
    turn: Tensor
    scale: Tensor
    extent: Tensor
    base: Tensor
    accent: Tensor
    offset: Tensor
    gloss: Tensor
    metal: Tensor

    def to(self, device: torch.device | str) -> _World:
        return _World(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    @property
    def middle(self) -> Tensor:
        """The middles of the solids in the world, (3, K)."""
        return torch.stack([self.place[0], 0.5 * self.extent[1], self.place[2]])

    def local(self, v: Tensor, k: Tensor) -> Tensor:
        """World vectors (3, ..., M) in the axes and units of the solids k (M,)."""
        cos, sin = self.turn[:, k]
        turned = torch.stack([cos * v[0] - sin * v[2], v[1], sin * v[0] + cos * v[2]])
        return turned / _spread(self.scale[:, k], v)

    def outward(self, normal: Tensor, k: Tensor) -> Tensor:
        """Normals (3, M) in the units of the solids k as unit normals of the world."""
        x, y, z = normal / self.scale[:, k]
        cos, sin = self.turn[:, k]
        return normalise(torch.stack([cos * x + sin * z, y, cos * z - sin * x]))


@dataclass(frozen=True, kw_only=True)
class _Fragments:
    """Where solids are seen; sample counts through (B, N, N), vectors are (3, M).

    local: the point in the solid's own units; view: the unit direction from the camera.
    """

    sample: Tensor
    solid: Tensor
    local: Tensor
    point: Tensor
    normal: Tensor
    view: Tensor


def render_scenes(
    specs: Sequence[SceneSpec], size: int, device: torch.device | str = "cpu"
) -> SceneBuffers:
    """Pictures of `specs`, `size` x `size` pixels, each the same in any batch."""
    on_cpu = torch.device(device).type == "cpu"
    budget = SAMPLES_AT_ONCE if on_cpu else SAMPLES_AT_ONCE_ACCELERATOR
    count = max(1, budget // (size * SUPERSAMPLING) ** 2)
    parts = [
        _render(_pack(specs[start : start + count]).to(device), size)
        for start in range(0, len(specs), count)
    ]
    return SceneBuffers(
        image=torch.cat([image for image, _ in parts]),
        ids=torch.cat([ids for _, ids in parts]),
        captions=[caption(spec) for spec in specs],
    )


@torch.no_grad()
def _render(world: _World, size: int) -> tuple[Tensor, Tensor]:
    """Images (B, 3, n, n) and ids (B, n, n)."""
    side, count = size * SUPERSAMPLING, world.height.shape[0]
    picture = _backdrop(world, size)
    ids = torch.zeros(count * side * side, dtype=torch.int8, device=picture.device)
    seen = _fragments(world, side)
    picture.view(3, -1)[:, seen.sample] = _shade(world, seen)
    ids[seen.sample] = world.slot[seen.solid] + 1
    developed = _develop(picture).transpose(0, 1)
    return F.avg_pool2d(developed, SUPERSAMPLING), _majority(ids.view(count, side, side))


def _develop(linear: Tensor) -> Tensor:
    """Light to display values in [0, 1], with a soft shoulder."""
    return (linear / (1 + 0.12 * linear * linear)).clamp_(0, 1).pow_(GAMMA)


def _majority(ids: Tensor) -> Tensor:
    """Per pixel the solid that fills at least half of its samples, else 0; (B, n, n)."""
    result = torch.zeros_like(ids[:, ::SUPERSAMPLING, ::SUPERSAMPLING])
    for one in range(1, int(ids.max()) + 1 if ids.numel() else 1):
        share = F.avg_pool2d((ids == one).float()[:, None], SUPERSAMPLING)[:, 0]
        result[share >= 0.5] = one
    return result


# --- parameters -------------------------------------------------------------------------------


def _pack(specs: Sequence[SceneSpec]) -> _World:
    solids = [
        (index, slot, s) for index, spec in enumerate(specs) for slot, s in enumerate(spec.solids)
    ]
    pitch = torch.tensor([spec.pitch for spec in specs])
    yaw = torch.tensor([s.yaw for *_, s in solids])
    return _World(
        cos=pitch.cos(),
        sin=pitch.sin(),
        height=torch.tensor([spec.height for spec in specs]),
        light=normalise(_vectors(spec.light for spec in specs)),
        zenith=_vectors(SKIES[spec.sky][0] for spec in specs),
        horizon=_vectors(SKIES[spec.sky][1] for spec in specs),
        floor_base=_vectors(FLOOR_COLOURS[spec.floor_colour] for spec in specs),
        floor_offset=_vectors(noise_offset(spec.texture) for spec in specs),
        bounce=_vectors(floor_mean(s.floor, FLOOR_COLOURS[s.floor_colour]) for s in specs),
        floor=torch.tensor([FLOORS.index(spec.floor) for spec in specs]),
        scene=torch.tensor([index for index, *_ in solids], dtype=torch.long),
        slot=torch.tensor([slot for _, slot, _ in solids], dtype=torch.int8),
        shape=torch.tensor([SHAPES.index(s.shape) for *_, s in solids], dtype=torch.long),
        pattern=torch.tensor([PATTERNS.index(s.pattern) for *_, s in solids], dtype=torch.long),
        place=_vectors((s.x, 0.0, s.z) for *_, s in solids),
        turn=torch.stack([yaw.cos(), yaw.sin()]),
        scale=_vectors(s.scale for *_, s in solids),
        extent=_vectors(s.extent for *_, s in solids),
        base=_vectors(COLOURS[s.colour] for *_, s in solids),
        accent=_vectors(_accent(s.colour) for *_, s in solids),
        offset=_vectors(noise_offset(s.texture) for *_, s in solids),
        gloss=torch.tensor([GLOSS[s.pattern] for *_, s in solids]),
        metal=torch.tensor([float(s.pattern == "metal") for *_, s in solids]),
    )


def _vectors(rows: Iterable[tuple[float, float, float]]) -> Tensor:
    """Points, directions or colours as (3, len(rows))."""
    return torch.tensor(list(rows), dtype=torch.float32).view(-1, 3).T.contiguous()


def _accent(colour: str) -> Colour:
    """The second colour of a pattern: pale, but dark on white."""
    if colour == "white":
        return 0.33, 0.36, 0.44
    if colour == "black":
        return 0.75, 0.75, 0.75
    red, green, blue = (0.25 * value + 0.72 for value in COLOURS[colour])
    return red, green, blue


def _spread(values: Tensor, like: Tensor) -> Tensor:
    """(3, M) values to broadcast with (3, ..., M) ones."""
    return values.view(3, *([1] * (like.dim() - 2)), -1)


def _kinds(index: Tensor, names: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
    """Each name that occurs, with the positions at which it does."""
    for number, name in enumerate(names):
        where = (index == number).nonzero()[:, 0]
        if len(where):
            yield name, where


def _axis(side: int, device: torch.device) -> Tensor:
    """Centres of `side` samples across [-1, 1]."""
    return (torch.arange(side, device=device) + 0.5) * (2 / side) - 1


def _rows(world: _World, side: int) -> tuple[Tensor, Tensor]:
    """The parts a and b (B, N) of a ray's direction that its row sets."""
    v = -_axis(side, world.height.device)
    cos, sin = world.cos[:, None], world.sin[:, None]
    return v * cos - FOCAL * sin, v * sin + FOCAL * cos


# --- floor and sky ----------------------------------------------------------------------------


def _ground(world: _World, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ray lengths t (B, N) to the floor, capped at FAR, and its x (B, N, N), z (B, N, 1)."""
    a, b = _rows(world, side)
    t = world.height[:, None] / (-a).clamp_min(1e-6)
    t = t.clamp_max(FAR)
    x = t[:, :, None] * _axis(side, a.device)
    return t, x, (CAMERA_Z + t * b)[:, :, None]


def _backdrop(world: _World, size: int) -> Tensor:
    """The lit floor below the horizon and the sky above it, linear (3, B, N, N)."""
    side = size * SUPERSAMPLING
    a, b = _rows(world, side)
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


def _sky(world: _World, up: Tensor, length: Tensor) -> Tensor:
    """The sky's colours (3, B, N) in directions whose vertical part is `up`."""
    rise = (2.2 * up / length).clamp(1e-4, 1) ** 0.7
    return blend(world.horizon[:, :, None], world.zenith[:, :, None], rise)


def _floor(world: _World, t: Tensor, x: Tensor, z: Tensor, side: int, top: int) -> Tensor:
    """The floor's own colours (3, B, rows, N), unlit, for the rows from `top` on."""
    width = (t * t * (2 / side) / world.height[:, None] * FOCAL)[:, top:, None]
    colours = torch.empty(3, *x.shape, device=x.device)
    for kind, i in _kinds(world.floor, FLOORS):
        base, offset = world.floor_base[:, i, None, None], world.floor_offset[:, i, None, None]
        colours[:, i] = floor_colour(kind, x[i], z[i], width[i], base, offset)
    return colours


def _ground_light(world: _World, size: int) -> Tensor:
    """What light reaches the floor, (B, n, n): sun less soft shadows, sky less contact shade."""
    _, x, z = _ground(world, size)
    sun = SUN * world.light[1][:, None, None]
    shadow = _soften(_ground_shadow(world, x, z), size)
    return sun * (1 - SHADOW_DEPTH * shadow) + SKY_LIGHT * _ground_contact(world, x, z)


def _ground_contact(world: _World, x: Tensor, z: Tensor) -> Tensor:
    """Part of the sky's light that solids standing near leave to the floor, (B, n, n)."""
    shade = torch.empty(len(world.scene), *x.shape[1:], device=x.device)
    for shape, k in _kinds(world.shape, SHAPES):
        gap = footprint_gap(shape, *_on_floor(world, k, x, z))
        shade[k] = 1 - CONTACT_DEPTH * (1 - gap / CONTACT_REACH).clamp_min(0) ** 3
    left = torch.ones_like(x)
    for slot in world.slot.unique():
        k = world.slot == slot
        left[world.scene[k]] *= shade[k]
    return left


def _on_floor(world: _World, k: Tensor, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Floor points in the units of the solids k: local x and z, each (len(k), n, n)."""
    cos, sin = world.turn[:, k, None, None]
    place, scale = world.place[:, k, None, None], world.scale[:, k, None, None]
    dx, dz = x[world.scene[k]] - place[0], z[world.scene[k]] - place[2]
    return (cos * dx - sin * dz) / scale[0], (sin * dx + cos * dz) / scale[2]


def _ground_shadow(world: _World, x: Tensor, z: Tensor) -> Tensor:
    """Part of the sun hidden by solids at floor points, (B, n, n) in [0, 1]."""
    points = torch.stack([x, torch.zeros_like(x), z.expand_as(x)])
    k = torch.arange(len(world.scene), device=x.device)
    near = _in_tube(world, points[:, world.scene], k[:, None, None])
    solid, row, column = near.nonzero(as_tuple=True)
    flat = (world.scene[solid] * x.shape[1] + row) * x.shape[2] + column
    return _hidden_sun(world, points.view(3, -1), flat, solid).view_as(x)


def _soften(shadow: Tensor, size: int) -> Tensor:
    """Blurred by about a pixel in 128, which hides the number of sun rays."""
    reach = max(1, round(size / 128))
    padded = F.pad(shadow[:, None], (reach,) * 4, mode="replicate")
    return F.avg_pool2d(padded, 2 * reach + 1, stride=1)[:, 0]


# --- shadows ----------------------------------------------------------------------------------


def _sun_rays(world: _World) -> Tensor:
    """Directions (3, SUN_RAYS, B) spread over the sun's disc."""
    j = torch.arange(SUN_RAYS, device=world.light.device) + 0.5
    radius, angle = SUN_RADIUS * (j / SUN_RAYS).sqrt(), GOLDEN_ANGLE * j
    spread = torch.stack([radius * angle.cos(), 0.2 * radius * angle.sin(), radius * angle.sin()])
    return normalise(world.light[:, None] + spread[:, :, None])


def _in_tube(world: _World, points: Tensor, k: Tensor) -> Tensor:
    """Whether the bounding ball of solid k may stand between a point (3, ...) and the sun."""
    to = world.middle[:, k] - points
    radius = 0.5 * world.extent[:, k].square().sum(0).sqrt() + SUN_SLACK
    along = dot(to, world.light[:, world.scene[k]])
    return (dot(to, to) - along * along < radius * radius) & (along > -radius)


def _hidden_sun(world: _World, points: Tensor, index: Tensor, k: Tensor) -> Tensor:
    """Part of the sun hidden at each point, (P,); only the pairs (index, solid k) are tested."""
    rays = _sun_rays(world)[:, :, world.scene]
    hidden = torch.zeros(SUN_RAYS, points.shape[1], device=points.device)
    for shape, i in _kinds(world.shape[k], SHAPES):
        solid = k[i]
        origin = world.local(points[:, index[i]] - world.place[:, solid], solid)
        t, _ = intersect(shape, origin[:, None], world.local(rays[:, :, solid], solid))
        hidden.index_add_(1, index[i], t.isfinite().float())
    return hidden.clamp_max_(1).mean(0)


# --- solids -----------------------------------------------------------------------------------


def _boxes(world: _World, side: int) -> tuple[Tensor, Tensor]:
    """The samples that may see each solid, bool (K, N) by row and (K, N) by column."""
    k = torch.arange(len(world.scene), device=world.scene.device)
    signs = torch.tensor([[-0.5, 0.5], [0.0, 1.0], [-0.5, 0.5]], device=k.device)
    corners = (
        torch.stack(torch.meshgrid(*signs, indexing="ij")).view(3, 8, 1) * world.extent[:, None]
    )
    cos, sin = world.turn
    x = cos * corners[0] + sin * corners[2] + world.place[0]
    z = cos * corners[2] - sin * corners[0] + world.place[2] - CAMERA_Z
    y = corners[1] - world.height[world.scene]
    c, s = world.cos[world.scene], world.sin[world.scene]
    depth = z * c - y * s
    u, v = FOCAL * x / depth, -FOCAL * (y * c + z * s) / depth
    axis, margin = _axis(side, k.device), 2 / side
    return _within(axis, v, margin), _within(axis, u, margin)


def _within(axis: Tensor, corners: Tensor, margin: float) -> Tensor:
    """Which of the samples (N,) lie between the outermost corners (8, K), bool (K, N)."""
    low, high = corners.amin(0)[:, None] - margin, corners.amax(0)[:, None] + margin
    return (axis > low) & (axis < high)


def _fragments(world: _World, side: int) -> _Fragments:
    rows, columns = _boxes(world, side)
    k, row, column = (rows[:, :, None] & columns[:, None, :]).nonzero(as_tuple=True)
    scene = world.scene[k]
    a, b = _rows(world, side)
    ray = torch.stack([_axis(side, k.device)[column], a[scene, row], b[scene, row]])
    eye = torch.stack([0 * world.height, world.height, 0 * world.height + CAMERA_Z])
    origin, direction = world.local(eye[:, scene] - world.place[:, k], k), world.local(ray, k)
    t, normal = torch.full_like(ray[0], torch.inf), torch.empty_like(ray)
    for shape, i in _kinds(world.shape[k], SHAPES):
        t[i], normal[:, i] = intersect(shape, origin[:, i], direction[:, i])
    sample = (scene * side + row) * side + column
    i = _nearest(t, sample, len(world.height) * side * side)
    return _Fragments(
        sample=sample[i],
        solid=k[i],
        local=origin[:, i] + t[i] * direction[:, i],
        point=eye[:, scene[i]] + t[i] * ray[:, i],
        normal=world.outward(normal[:, i], k[i]),
        view=normalise(ray[:, i]),
    )


def _nearest(t: Tensor, sample: Tensor, samples: int) -> Tensor:
    """Positions of the hits that are the first in their sample."""
    first = torch.full((samples,), torch.inf, device=t.device)
    first.scatter_reduce_(0, sample, t, "amin")
    return (t.isfinite() & (t == first[sample])).nonzero()[:, 0]


def _shade(world: _World, seen: _Fragments) -> Tensor:
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


def _own_colour(world: _World, seen: _Fragments) -> Tensor:
    """The solids' patterns, unlit, (3, M)."""
    middle = 0.5 * world.extent[1] / world.scale[1]
    colour = torch.empty_like(seen.local)
    for pattern, i in _kinds(world.pattern[seen.solid], PATTERNS):
        k = seen.solid[i]
        q = torch.stack([seen.local[0, i], seen.local[1, i] - middle[k], seen.local[2, i]])
        colour[:, i] = solid_colour(
            pattern, q, world.base[:, k], world.accent[:, k], world.offset[:, k]
        )
    return colour


def _cast_shadow(world: _World, seen: _Fragments) -> Tensor:
    """Part of the sun hidden by the other solids of the scene, (M,)."""
    others = (world.scene[:, None] == world.scene) & ~torch.eye(
        len(world.scene), dtype=torch.bool, device=world.scene.device
    )
    index, k = others[seen.solid].nonzero(as_tuple=True)
    near = _in_tube(world, seen.point[:, index], k)
    return _hidden_sun(world, seen.point, index[near], k[near])


def _surroundings(world: _World, seen: _Fragments, facing: Tensor) -> Tensor:
    """What is mirrored in the solids: the sky or the floor itself, (3, M)."""
    scene = world.scene[seen.solid]
    way = seen.view + 2 * facing * seen.normal
    rise = (1.6 * way[1]).clamp(1e-4, 1)
    sky = blend(world.horizon[:, scene], world.zenith[:, scene], rise)
    reach = (seen.point[1] / (-way[1]).clamp_min(1e-3)).clamp_max(FAR)
    x, z = seen.point[0] + reach * way[0], seen.point[2] + reach * way[2]
    floor = torch.empty_like(sky)
    for kind, i in _kinds(world.floor[scene], FLOORS):
        base, offset = world.floor_base[:, scene[i]], world.floor_offset[:, scene[i]]
        floor[:, i] = floor_colour(kind, x[i], z[i], MIRROR_BLUR * (1 + reach[i]), base, offset)
    return torch.where(way[1] > 0, sky, MIRRORED_FLOOR * floor)
