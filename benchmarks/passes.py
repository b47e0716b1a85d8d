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
    that they turn out to belong to, and by their batch: classifier-free guidance has two halves.
    """

    def __init__(self, unets: Iterable[nn.Module]) -> None:
        self._unets = list(unets)
        self._handles: list[RemovableHandle] = []
        self._seen = Counter[str]()
        self._whole: list[int] = []
        self._open: tuple[int, bool] | None = None

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
        for batch in self._whole:
            sampling = "CFG" if batch == 2 else "roll-forward"
            self._seen["inversion" if phase == "invert" else sampling] += batch
        self._whole.clear()

    def counts(self) -> dict[str, int]:
        """Latents by kind, of the phases that are closed."""
        return {kind: self._seen[kind] for kind in KINDS}

    def _begun(self, _unet: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._left_early()
        z: Tensor = inputs[0]
        self._open = (len(z), torch.is_grad_enabled())
        if z.requires_grad:
            z.register_hook(lambda _: self._seen.update({"backward": len(z)}))

    def _ended(self, *_: object) -> None:
        assert self._open is not None
        self._whole.append(self._open[0])
        self._open = None

    def _left_early(self) -> None:
        if self._open is not None:
            batch, with_gradient = self._open
            self._seen["guided" if with_gradient else "reference"] += batch
            self._open = None
