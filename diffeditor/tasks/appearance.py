"""Give an object the appearance of another one [DragonDiffusion sec. 3.2].

b, r       cells of the object and of the reference object;  C, F, F_ref as in the paper

E_edit = sum_j q(w_edit, mu(cos(mean C[b], mean F_ref[r])))
E_con  = sum_j q(w_content, mean mu(cos(C[~b], F[~b])))
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self, cast

import numpy as np
from PIL import Image
from torch import Tensor

from diffeditor import energy as e
from diffeditor.config import Preset, StepWindow, Strengths
from diffeditor.geometry import Box, crop_box
from diffeditor.images import ImageSource, MaskSource, load_image
from diffeditor.masks import bounding_box, grid_mask
from diffeditor.plan import EditPlan, Features, Grid, KVRule
from diffeditor.tasks.base import (
    Task,
    as_mask,
    checked_prompt,
    fitted,
    loaded_mask,
    loaded_reference_mask,
    size_of,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Appearance(Task):
    """Give what `mask` covers the appearance of what `reference_mask` covers in `reference`.

    Attributes:
        mask, reference_mask: the two objects, each of its own picture's size.
        reference: the picture with the wanted appearance.
        prompt, reference_prompt: what the two pictures show.
    """

    name: ClassVar[str] = "appearance"
    strengths: ClassVar[Strengths] = Strengths(
        guidance_scale=5.0,
        energy_scale=2.0,
        eta_in=0.4,
        image_prompt_scale=0.1,
        w_edit=3.5,
        w_content=5.0,
    )

    mask: MaskSource
    reference: ImageSource
    reference_mask: MaskSource
    prompt: str = ""
    reference_prompt: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        reference = load_image(self.reference, "reference")
        self._set("reference", reference)
        self._set("mask", loaded_mask(self.mask, self.size, "mask"))
        self._set("reference_mask", loaded_reference_mask(self.reference_mask, reference))
        self._set("prompt", checked_prompt(self.prompt))
        self._set("reference_prompt", checked_prompt(self.reference_prompt, "reference prompt"))

    @property
    def pictures(self) -> tuple[Image.Image, ...]:
        return self.source, self._fitted()[0]

    @property
    def prompts(self) -> tuple[str, ...]:
        return self.prompt, self.reference_prompt

    def _fitted(self) -> tuple[Image.Image, np.ndarray]:
        return fitted(self.reference, as_mask(self.reference_mask), self.size)  # type: ignore

    def region(self) -> np.ndarray:
        return as_mask(self.mask)

    def cropped(self, box: Box) -> Self:
        return replace(self, image=self.source.crop(box), mask=as_mask(self.mask)[box.slices])

    def focused(self, side: int) -> tuple[Self, Box | None]:
        """Also shows a small object in a large reference from near."""
        near, box = super().focused(side)
        reference = cast(Image.Image, self.reference)
        mask = as_mask(self.reference_mask)
        window = crop_box(bounding_box(mask), size_of(reference), side)
        if window is not None:
            near = replace(
                near, reference=reference.crop(window), reference_mask=mask[window.slices]
            )
        return near, box

    def cells(self, grid: Grid) -> tuple[Tensor, Tensor]:
        """(b, r): the object and the reference object on the feature grid."""
        b = grid_mask(as_mask(self.mask), grid.feature, grid.device)
        return b, grid_mask(self._fitted()[1], grid.feature, grid.device)

    def plan(self, grid: Grid, strengths: Strengths, preset: Preset) -> EditPlan:
        b, r = self.cells(grid)
        region = grid_mask(as_mask(self.mask), grid.latent, grid.device)
        rest, w = e.active(1 - b), strengths

        def energies(gen: Features, ref: Features) -> e.Energies:
            edit: list[Tensor] = []
            content: list[Tensor] = []
            for c, f in e.levels(gen, ref):
                alike = e.unit(e.global_similarity(c, b, f[1:2], r))
                edit.append(e.inverse(w.w_edit, alike))
                if rest is not None:
                    kept = e.local_unit_similarity(c, f[:1], rest)
                    content.append(e.inverse(w.w_content, kept))
            return e.energies(edit, content)

        window = StepWindow(stop=preset.bank_until, through_stop=True)
        return EditPlan(
            start=lambda z: z[:1],
            energies=energies,
            coefficient=0.04,
            m_edit=region,
            m_sde=region,
            kv=KVRule(keep_own=False, masks=(1 - b, r), window=window),
        )
