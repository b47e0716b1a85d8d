"""What is kept from one edit for the next, up to a number of bytes."""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Generic, Protocol, TypeVar

from PIL import Image
from torch import Tensor


class Sized(Protocol):
    """Something whose bytes can be told; they may grow while it is kept."""

    @property
    def nbytes(self) -> int: ...


class Tensors(tuple[Tensor, ...]):
    """Tensors that are kept together."""

    @property
    def nbytes(self) -> int:
        return sum(x.numel() * x.element_size() for x in self)


def digest(pictures: Sequence[Image.Image], *rest: object) -> bytes:
    """A key for what was made of these pictures and of values that `repr` tells apart."""
    found = blake2b(repr(rest).encode())
    for picture in pictures:
        found.update(repr(picture.size).encode() + picture.tobytes())
    return found.digest()


Kept = TypeVar("Kept", bound=Sized)


class Cache(Generic[Kept]):
    """The latest values, up to a number of bytes; the very latest always stays."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()

    def get(self, key: bytes) -> Kept | None:
        """The value of this key, now the latest; None if it is not kept."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: bytes, value: Kept) -> None:
        """Keep a value as the latest, and forget the longest unused beyond the limit."""
        self._kept[key] = value
        self.shrink(self._limit)

    def shrink(self, limit: int, keep: int = 1) -> None:
        """Forget the longest unused values beyond so many bytes, but never the latest `keep`."""
        while len(self._kept) > keep and self.nbytes > limit:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()

    @property
    def nbytes(self) -> int:
        """Bytes held by all values, as far as they have grown."""
        return sum(value.nbytes for value in self._kept.values())
