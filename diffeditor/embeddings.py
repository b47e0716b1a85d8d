"""What encoders made of prompts and pictures, kept for the edits to come."""

from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torch import Tensor

from diffeditor.backbones import Backbone
from diffeditor.cache import Cache, Tensors, digest

EMBEDDINGS_BYTES = 64 * 2**20
"""Some hundred prompts and pictures of Stable Diffusion."""


class Embeddings:
    """Embeddings of one model, each computed once as long as there is room for it."""

    def __init__(self, limit: int = EMBEDDINGS_BYTES) -> None:
        self._kept = Cache[Tensors](limit)

    def text(self, backbone: Backbone, prompts: Sequence[str]) -> Tensor:
        """(B, n, D) of prompts."""
        found = [
            self._once(digest((), prompt), lambda one=prompt: (backbone.embed_text([one]),))[0]
            for prompt in prompts
        ]
        return torch.cat(found)

    def images(
        self, backbone: Backbone, pictures: Sequence[Image.Image]
    ) -> tuple[Tensor, Tensor] | None:
        """Image tokens of the pictures and of nothing, (B, n, D) each; None without an encoder."""
        if not backbone.has_image_prompt:
            return None
        shown, nothing = self._once(digest(pictures), lambda: backbone.embed_images(pictures) or ())
        return shown, nothing

    def _once(self, key: bytes, make: Callable[[], tuple[Tensor, ...]]) -> Tensors:
        found = self._kept.get(key)
        if found is None:
            found = Tensors(make())
            self._kept.put(key, found)
        return found

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._kept.nbytes
