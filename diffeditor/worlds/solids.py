"""Five unit solids that rest on y = 0, and where a ray meets them.

Every function takes a ray `origin + t * direction` in the solid's own frame, two tensors of shape
(3, ...) that broadcast against each other, and returns `t` (inf where the ray misses; directions
need not be unit vectors) with the outward normal, (3, ...), not normalised.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

SHAPES = ("ball", "cube", "cylinder", "cone", "ring")

CUBE_HALF = 0.85
CYLINDER_RADIUS, CYLINDER_HEIGHT = 0.8, 1.8
CONE_RADIUS, CONE_HEIGHT = 0.98, 2.0
RING_RADIUS, RING_TUBE = 0.78, 0.38

HEIGHT = {
    "ball": 2.0,
    "cube": 2 * CUBE_HALF,
    "cylinder": CYLINDER_HEIGHT,
    "cone": CONE_HEIGHT,
    "ring": 2 * RING_TUBE,
}
HALF_WIDTH = {
    "ball": 1.0,
    "cube": CUBE_HALF,
    "cylinder": CYLINDER_RADIUS,
    "cone": CONE_RADIUS,
    "ring": RING_RADIUS + RING_TUBE,
}

NEAREST = 1e-3
RING_STEPS = 40

Hit = tuple[Tensor, Tensor]


def dot(a: Tensor, b: Tensor) -> Tensor:
    """The scalar product over the first axis, (...)."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def normalise(v: Tensor) -> Tensor:
    """`v` (3, ...) scaled to length one; the zero vector stays zero."""
    return v * torch.rsqrt(dot(v, v).clamp_min(1e-12))


def intersect(shape: str, origin: Tensor, direction: Tensor) -> Hit:
    """Where the ray first meets the unit solid `shape`."""
    return _HITS[shape](origin, direction)


def footprint_gap(shape: str, x: Tensor, z: Tensor) -> Tensor:
    """Distance in the plane y = 0 from (x, z) to the solid's contact area; 0 inside it."""
    if shape == "cube":
        return torch.hypot((x.abs() - CUBE_HALF).clamp_min(0), (z.abs() - CUBE_HALF).clamp_min(0))
    radius = {"ball": 0.45, "ring": RING_RADIUS + 0.2}.get(shape, HALF_WIDTH[shape])
    return (torch.hypot(x, z) - radius).clamp_min(0)


def _roots(a: Tensor, half_b: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Whether a t^2 + 2 half_b t + c has real roots, and both (t0 <= t1 where a > 0)."""
    discriminant = half_b * half_b - a * c
    root = discriminant.clamp_min(0).sqrt()
    safe = torch.where(a.abs() < 1e-8, 1e-8, a)
    return discriminant > 0, (-half_b - root) / safe, (-half_b + root) / safe


def _safe(v: Tensor) -> Tensor:
    return torch.where(v.abs() < 1e-7, 1e-7, v)


def _at(origin: Tensor, direction: Tensor, t: Tensor) -> Tensor:
    return origin + t.nan_to_num(posinf=0.0) * direction


def _lowered(origin: Tensor, height: float) -> Tensor:
    return torch.stack([origin[0], origin[1] - height, origin[2]])


def _ball(origin: Tensor, direction: Tensor) -> Hit:
    centred = _lowered(origin, 1.0)
    real, t, _ = _roots(
        dot(direction, direction), dot(centred, direction), dot(centred, centred) - 1
    )
    t = torch.where(real & (t > NEAREST), t, torch.inf)
    return t, _at(centred, direction, t)


def _cube(origin: Tensor, direction: Tensor) -> Hit:
    inverse = 1 / _safe(direction)
    middle, reach = -inverse * _lowered(origin, CUBE_HALF), inverse.abs() * CUBE_HALF
    enter, leave = middle - reach, middle + reach
    t, last = enter.amax(0), leave.amin(0)
    normal = -direction.sign() * (enter >= t)
    return torch.where((t < last) & (t > NEAREST), t, torch.inf), normal


def _cylinder(origin: Tensor, direction: Tensor) -> Hit:
    (x, y, z), (dx, dy, dz) = origin, direction
    real, t, _ = _roots(dx * dx + dz * dz, x * dx + z * dz, x * x + z * z - CYLINDER_RADIUS**2)
    at_y = y + t * dy
    on_side = real & (at_y > 0) & (at_y < CYLINDER_HEIGHT) & (t > NEAREST)
    t = torch.where(on_side, t, torch.inf)
    lid = (CYLINDER_HEIGHT - y) / _safe(dy)
    inside = (x + lid * dx) ** 2 + (z + lid * dz) ** 2 < CYLINDER_RADIUS**2
    on_lid = inside & (lid > NEAREST) & (lid < t)
    side = _at(origin, direction, t)
    normal = torch.stack([side[0] * ~on_lid, on_lid.to(t.dtype), side[2] * ~on_lid])
    return torch.where(on_lid, lid, t), normal


def _cone(origin: Tensor, direction: Tensor) -> Hit:
    (x, y, z), (dx, dy, dz) = origin, direction
    k = (CONE_RADIUS / CONE_HEIGHT) ** 2
    below, down = CONE_HEIGHT - y, -dy
    real, *both = _roots(
        dx * dx + dz * dz - k * down * down,
        x * dx + z * dz - k * below * down,
        x * x + z * z - k * below * below,
    )
    nearest = torch.full_like(both[0], torch.inf)
    for t in both:
        at_y = y + t * dy
        good = real & (at_y > 0) & (at_y < CONE_HEIGHT) & (t > NEAREST)
        nearest = torch.where(good, torch.minimum(t, nearest), nearest)
    point = _at(origin, direction, nearest)
    return nearest, torch.stack([point[0], (CONE_HEIGHT - point[1]) * k, point[2]])


def _ring_distance(point: Tensor) -> Tensor:
    across = torch.hypot(point[0], point[2]) - RING_RADIUS
    return torch.hypot(across, point[1] - RING_TUBE) - RING_TUBE


def _ring(origin: Tensor, direction: Tensor) -> Hit:
    """A torus lying flat, by sphere tracing inside its bounding ball.

    A ray that grazes the tube may not have arrived after all steps; it counts as a hit where it
    is, because a missed one would leave a hole in the silhouette.
    """
    length = dot(direction, direction).sqrt()
    unit = direction / length
    centred = _lowered(origin, RING_TUBE)
    bound = (RING_RADIUS + RING_TUBE) * 1.02
    near = dot(centred, unit)
    real, enter, leave = _roots(torch.ones_like(near), near, dot(centred, centred) - bound * bound)
    s = torch.where(real, enter.clamp_min(NEAREST), torch.inf)
    meets = real.nonzero(as_tuple=True)
    o, d = origin.expand_as(unit)[:, *meets], unit[:, *meets]
    walked = s[meets]
    for _ in range(RING_STEPS):
        walked = walked + _ring_distance(o + walked * d)
    point = o + walked * d
    good = (walked < leave[meets]) & (walked > 2 * NEAREST)
    s[meets] = torch.where(good, walked, torch.inf)
    across = torch.hypot(point[0], point[2]).clamp_min(1e-9)
    radial = 1 - RING_RADIUS / across
    normal = torch.zeros_like(unit)
    normal[:, *meets] = torch.stack([point[0] * radial, point[1] - RING_TUBE, point[2] * radial])
    return s / length, normal


_HITS: dict[str, Callable[[Tensor, Tensor], Hit]] = {
    "ball": _ball,
    "cube": _cube,
    "cylinder": _cylinder,
    "cone": _cone,
    "ring": _ring,
}
