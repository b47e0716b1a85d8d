"""Pictures of scenes: analytic ray casting in torch, many scenes at once, on any device.

Floors and skies are shaded densely, row geometry first (`scene_backdrop`); solids are shaded as
fragments, flat lists of the samples where a solid is seen, so that nothing is spent on samples it
cannot reach (`scene_fragments`, `scene_shading`). Here they become one picture.

| symbol | shape | meaning |
|---|---|---|
| B, K | | scenes in the batch, solids in all of them together |
| n, N | | side of the picture in pixels, in samples (n * SUPERSAMPLING) |
| M | | fragments |
| x, y, z | (3, ...) | world coordinates: right, up, away from the viewer |
| u, (a, b) | (N,), (B, N) | a ray's direction is (u of its column, a of its row, b of its row) |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from diffeditor.worlds.scene_backdrop import backdrop
from diffeditor.worlds.scene_camera import SUPERSAMPLING
from diffeditor.worlds.scene_fragments import find_fragments
from diffeditor.worlds.scene_shading import shade
from diffeditor.worlds.scene_spec import SceneSpec, caption
from diffeditor.worlds.scene_world import World, pack

SAMPLES_AT_ONCE = 1 << 18
"""Samples rendered together on a CPU: a few scenes, so that a field stays in the cache."""
SAMPLES_AT_ONCE_ACCELERATOR = 1 << 23
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


def render_scenes(
    specs: Sequence[SceneSpec], size: int, device: torch.device | str = "cpu"
) -> SceneBuffers:
    """Pictures of `specs`, `size` x `size` pixels, each the same in any batch."""
    on_cpu = torch.device(device).type == "cpu"
    budget = SAMPLES_AT_ONCE if on_cpu else SAMPLES_AT_ONCE_ACCELERATOR
    count = max(1, budget // (size * SUPERSAMPLING) ** 2)
    parts = [
        _render(pack(specs[start : start + count]).to(device), size)
        for start in range(0, len(specs), count)
    ]
    return SceneBuffers(
        image=torch.cat([image for image, _ in parts]),
        ids=torch.cat([ids for _, ids in parts]),
        captions=[caption(spec) for spec in specs],
    )


@torch.no_grad()
def _render(world: World, size: int) -> tuple[Tensor, Tensor]:
    """Images (B, 3, n, n) and ids (B, n, n)."""
    side, count = size * SUPERSAMPLING, world.height.shape[0]
    picture = backdrop(world, size)
    ids = torch.zeros(count * side * side, dtype=torch.int8, device=picture.device)
    seen = find_fragments(world, side)
    picture.view(3, -1)[:, seen.sample] = shade(world, seen)
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
