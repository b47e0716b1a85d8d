"""DDIM inversion: from a picture's latents to noise, keeping all that the edit will read.

    n = 0..N-1, i = N-1-n, level (t_i, p_i):   z <- invert_step(z, eps(z, t_i))

conditional only (text and image prompt, no classifier-free guidance) [DiffEditor fig. 10]. The
network is evaluated at t_i for latents of level p_i, as in the release.
"""

from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from diffeditor.attention import AttentionPass
from diffeditor.backbones.base import Denoiser
from diffeditor.memory import MemoryBank
from diffeditor.memory_policy import FAST, MemoryPlan
from diffeditor.schedule import Level, ddim_invert_step


@dataclass(frozen=True, kw_only=True)
class ImageCondition:
    """Image tokens (B, n, D) and their scale gamma."""

    tokens: Tensor
    scale: float


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """An inversion of one or two pictures: latents of every level, and their memory bank.

    latents:  N - first + 1 tensors (pictures, C, h, w); latents[k] after k steps, [0] is the
              picture's own
    features: step -> reference features as the UNet gives them, kept once an edit has needed them
    first:    the step of an edit that the last latents are for
    """

    latents: tuple[Tensor, ...]
    bank: MemoryBank
    first: int = 0
    features: dict[int, list[Tensor]] = field(default_factory=dict)

    @property
    def z_T(self) -> Tensor:
        """The noisiest latents."""
        return self.latents[-1]

    def at(self, step: int) -> Tensor:
        """The latents (pictures, C, h, w) at the noise level that step i starts from."""
        return self.latents[len(self.latents) - 1 - (step - self.first)]

    @property
    def nbytes(self) -> int:
        """Bytes held, the features so far included."""
        maps = [m for level in self.features.values() for m in level]
        tensors = [*self.latents, *maps]
        return self.bank.nbytes + sum(t.numel() * t.element_size() for t in tensors)


@torch.no_grad()
def invert(
    denoiser: Denoiser,
    z_0: Tensor,
    levels: Sequence[Level],
    text: Tensor,
    *,
    bank_steps: Collection[int],
    image: ImageCondition | None = None,
    plan: MemoryPlan = FAST,
    first: int = 0,
) -> Generator[int, None, Trajectory]:
    """Invert latents z_0 (pictures, C, h, w) under text (pictures, n, D).

    Yields the number of steps done; returns the Trajectory. The bank holds `bank_steps` only, where
    the memory plan wants it. An edit that begins with step `first` needs no noisier levels.
    """
    bank = MemoryBank(bank_steps, plan)
    latents = [z_0]
    for done, i in enumerate(reversed(range(first, len(levels))), start=1):
        now = AttentionPass(
            write=(bank, i),
            image_tokens=None if image is None else image.tokens,
            image_scale=0.0 if image is None else image.scale,
        )
        eps = denoiser.eps(latents[-1], levels[i].t, text, now)
        latents.append(ddim_invert_step(latents[-1], eps, levels[i]))
        yield done
    bank.freeze()
    return Trajectory(latents=tuple(latents), bank=bank, first=first)
