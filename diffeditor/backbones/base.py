"""What the engine needs of a latent diffusion model, and the denoiser it runs during one edit."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from diffusers import UNet2DConditionModel
from PIL import Image
from torch import Tensor

from diffeditor.attention import PLAIN, AttentionControl, AttentionPass
from diffeditor.backbones.footprint import Footprint
from diffeditor.compiling import CompiledUNet
from diffeditor.errors import Cancelled
from diffeditor.features import decoder_features, feature_grid, on_feature_grid
from diffeditor.memory_policy import MemoryPlan
from diffeditor.schedule import Schedule


class Denoiser:
    """One UNet with our attention attached: predicted noise and decoder features."""

    def __init__(
        self,
        unet: UNet2DConditionModel,
        schedule: Schedule,
        blocks: Sequence[int],
        control: AttentionControl,
        *,
        one_by_one: bool = False,
        compiled: CompiledUNet | None = None,
    ) -> None:
        """one_by_one: rows of a batch go through the UNet in turn, but for those of an inversion,
        whose keys and values belong together.
        compiled: what runs the passes without a gradient in the UNet's place."""
        self._unet = unet
        self._schedule = schedule
        self._blocks = blocks
        self._control = control
        self._one_by_one = one_by_one
        self._compiled = compiled
        self.samples = Counter[str]()
        """Latents put through the UNet so far, by use: "eps", "features" or "guided"."""
        self.stopped: Callable[[], bool] = lambda: False
        """Asked before every call of the UNet: whether to raise Cancelled instead."""

    def eps(self, z: Tensor, t: int, text: Tensor, now: AttentionPass = PLAIN) -> Tensor:
        """Noise (B, C, h, w) float32 predicted for latents at timestep t under text (B, n, D)."""
        self.samples["eps"] += len(z)
        if self._one_by_one and now.write is None:
            rows = zip(z.split(1), text.split(1), strict=True)
            output = torch.cat([self._output(*row, t, now.of(n)) for n, row in enumerate(rows)])
        else:
            output = self._output(z, text, t, now)
        return self._schedule.epsilon(output, z, t)

    def _output(self, z: Tensor, text: Tensor, t: int, now: AttentionPass) -> Tensor:
        self._control.current = now
        try:
            return self._call(z, t, text, plain=True).float()
        finally:
            self._control.current = PLAIN

    def features(self, z: Tensor, t: int, text: Tensor) -> list[Tensor]:
        """Decoder features (B, channels, 2h, 2w) float32 of the plain UNet; gradients flow to z."""
        return on_feature_grid(self.maps(z, t, text), feature_grid(z))

    def maps(self, z: Tensor, t: int, text: Tensor) -> list[Tensor]:
        """The same as the UNet's blocks give them, several times smaller."""
        self.samples["guided" if torch.is_grad_enabled() else "features"] += len(z)
        return decoder_features(self._unet, self._blocks, lambda: self._call(z, t, text))

    def _call(self, z: Tensor, t: int, text: Tensor, *, plain: bool = False) -> Tensor:
        if self.stopped():
            raise Cancelled("The edit was stopped; run it again.")
        dtype = self._unet.dtype
        filled = torch.full((1,), t, device=z.device)  # a number would be copied from the host
        inputs = z.to(dtype), filled, text.to(dtype)
        if plain and self._compiled is not None and not torch.is_grad_enabled():
            return self._compiled(self._control, *inputs)
        return self._unet(*inputs, return_dict=False)[0]


class Backbone(Protocol):
    """A latent diffusion model of the Stable Diffusion 1.x / 2.x kind.

    native_size:   pixels, the side of the square it is best at
    multiple:      pixels, what both sides of a working picture are multiples of
    latent_factor: pixels per latent cell
    strengths:     task name -> strengths that this model needs beside the task's own
    plan:          the memory plan that is followed
    compiled:      the UNet's plain passes compiled, if they are to be
    """

    name: str
    schedule: Schedule
    strengths: Mapping[str, Mapping[str, float]]
    plan: MemoryPlan
    compiled: CompiledUNet | None

    @property
    def native_size(self) -> int: ...

    @property
    def multiple(self) -> int: ...

    @property
    def latent_factor(self) -> int: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> str:
        """The name of what the UNet computes in."""
        ...

    @property
    def has_image_prompt(self) -> bool: ...

    def encode(self, pictures: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in [-1, 1] -> scaled latent means (B, C, h, w) float32."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """Latents (B, C, h, w) -> pictures (B, 3, H, W) in [-1, 1] float32."""
        ...

    def embed_text(self, prompts: Sequence[str]) -> Tensor:
        """Prompts -> (B, n, D)."""
        ...

    def dropped_words(self, prompt: str) -> str:
        """The end of a prompt that does not fit the text encoder; empty if all of it does."""
        ...

    def embed_images(self, pictures: Sequence[Image.Image]) -> tuple[Tensor, Tensor] | None:
        """Image tokens of the pictures and of nothing, (B, n, D) each; None without an encoder."""
        ...

    def follow(self, plan: MemoryPlan) -> None:
        """Keep and compute things as a memory plan wants it from now on."""
        ...

    def footprint(self) -> Footprint:
        """What the model needs of the device's memory, measured at the first call."""
        ...

    def denoiser(self) -> AbstractContextManager[Denoiser]:
        """The UNet under our control for the length of a `with` block."""
        ...
