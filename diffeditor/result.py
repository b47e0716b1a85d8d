"""What an edit gives: its progress step by step, and at the end the picture."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from diffeditor.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished edit.

    image: RGB, the size of the task's image, and bit-identical to it beyond the edit's region and
        the `feather` pixels round it that the metadata tell.
    metadata: what was run and measured, JSON-able.
    recipe: the edit as data, to be saved and run again.
    """

    image: Image.Image
    metadata: dict[str, Any]
    recipe: Recipe


@dataclass(frozen=True, kw_only=True)
class Step:
    """Progress of an edit: step `index` of `total` (from 1), in words; the last has the result."""

    index: int
    total: int
    phase: str
    message: str
    result: Result | None = None
    _preview: Callable[[], Image.Image | None] | None = field(default=None, repr=False)

    def preview(self) -> Image.Image | None:
        """The picture as far as it can be told by now, at working size.

        None before sampling, and where the device has no room to decode it.
        """
        return None if self._preview is None else self._preview()
