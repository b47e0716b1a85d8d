"""Paste an object of a reference picture into the source [DragonDiffusion sec. 3.2].

b          cells where the object shall be;  r  cells where it is in the reference

E_edit = sum_j q(w_edit, mean mu(cos(C[b], F_ref moved onto b)))
E_con  = sum_j q(w_content, mean mu(cos(C[~b], F[~b])))
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self, cast

import numpy as np
from PIL import Image
from torch import Tensor

from diffeditor import energy as e
from diffeditor.config import Preset, StepWindow, Strengths
from diffeditor.errors import OutOfBounds
from diffeditor.geometry import STILL, Box, ObjectMap, Shift, Size
from diffeditor.images import ImageSource, MaskSource, load_image
from diffeditor.masks import (
    GridMap,
    box_centre,
    grid_mask,
    moved_mask,
    moved_picture,
    resampled_mask,
)
from diffeditor.plan import EditPlan, Features, Grid, KVRule
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
    loaded_reference_mask,
    lost,
    size_of,
)

SURROUNDINGS = 0.12
"""How far round the object, in its mean side, shadows may appear with it [ours]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Paste(Task):
    """Paste what `reference_mask` covers in `reference` into the source picture.

    The two pictures are laid on each other pixel by pixel from their upper left corners; there
    the object moves by `shift` and is resized by `scale` about its box's centre.

    Attributes:
        reference, reference_mask: the picture with the object, and the object, of one size.
        shift: (dx, dy) in the source's pixels.
        scale: resize factor, 0.05 to 20.
        prompt, reference_prompt: what the result and the reference show.
    """

    name: ClassVar[str] = "paste"
    strengths: ClassVar[Strengths] = Strengths(
        guidance_scale=4.0,
        energy_scale=1.5,
        eta_in=0.4,
        image_prompt_scale=0.1,
        w_edit=4.0,
        w_content=6.0,
    )

    reference: ImageSource
    reference_mask: MaskSource
    shift: tuple[float, float]
    scale: float = 1.0
    prompt: str = ""
    reference_prompt: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        reference = load_image(self.reference, "reference")
        self._set("reference", reference)
        self._set("reference_mask", loaded_reference_mask(self.reference_mask, reference))
        self._set("shift", checked_pair(self.shift, "shift"))
        self._set("scale", checked_scale(self.scale))
        self._set("prompt", checked_prompt(self.prompt))
        self._set("reference_prompt", checked_prompt(self.reference_prompt, "reference prompt"))
        if not self._placed().any():
            why = "The object leaves the picture entirely; give another shift."
            raise lost(as_mask(self.reference_mask), self.object_map, self.size, why)

    @property
    def pictures(self) -> tuple[Image.Image, ...]:
        return self.source, self._fitted()[0]

    @property
    def prompts(self) -> tuple[str, ...]:
        return self.prompt, self.reference_prompt

    @property
    def object_map(self) -> ObjectMap:
        """Where the object goes, from the reference's to the source's pixels."""
        centre = box_centre(as_mask(self.reference_mask))
        return ObjectMap(centre, Shift(*self.shift), self.scale)

    def _fitted(self) -> tuple[Image.Image, np.ndarray, ObjectMap]:
        """The reference at the source's size, its mask, and the map that is left to do there.

        A reference of another size is warped so that the object already stands at its place.
        """
        reference = cast(Image.Image, self.reference)
        if size_of(reference) == self.size:
            return reference, as_mask(self.reference_mask), self.object_map
        return *self._resampled(self.object_map, self.size), STILL

    def _resampled(self, object_map: ObjectMap, size: Size) -> tuple[Image.Image, np.ndarray]:
        """The reference and its mask after a map, at a size."""
        pixels = np.asarray(cast(Image.Image, self.reference))
        mask = resampled_mask(as_mask(self.reference_mask), object_map, size)
        return Image.fromarray(moved_picture(pixels, object_map, size)), mask

    def _placed(self) -> np.ndarray:
        _, mask, object_map = self._fitted()
        return moved_mask(mask, object_map)

    def region(self) -> np.ndarray:
        placed = self._placed()
        return dilated(placed, SURROUNDINGS * extent(placed))

    def cropped(self, box: Box) -> Self:
        """The reference becomes a part of itself, with the object in the middle at its new size.

        That part is the same for every shift by whole pixels; what is left to do is such a shift.
        """
        size, middle = box.size, box_centre(self._placed())
        left, top = round(middle.x - size.width / 2), round(middle.y - size.height / 2)
        reference, mask = self._resampled(self.object_map.shifted(-left, -top), size)
        return replace(
            self,
            image=self.source.crop(box),
            reference=reference,
            reference_mask=mask,
            shift=(left - box.left, top - box.top),
            scale=1.0,
        )

    def carried(self) -> tuple[Carried, ...]:
        picture, mask, object_map = self._fitted()
        placed = moved_mask(mask, object_map)
        return (
            Carried(picture=self.source, mask=self.region() & ~placed, object_map=STILL),
            Carried(picture=picture, mask=placed, object_map=object_map),
        )

    def warnings(self) -> tuple[str, ...]:
        return cut_off(as_mask(self.reference_mask), self.object_map, self.size)

    def cells(self, grid: Grid, *, whole_cells: bool = False) -> "PasteCells":
        """The object's masks and maps on the grids."""
        _, mask, object_map = self._fitted()
        on_features, on_latents = grid_maps(object_map, grid, whole_cells=whole_cells)
        r, r_z = (grid_mask(mask, cells, grid.device) for cells in (grid.feature, grid.latent))
        b, b_z = (on_features(r) > 0.5).float(), on_latents(r_z)
        if not b.any() or not b_z.any():
            raise OutOfBounds(
                "Too little of the object is seen in the picture; shift it less or make it larger."
            )
        return PasteCells(on_features, on_latents, b, r, b_z)

    def plan(self, grid: Grid, strengths: Strengths, preset: Preset) -> EditPlan:
        cells, w = self.cells(grid, whole_cells=preset.whole_cells), strengths
        b, b_z, on_features = cells.b, cells.b_z, cells.on_features
        rest = e.active(1 - b)

        def energies(gen: Features, ref: Features) -> e.Energies:
            edit: list[Tensor] = []
            content: list[Tensor] = []
            for c, f in e.levels(gen, ref):
                placed = e.local_unit_similarity(c, on_features(f[1:2]), b)
                edit.append(e.inverse(w.w_edit, placed))
                if rest is not None:
                    kept = e.local_unit_similarity(c, f[:1], rest)
                    content.append(e.inverse(w.w_content, kept))
            return e.energies(edit, content)

        window = StepWindow(stop=preset.bank_until, through_stop=True)
        return EditPlan(
            start=lambda z: z[:1] * (1 - b_z) + cells.on_latents(z[1:2]) * b_z,
            energies=energies,
            coefficient=0.04,
            m_edit=b_z,
            m_sde=b_z,
            kv=KVRule(keep_own=False, masks=(1 - b, cells.r), window=window),
        )


@dataclass(frozen=True)
class PasteCells:
    """A paste on the grids: float masks (1, 1, height, width), b_z on the latent grid."""

    on_features: GridMap
    on_latents: GridMap
    b: Tensor
    r: Tensor
    b_z: Tensor
