"""The memory bank: keys and values of the inversion, by step and attention layer.

Written while a picture is inverted, frozen afterwards, read while the edit is sampled
[DragonDiffusion sec. 3.3]. Entries are (pictures, tokens, channels), as after to_k and to_v.
"""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from diffeditor.device import to_host
from diffeditor.memory_policy import FAST, MemoryPlan


class MemoryBank:
    """Keys and values of the steps in `steps`; other steps are passed over when written.

    The plan says where they lie, and in what precision.
    """

    def __init__(self, steps: Collection[int], plan: MemoryPlan = FAST) -> None:
        self.steps = frozenset(steps)
        self._plan = plan
        self._entries: dict[int, dict[str, tuple[Tensor, Tensor]]] = {i: {} for i in self.steps}
        self._frozen = False

    def write(self, step: int, layer: str, key: Tensor, value: Tensor) -> None:
        """Keep key and value (pictures, tokens, channels) of a layer at a step.

        Raises:
            RuntimeError: the bank is frozen.
        """
        if self._frozen:
            raise RuntimeError("The memory bank is frozen; it is written during inversion only.")
        if step in self.steps:
            self._entries[step][layer] = (self._kept(key), self._kept(value))

    def _kept(self, x: Tensor) -> Tensor:
        x = x.detach()
        if self._plan.bank_halved and x.element_size() > torch.bfloat16.itemsize:
            x = x.to(torch.bfloat16)
        return to_host(x) if self._plan.bank_on_host else x

    def freeze(self) -> None:
        """Refuse every later write."""
        self._frozen = True

    def read(self, step: int) -> Mapping[str, tuple[Tensor, Tensor]]:
        """Keys and values of one step, by layer name."""
        return self._entries[step]

    @property
    def tokens(self) -> frozenset[int]:
        """The numbers of tokens that its layers have."""
        layers = (layers.values() for layers in self._entries.values())
        return frozenset(key.shape[1] for pairs in layers for key, _ in pairs)

    @property
    def nbytes(self) -> int:
        """Bytes held by all entries."""
        pairs = (pair for layers in self._entries.values() for pair in layers.values())
        return sum(t.numel() * t.element_size() for pair in pairs for t in pair)
