"""What a model needs of a device's memory, measured in small passes and told per latent cell.

All but the weights grows in proportion to the area: convolutions keep their outputs, and PyTorch's
attention never holds a whole table of queries and keys (on devices where it does, large pictures
need more than is told here).
"""

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

PROBE = 16
"""Latent cells along a side of the picture that is measured with."""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """Bytes. Per latent cell and picture, but for the first two.

    idle:         weights of the encoders and the autoencoder, which may wait on the host
    largest_idle: of the largest of them
    plain:        at the peak of a pass of the UNet
    guided:       at the peak of a guided pass, forwards and backwards
    checkpointed: the same, where activations are computed again
    decoded:      at the peak of encoding or decoding
    bank:         of the memory bank in the network's own precision, per step
    half_bank:    the same, rounded to 16 bits
    features:     of the reference features, per step
    """

    idle: int
    largest_idle: int
    plain: float
    guided: float
    checkpointed: float
    decoded: float
    bank: float
    half_bank: float
    features: float


class PeakBytes(TorchDispatchMode):
    """Within the block, counts the bytes of the tensors that are made and still alive."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = {_storage(x) for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        output = func(*args, **(kwargs or {}))
        for x in tree_leaves(output):
            if isinstance(x, Tensor) and _storage(x) not in given:
                self._count(x.untyped_storage())
        return output

    def _count(self, storage: Any) -> None:
        size = storage.nbytes()
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, size)

    def _forget(self, size: int) -> None:
        self.now -= size


def _storage(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()


def peak_per_cell(run: Callable[[], object]) -> float:
    """Bytes per cell of the probe at the peak of `run`."""
    with PeakBytes() as bytes_:
        run()
    return bytes_.peak / PROBE**2


def weight_bytes(part: nn.Module) -> int:
    """Bytes of a network's parameters and buffers."""
    return sum(x.numel() * x.element_size() for x in [*part.parameters(), *part.buffers()])


def tensor_bytes(tensors: Sequence[Tensor]) -> int:
    """Bytes of the elements of tensors."""
    return sum(x.numel() * x.element_size() for x in tensors)
