"""Fragments: the samples in which a solid is seen, in one flat list for all scenes.

A ray is tested against a solid only within the box that the solid's corners span in the picture,
so that nothing is spent on samples it cannot reach.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffeditor.worlds.scene_camera import ray_rows, sample_centres
from diffeditor.worlds.scene_spec import CAMERA_Z, FOCAL
from diffeditor.worlds.scene_world import World, kinds
from diffeditor.worlds.solids import SHAPES, intersect, normalise


@dataclass(frozen=True, kw_only=True)
class Fragments:
    """Where solids are seen; sample counts through (B, N, N), vectors are (3, M).

    local: the point in the solid's own units; view: the unit direction from the camera.
    """

    sample: Tensor
    solid: Tensor
    local: Tensor
    point: Tensor
    normal: Tensor
    view: Tensor


def find_fragments(world: World, side: int) -> Fragments:
    """The samples of all scenes in which a solid is seen, each with the nearest one."""
    rows, columns = _boxes(world, side)
    k, row, column = (rows[:, :, None] & columns[:, None, :]).nonzero(as_tuple=True)
    scene = world.scene[k]
    a, b = ray_rows(world, side)
    ray = torch.stack([sample_centres(side, k.device)[column], a[scene, row], b[scene, row]])
    eye = torch.stack([0 * world.height, world.height, 0 * world.height + CAMERA_Z])
    origin, direction = world.local(eye[:, scene] - world.place[:, k], k), world.local(ray, k)
    t, normal = torch.full_like(ray[0], torch.inf), torch.empty_like(ray)
    for shape, i in kinds(world.shape[k], SHAPES):
        t[i], normal[:, i] = intersect(shape, origin[:, i], direction[:, i])
    sample = (scene * side + row) * side + column
    i = _nearest(t, sample, len(world.height) * side * side)
    return Fragments(
        sample=sample[i],
        solid=k[i],
        local=origin[:, i] + t[i] * direction[:, i],
        point=eye[:, scene[i]] + t[i] * ray[:, i],
        normal=world.outward(normal[:, i], k[i]),
        view=normalise(ray[:, i]),
    )


def _boxes(world: World, side: int) -> tuple[Tensor, Tensor]:
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
    axis, margin = sample_centres(side, k.device), 2 / side
    return _within(axis, v, margin), _within(axis, u, margin)


def _within(axis: Tensor, corners: Tensor, margin: float) -> Tensor:
    """Which of the samples (N,) lie between the outermost corners (8, K), bool (K, N)."""
    low, high = corners.amin(0)[:, None] - margin, corners.amax(0)[:, None] + margin
    return (axis > low) & (axis < high)


def _nearest(t: Tensor, sample: Tensor, samples: int) -> Tensor:
    """Positions of the hits that are the first in their sample."""
    first = torch.full((samples,), torch.inf, device=t.device)
    first.scatter_reduce_(0, sample, t, "amin")
    return (t.isfinite() & (t == first[sample])).nonzero()[:, 0]
