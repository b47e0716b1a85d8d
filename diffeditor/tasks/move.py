"""Move or resize an object [DragonDiffusion sec. 3.2, DiffEditor sec. 3].

    left, dst   cells of the object where it is and where it shall be
    vacated     left without dst;  keep  neither of them;  fill  what vacated cells shall look like
    C, F        features of the picture being made and of the source

    E_edit = sum_j 1/2 q(w_edit, mean cos(C[dst], F moved[dst]))
    E_con  = sum_j 1/2 q(w_content, mean cos(C[keep], F[keep]))
             + 1/2 w_contrast mean mu(cos(C[vacated], F[vacated]))
             + q(w_inpaint, mu(cos(mean C[vacated], mean F[fill])))

The cosines of the first two terms are raw, as in the release.

The vacated place starts from fresh noise, and its queries do not see the object in the memory bank:
the inverted latents and the bank would both put the object back where it was. What is left reaches
a little beyond the object: a shadow that stayed would ask for an object to cast it. In the first
steps the place is held on what surrounds it, or noise might become another object [ours].
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from torch import Tensor

from diffeditor import energy as e
from diffeditor.config import Preset, StepWindow, Strengths
from diffeditor.errors import InvalidEdit
from diffeditor.geometry import STILL, Box, ObjectMap, Point, Shift
from diffeditor.images import MaskSource
from diffeditor.masks import GridMap, bounding_box, box_centre, grid_mask, moved_mask
from diffeditor.plan import EditPlan, Features, Grid, Hidden, KVRule
from diffeditor.tasks.base import (
    Carried,
    Task,
    as_mask,
    checked_pair,
    checked_prompt,
    checked_scale,
    cut_off,
    dilated,
    extent,
    grid_maps,
    loaded_mask,
    lost,
)

SURROUNDINGS = 0.12
"""How far round the object, in its mean side, shadows and halos may change with it [ours]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Move(Task):
    """Move the object under `mask` by `shift` and resize it by `scale` about its box's centre.

    Attributes:
        mask: the object, of the image's size.
        shift: (dx, dy) in pixels, right and down.
        scale: resize factor, 0.05 to 20.
        fill_mask: an area whose look fills the vacated place; None takes all that stays.
        prompt: what the picture shows.
    """

    name: ClassVar[str] = "move"
    strengths: ClassVar[Strengths] = Strengths(
        guidance_scale=4.0,
        energy_scale=0.5,
        eta_in=0.4,
        image_prompt_scale=0.1,
        w_edit=4.0,
        w_content=6.0,
        w_contrast=0.2,
        w_inpaint=0.8,
    )

    mask: MaskSource
    shift: tuple[float, float]
    scale: float = 1.0
    fill_mask: MaskSource | None = None
    prompt: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("mask", loaded_mask(self.mask, self.size, "mask"))
        self._set("shift", checked_pair(self.shift, "shift"))
        self._set("scale", checked_scale(self.scale))
        self._set("prompt", checked_prompt(self.prompt))
        if self.fill_mask is not None:
            self._set("fill_mask", loaded_mask(self.fill_mask, self.size, "fill mask"))
        if self.shift == (0.0, 0.0) and self.scale == 1.0:
            raise InvalidEdit("The object stays where it is; give a shift or another scale.")
        if not self._moved().any():
            why = "The object leaves the picture entirely; give a smaller shift."
            raise lost(as_mask(self.mask), self.object_map, self.size, why)

    @property
    def prompts(self) -> tuple[str, ...]:
        return (self.prompt,)

    @property
    def object_map(self) -> ObjectMap:
        """Where the object goes, in the source's pixels."""
        return ObjectMap(box_centre(as_mask(self.mask)), Shift(*self.shift), self.scale)

    def _moved(self) -> np.ndarray:
        return moved_mask(as_mask(self.mask), self.object_map)

    def region(self) -> np.ndarray:
        src, dst = as_mask(self.mask), self._moved()
        return dilated(src, SURROUNDINGS * extent(src)) | dilated(dst, SURROUNDINGS * extent(dst))

    def scope(self) -> Box:
        seen = self.region()
        if self.fill_mask is not None:
            seen |= as_mask(self.fill_mask)
        return bounding_box(seen)

    def cropped(self, box: Box) -> Self:
        fill = self.fill_mask
        return replace(
            self,
            image=self.source.crop(box),
            mask=as_mask(self.mask)[box.slices],
            fill_mask=None if fill is None else as_mask(fill)[box.slices],
        )

    def carried(self) -> tuple[Carried, ...]:
        moved, src = self._moved(), as_mask(self.mask)
        left, around = (dilated(one, SURROUNDINGS * extent(one)) for one in (src, moved))
        return (
            Carried(picture=self.source, mask=around & ~left & ~moved, object_map=STILL),
            Carried(picture=self.source, mask=moved, object_map=self.object_map),
        )

    def targets(self) -> tuple[tuple[Point, Point], ...]:
        centre = self.object_map.centre
        return ((centre, self.object_map.forward(centre)),)

    def warnings(self) -> tuple[str, ...]:
        return cut_off(as_mask(self.mask), self.object_map, self.size)

    def cells(self, grid: Grid, preset: Preset) -> "MoveCells":
        """The object's masks and maps on the grids."""
        device, mask = grid.device, as_mask(self.mask)
        on_features, on_latents = grid_maps(self.object_map, grid, whole_cells=preset.whole_cells)
        src, src_z = (grid_mask(mask, cells, device) for cells in (grid.feature, grid.latent))
        dst, dst_z = (on_features(src) > 0.5).float(), on_latents(src_z)
        if not dst.any() or not dst_z.any():
            why = "Too little of the object stays in the picture; shift it less."
            raise lost(mask, self.object_map, self.size, why)
        left, left_z = src, src_z
        if preset.clear_vacated:
            mask = dilated(mask, SURROUNDINGS * extent(mask))
            left, left_z = (grid_mask(mask, cells, device) for cells in (grid.feature, grid.latent))
        keep = (1 - left) * (1 - dst)
        fill = keep
        if self.fill_mask is not None:
            fill = grid_mask(as_mask(self.fill_mask), grid.feature, device)
        vacated = left * (1 - dst)
        return MoveCells(on_features, on_latents, left, dst, keep, vacated, fill, left_z, dst_z)

    def plan(self, grid: Grid, strengths: Strengths, preset: Preset) -> EditPlan:
        cells = self.cells(grid, preset)
        keep, vacated, fill = (e.active(m) for m in (cells.keep, cells.vacated, cells.fill))
        w, moved, dst, dst_z = strengths, cells.on_features, cells.dst, cells.dst_z

        def energies(gen: Features, ref: Features) -> e.Energies:
            edit: list[Tensor] = []
            content: list[Tensor] = []
            for c, f in e.levels(gen, ref):
                f = f[:1]
                edit.append(0.5 * e.inverse(w.w_edit, e.local_similarity(c, moved(f), dst)))
                if keep is not None:
                    kept = e.local_similarity(c, f, keep)
                    content.append(0.5 * e.inverse(w.w_content, kept))
                if vacated is not None:
                    unlike = e.local_unit_similarity(c, f, vacated)
                    content.append(0.5 * w.w_contrast * unlike)
                if vacated is not None and fill is not None:
                    filled = e.unit(e.global_similarity(c, vacated, f, fill))
                    content.append(e.inverse(w.w_inpaint, filled))
            return e.energies(edit, content)

        return EditPlan(
            start=lambda z: z[:1] * (1 - dst_z) + cells.on_latents(z[:1]) * dst_z,
            energies=energies,
            coefficient=0.08,
            m_edit=dst_z,
            m_sde=(cells.left_z + dst_z).clamp_max(1),
            m_anew=cells.left_z * (1 - dst_z) if preset.clear_vacated else None,
            kv=KVRule(
                keep_own=False,
                masks=(None,),
                window=StepWindow(start=preset.bank_from),
                hidden=Hidden(from_cells=cells.vacated, cells=cells.left)
                if preset.clear_vacated
                else None,
            ),
        )


@dataclass(frozen=True)
class MoveCells:
    """A move on the grids: float masks (1, 1, height, width), those with _z on the latent grid."""

    on_features: GridMap
    on_latents: GridMap
    left: Tensor
    dst: Tensor
    keep: Tensor
    vacated: Tensor
    fill: Tensor
    left_z: Tensor
    dst_z: Tensor
