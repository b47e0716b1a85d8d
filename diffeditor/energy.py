"""Similarities of features and the form of every energy [DragonDiffusion eq. 4-6].

    S_local(a, b; m)       mean over the cells of m of cos(a, b), cell by cell
    S_global(a, m; b, r)   cos of the mean of a over m and the mean of b over r
    mu(s)                  (s + 1) / 2, from [-1, 1] to [0, 1]
    q(w, s)                w / (1 + 4 s), small where similar

Maps are (1, C, H, W), masks (1, 1, H, W) float. `active(mask)` is None for an empty mask, and a
term whose mask is None is left out of its energy: no term is ever a mean over nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from diffeditor.masks import Patches

_POLE_GUARD = -0.2  # q has its pole at -0.25; raw cosines are held above it [ours]


@dataclass(frozen=True)
class Energies:
    """The editing energy and, where the task has one, the content energy: scalars."""

    edit: Tensor
    content: Tensor | None = None


def active(mask: Tensor) -> Tensor | None:
    """The mask, or None if it selects nothing."""
    return mask if bool(mask.any()) else None


def local_similarity(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """S_local: mean over the cells of `mask` of the cosine of a and b over channels."""
    cos = F.cosine_similarity(a, b, dim=1).unsqueeze(1)
    return (cos * mask).sum() / mask.sum()


def local_unit_similarity(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """Mean over the cells of `mask` of mu(cos)."""
    return unit(local_similarity(a, b, mask))


def global_similarity(a: Tensor, a_mask: Tensor, b: Tensor, b_mask: Tensor) -> Tensor:
    """S_global: cosine of the two mean feature vectors."""
    return F.cosine_similarity(_mean(a, a_mask), _mean(b, b_mask), dim=1).squeeze()


def _mean(x: Tensor, mask: Tensor) -> Tensor:
    return (x * mask).sum((2, 3)) / mask.sum()


def unit(s: Tensor) -> Tensor:
    """mu(s) = (s + 1) / 2."""
    return (s + 1) / 2


def inverse(weight: float, s: Tensor) -> Tensor:
    """q(w, s) = w / (1 + 4 s), with s held at or above -0.2."""
    return weight / (1 + 4 * s.clamp_min(_POLE_GUARD))


def patch_similarities(a: Tensor, b: Tensor, patches: Patches) -> Tensor:
    """(P,) mean mu(cos) of each pair's end patch in a and start patch in b."""
    cos = F.cosine_similarity(_cells(a, patches.end), patches.starts(b), dim=0)
    return unit((cos * patches.valid).sum(1) / patches.valid.sum(1))


def left_similarities(a: Tensor, b: Tensor, patches: Patches) -> Tensor:
    """(P,) mean mu(cos) of a and b over the start cells that no end patch covers; 0 without any."""
    a, b = _cells(a, patches.start), _cells(b, patches.start)
    cos = unit(F.cosine_similarity(a, b, dim=0)) * patches.left
    return cos.sum(1) / patches.left.sum(1).clamp_min(1)


def _cells(x: Tensor, cells: Tensor) -> Tensor:
    """x (1, C, h, w) in the cells (P, 9) of that index: (C, P, 9)."""
    return x.flatten(2)[0, :, cells]


def levels(gen: Sequence[Tensor], ref: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """The maps of the picture being made and of the inverted ones, level by level."""
    return zip(gen, ref, strict=True)


def total(terms: Sequence[Tensor]) -> Tensor | None:
    """The sum of scalar terms; None without any."""
    return torch.stack(list(terms)).sum() if terms else None


def energies(edit: Sequence[Tensor], content: Sequence[Tensor] = ()) -> Energies:
    """Energies from the terms of each; the editing energy has at least one."""
    return Energies(torch.stack(list(edit)).sum(), total(content))
