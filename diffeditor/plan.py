"""EditPlan: all that the sampler may know of an edit. Tasks produce it, the sampler consumes it.

Grids: a picture runs at its working size; latents have one cell per `latent_factor` pixels and
features one cell per half of that. Masks on a grid are float {0, 1}, shape (1, 1, height, width).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffeditor.config import StepWindow
from diffeditor.energy import Energies
from diffeditor.geometry import Size

Features = Sequence[Tensor]
"""Decoder features, one (pictures, channels, height, width) map per level, on the feature grid."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The grids of one picture: its own pixels, the working picture, latents and features."""

    source: Size
    working: Size
    latent_factor: int
    device: torch.device

    @property
    def latent(self) -> Size:
        return self.working.divided(self.latent_factor)

    @property
    def feature(self) -> Size:
        return Size(2 * self.latent.height, 2 * self.latent.width)


@dataclass(frozen=True, kw_only=True)
class Hidden:
    """What some cells may not see of the source in the bank; masks on the feature grid."""

    from_cells: Tensor
    cells: Tensor


@dataclass(frozen=True, kw_only=True)
class KVRule:
    """Which keys and values the self-attention of the decoder sees in the steps of `window`.

    Its own ones, if `keep_own`, followed by those of the bank: of each inverted picture the tokens
    inside that picture's mask (on the feature grid), or all of them where the mask is None; less,
    for some of the queries, what is `hidden` from them.
    """

    keep_own: bool
    masks: tuple[Tensor | None, ...]
    window: StepWindow
    hidden: Hidden | None = None


@dataclass(frozen=True, kw_only=True)
class EditPlan:
    """An edit on the grids of its picture.

    start:     (pictures, C, h, w) latents at the end of the inversion -> z_T (1, C, h, w)
    energies:  features of the picture being made and of the inverted pictures -> Energies
    coefficient: k of the guidance G = k * 1000 * energy_scale * gradient
    m_edit:    (1, 1, h, w) latent cells where the editing energy acts; the content energy elsewhere
    m_sde:     (1, 1, h, w) latent cells with eta_in; the others have eta_out
    m_anew:    (1, 1, h, w) latent cells that start from fresh noise instead; None for none
    """

    start: Callable[[Tensor], Tensor]
    energies: Callable[[Features, Features], Energies]
    coefficient: float
    m_edit: Tensor
    m_sde: Tensor
    kv: KVRule
    m_anew: Tensor | None = None
