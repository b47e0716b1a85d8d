"""The editing gradient: energies of decoder features, differentiated by the latents.

    G = k * 1000 * energy_scale * (m * dE_edit/dz + (1 - m) * dE_con/dz)   [DiffEditor eq. 8]
    G = k * 1000 * energy_scale * d(E_edit + E_con)/dz                     without regional guidance
    G = G * min(1, limit / rms(G))    cell by cell, rms over channels, where there is a limit [ours]

The features are those of the plain UNet under the source's prompt [DragonDiffusion sec. 3.2].
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import dist

import torch
import torch.nn.functional as F
from torch import Tensor

from diffeditor.backbones.base import Denoiser
from diffeditor.features import feature_grid, on_feature_grid
from diffeditor.geometry import Point, Size
from diffeditor.inversion import Trajectory
from diffeditor.plan import EditPlan
from diffeditor.schedule import Level

ENERGY_UNIT = 1000.0
"""energy_scale is given in thousands [R]."""


@dataclass(frozen=True, kw_only=True)
class Gradients:
    """One evaluation: energies (scalars) and their gradients (1, C, h, w), before scaling."""

    edit: Tensor
    content: Tensor | None
    grad_edit: Tensor
    grad_content: Tensor | None


@dataclass(kw_only=True)
class Guidance:
    """The guidance of one edit; calling it gives G at a step.

    `gen_features` are those of the latest call, for measuring what the edit has reached.
    """

    denoiser: Denoiser
    plan: EditPlan
    trajectory: Trajectory
    text: Tensor  # (1, n, D) of the source's prompt
    energy_scale: float
    regional: bool
    limit: float = 0.0
    gen_features: list[Tensor] = field(default_factory=list)
    last_step: int = -1

    def __call__(self, z: Tensor, step: int, level: Level) -> Tensor:
        """G (1, C, h, w) for latents z (1, C, h, w) at a step."""
        return self.combined(self.gradients(z, step, level))

    def gradients(self, z: Tensor, step: int, level: Level) -> Gradients:
        """Energies and gradients at z; one forward pass, one backward pass for each energy."""
        ref = self.reference(step, level)
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            gen = self.denoiser.features(z, level.t, self.text)
            energies = self.plan.energies(gen, ref)
            content = energies.content
            keep = content is not None
            grad_edit = _pulled_back(energies.edit, gen, z, retain_graph=keep)
            grad_content = _pulled_back(content, gen, z) if content is not None else None
        self.gen_features, self.last_step = [m.detach() for m in gen], step
        return Gradients(
            edit=energies.edit.detach(),
            content=None if content is None else content.detach(),
            grad_edit=grad_edit,
            grad_content=grad_content,
        )

    def combined(self, gradients: Gradients) -> Tensor:
        """G from the two gradients, by region or not."""
        scale = self.plan.coefficient * ENERGY_UNIT * self.energy_scale
        return limited(self._sum(gradients) * scale, self.limit)

    def _sum(self, gradients: Gradients) -> Tensor:
        edit, content = gradients.grad_edit, gradients.grad_content
        if not self.regional:
            return edit if content is None else edit + content
        m = self.plan.m_edit
        return m * edit if content is None else m * edit + (1 - m) * content

    @torch.no_grad()
    def reference(self, step: int, level: Level) -> list[Tensor]:
        """Features of the inverted pictures at a step, computed once for a trajectory."""
        known, z = self.trajectory.features, self.trajectory.at(step)
        if step not in known:
            known[step] = self.denoiser.maps(z, level.t, self.text.expand(len(z), -1, -1))
        return on_feature_grid(known[step], feature_grid(z))


def _pulled_back(
    energy: Tensor, features: Sequence[Tensor], z: Tensor, *, retain_graph: bool = False
) -> Tensor:
    """dE/dz through the features, float32.

    What the UNet passes back is scaled by a power of two so that its largest element is about 1:
    an energy is a mean over many cells and channels, and what each of them gets of it is too small
    for float16. In float32 and bfloat16 that changes no digit.
    """
    by_features = torch.autograd.grad(energy, features, retain_graph=retain_graph)
    largest = torch.stack([g.abs().amax() for g in by_features]).amax()
    scale = torch.exp2(-largest.clamp_min(1e-30).log2().floor())
    scaled = [scale * g for g in by_features]
    return torch.autograd.grad(features, z, scaled, retain_graph=retain_graph)[0] / scale


def limited(gradient: Tensor, limit: float) -> Tensor:
    """A gradient (1, C, h, w), shortened in the cells where its rms over channels is above a limit.

    An energy near its least value pulls back what overshot it, the harder the larger its scale: a
    large energy_scale then swings about the goal and tears the picture. 0 sets no limit.
    """
    if not limit:
        return gradient
    rms = gradient.square().mean(1, keepdim=True).sqrt()
    return gradient * (limit / rms.clamp_min(limit))


@torch.no_grad()
def reached(guidance: Guidance, pairs: Sequence[tuple[Point, Point]]) -> list[float | None]:
    """How far each pair (start, end), in feature cells, got: 1 is the end, 0 the start.

    Where the start's reference features are now is found by the best match in the features of the
    last guided step, within one and a half times the pair's distance of the start; what counts is
    the part of the way along the pair. None for a pair that is less than a cell apart; empty if no
    step was guided.
    """
    if not guidance.gen_features:
        return []
    gen = guidance.gen_features
    grid = Size(*gen[0].shape[-2:])
    ref = on_feature_grid(guidance.trajectory.features[guidance.last_step], grid)
    return [
        _progress(gen, ref, a, b) if dist((a.x, a.y), (b.x, b.y)) >= 1 else None for a, b in pairs
    ]


def _progress(gen: Sequence[Tensor], ref: Sequence[Tensor], start: Point, end: Point) -> float:
    grid = Size(*gen[0].shape[-2:])
    row, column = start.cell(grid)
    likeness = sum(
        F.cosine_similarity(c[0], f[0, :, row, column][:, None, None], dim=0)
        for c, f in zip(gen, ref, strict=True)
    )
    rows = torch.arange(grid.height, device=gen[0].device)[:, None] - row
    columns = torch.arange(grid.width, device=gen[0].device)[None] - column
    way = (end.x - start.x, end.y - start.y)
    length = way[0] ** 2 + way[1] ** 2
    near = rows**2 + columns**2 <= 2.25 * length + 2
    best = int(torch.where(near, likeness, -torch.inf).argmax())
    found = (best % grid.width - column, best // grid.width - row)
    return float((found[0] * way[0] + found[1] * way[1]) / length)
