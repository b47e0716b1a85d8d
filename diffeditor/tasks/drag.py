"""Drag points of the content to new places [DragonDiffusion sec. 3.2].

src_p, dst_p    3 x 3 feature cells round the start and the end of pair p of P
outside         cells outside the mask;  C, F as in the paper

E_edit = 1/(2P) sum_j sum_p q(w_edit, mean mu(cos(C[dst_p], F[src_p])))
                            + w_inpaint mean mu(cos(C[src_p \\ dst_p], F[src_p \\ dst_p]))
E_con  = 1/2 sum_j q(w_content, mean mu(cos(C[outside], F[outside])))
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast

import numpy as np
from torch import Tensor

from diffeditor import energy as e
from diffeditor.config import Preset, StepWindow, Strengths
from diffeditor.errors import OutOfBounds
from diffeditor.geometry import Box, Point
from diffeditor.images import MaskSource
from diffeditor.masks import Patches, bounding_box, grid_mask
from diffeditor.plan import EditPlan, Features, Grid, KVRule
from diffeditor.tasks.base import Task, as_mask, checked_points, checked_prompt, loaded_mask


@dataclass(frozen=True, kw_only=True, eq=False)
class Drag(Task):
    """Drag each start point to its end point; what `mask` and a soft border cover may change.

    Attributes:
        mask: the area that may change, of the image's size. Every start lies inside. The edit fades
            out just beyond it.
        points: 1 to 100 pairs ((x0, y0), (x1, y1)) in pixels.
        prompt: what the picture shows.
    """

    name: ClassVar[str] = "drag"
    strengths: ClassVar[Strengths] = Strengths(
        guidance_scale=4.0,
        energy_scale=2.0,
        eta_in=0.4,
        image_prompt_scale=0.1,
        w_edit=4.0,
        w_content=6.0,
        w_inpaint=0.2,
    )

    mask: MaskSource
    points: Sequence[Any]
    prompt: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("mask", loaded_mask(self.mask, self.size, "mask"))
        pairs = checked_points(self.points, self.size)
        self._set("points", tuple(((a.x, a.y), (b.x, b.y)) for a, b in pairs))
        self._set("prompt", checked_prompt(self.prompt))
        for number, (start, _) in enumerate(pairs, 1):
            if not self._covers(start):
                raise OutOfBounds(
                    f"Point {number} starts outside the mask; brush over what may change there."
                )

    def _covers(self, point: Point) -> bool:
        row, column = point.cell(self.size)
        return bool(as_mask(self.mask)[row, column])

    @property
    def prompts(self) -> tuple[str, ...]:
        return (self.prompt,)

    def region(self) -> np.ndarray:
        return as_mask(self.mask)

    def scope(self) -> Box:
        seen = as_mask(self.mask).copy()
        for _, end in self.targets():
            seen[end.cell(self.size)] = True
        return bounding_box(seen)

    def cropped(self, box: Box) -> Self:
        pairs = [
            (a.shifted(-box.left, -box.top), b.shifted(-box.left, -box.top))
            for a, b in self.targets()
        ]
        return replace(
            self,
            image=self.source.crop(box),
            mask=as_mask(self.mask)[box.slices],
            points=[((a.x, a.y), (b.x, b.y)) for a, b in pairs],
        )

    def targets(self) -> tuple[tuple[Point, Point], ...]:
        return tuple((Point(*a), Point(*b)) for a, b in cast(Any, self.points))

    def warnings(self) -> tuple[str, ...]:
        outside = [n for n, (_, end) in enumerate(self.targets(), 1) if not self._covers(end)]
        return tuple(f"Point {n} ends outside the mask, where nothing may change." for n in outside)

    def plan(self, grid: Grid, strengths: Strengths, preset: Preset) -> EditPlan:
        device, w = grid.device, strengths
        on_features, on_latents = (
            Patches.between(
                self.targets(), grid.source, cells, device, whole_cells=preset.whole_cells
            )
            for cells in (grid.feature, grid.latent)
        )
        outside = e.active(1 - grid_mask(as_mask(self.mask), grid.feature, device))
        editable = grid_mask(as_mask(self.mask), grid.latent, device)

        def energies(gen: Features, ref: Features) -> e.Energies:
            edit: list[Tensor] = []
            content: list[Tensor] = []
            for c, f in e.levels(gen, ref):
                reached = e.inverse(w.w_edit, e.patch_similarities(c, f, on_features))
                left = w.w_inpaint * e.left_similarities(c, f, on_features)
                edit.append(0.5 * (reached + left).mean())
                if outside is not None:
                    kept = e.local_unit_similarity(c, f, outside)
                    content.append(0.5 * e.inverse(w.w_content, kept))
            return e.energies(edit, content)

        return EditPlan(
            start=lambda z: on_latents.copied(z[:1]),
            energies=energies,
            coefficient=0.04,
            m_edit=editable,
            m_sde=editable,
            kv=KVRule(keep_own=True, masks=(None,), window=StepWindow(start=preset.bank_from)),
        )
