"""What goes through a UNet, observed from outside: passes by kind, whoever makes them."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

KINDS = ("inversion", "CFG", "roll-forward", "reference", "guided", "backward")
"""Latents put through for the inversion, classifier-free guidance, time travel; the features of the
inverted pictures and those of the edit, with a gradient; and passes back to the latents."""


class Passes:
    """Counts the latents put through UNets, by kind, within a `with` block.

    A pass that is left early is one for features. Those that are not are told apart by the phase
    that they turn out to belong to, and by their levels: sampling goes on to cleaner ones, but for
    a pass that goes back a level, after which one is at a noisier or the same level.
    """

    def __init__(self, unets: Iterable[nn.Module]) -> None:
        self._unets = list(unets)
        self._handles: list[RemovableHandle] = []
        self._seen = Counter[str]()
        self._whole: list[tuple[int, Tensor]] = []
        self._open: tuple[int, Tensor, bool] | None = None

    def __enter__(self) -> Self:
        for unet in self._unets:
            self._handles.append(unet.register_forward_pre_hook(self._begun))
            self._handles.append(unet.register_forward_hook(self._ended))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def close(self, phase: str) -> None:
        """Count the passes since the last call as those of a phase, "invert" or another."""
        self._left_early()
        levels = [float(t.flatten()[0]) for _, t in self._whole]
        after = [*levels, -1.0][1:]
        for (batch, _), level, following in zip(self._whole, levels, after, strict=True):
            sampling = "roll-forward" if following >= level else "CFG"
            self._seen["inversion" if phase == "invert" else sampling] += batch
        self._whole.clear()

    def counts(self) -> dict[str, int]:
        """Latents by kind, of the phases that are closed."""
        return {kind: self._seen[kind] for kind in KINDS}

    def _begun(self, _unet: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._left_early()
        z: Tensor = inputs[0]
        self._open = (len(z), inputs[1], torch.is_grad_enabled())
        if z.requires_grad:
            z.register_hook(lambda _: self._seen.update({"backward": len(z)}))

    def _ended(self, *_: object) -> None:
        assert self._open is not None
        self._whole.append(self._open[:2])
        self._open = None

    def _left_early(self) -> None:
        if self._open is not None:
            batch, _, with_gradient = self._open
            self._seen["guided" if with_gradient else "reference"] += batch
            self._open = None
