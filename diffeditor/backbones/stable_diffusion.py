"""Any Stable Diffusion 1.x / 2.x model, as a Backbone."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from diffeditor.attention import AttentionPass, attached
from diffeditor.backbones.base import Denoiser
from diffeditor.backbones.footprint import (
    PROBE,
    Footprint,
    peak_per_cell,
    tensor_bytes,
    weight_bytes,
)
from diffeditor.compiling import CompiledUNet
from diffeditor.device import HOST, to_device
from diffeditor.image_prompt import ImagePrompt, clip_pixels
from diffeditor.memory import MemoryBank
from diffeditor.memory_policy import BALANCED, FAST, MemoryPlan
from diffeditor.schedule import Schedule

SETTINGS_FILE = "diffeditor.json"
"""Optional, beside the model: {"strengths": {task: {strength: value}}} found for this model."""

IMAGE_PROMPT_FILE = "image_prompt.safetensors"
"""Optional, beside the model, as is the folder of its CLIP vision tower."""

IMAGE_ENCODER_FOLDER = "image_encoder"


@dataclass(kw_only=True)
class StableDiffusion:
    """A diffusers model of the Stable Diffusion kind, with an optional image prompt.

    plan: what waits on the host and what is computed anew; see `follow`.
    compiled: the UNet's plain passes compiled, if they are to be.
    """

    name: str
    vae: AutoencoderKL
    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    schedule: Schedule
    image_encoder: CLIPVisionModelWithProjection | None = None
    image_prompt: ImagePrompt | None = None
    strengths: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    plan: MemoryPlan = FAST
    compiled: CompiledUNet | None = None
    _footprint: Footprint | None = field(default=None, init=False, repr=False)

    @property
    def latent_factor(self) -> int:
        return 2 ** (len(self.vae.config["block_out_channels"]) - 1)

    @property
    def multiple(self) -> int:
        return self.latent_factor * 2 ** (len(self.unet.config["block_out_channels"]) - 1)

    @property
    def native_size(self) -> int:
        return self.unet.config["sample_size"] * self.latent_factor

    @property
    def feature_blocks(self) -> tuple[int, int]:
        """Up blocks at half and at full latent resolution: the last but one and two."""
        count = len(self.unet.up_blocks)
        return count - 3, count - 2

    @property
    def device(self) -> torch.device:
        return self.unet.device

    @property
    def dtype(self) -> str:
        return str(self.unet.dtype).removeprefix("torch.")

    @property
    def has_image_prompt(self) -> bool:
        return self.image_encoder is not None and self.image_prompt is not None

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        with self._at_work(self.vae):
            batches = pictures.split(1 if self.plan.one_by_one else len(pictures))
            means = [self._mean(batch.to(self.device, self.vae.dtype)) for batch in batches]
        return torch.cat(means) * self.vae.config["scaling_factor"]

    def _mean(self, pictures: Tensor) -> Tensor:
        return self.vae.encode(pictures, return_dict=False)[0].mean.float()

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        scaled = (z / self.vae.config["scaling_factor"]).to(self.vae.dtype)
        with self._at_work(self.vae):
            return self.vae.decode(scaled, return_dict=False)[0].float().clamp(-1, 1)

    @property
    def _max_tokens(self) -> int:
        longest = self.text_encoder.config.max_position_embeddings
        return min(self.tokenizer.model_max_length, longest)

    @torch.no_grad()
    def embed_text(self, prompts: Sequence[str]) -> Tensor:
        ids = self.tokenizer(
            list(prompts),
            padding="max_length",
            truncation=True,
            max_length=self._max_tokens,
            return_tensors="pt",
        ).input_ids
        with self._at_work(self.text_encoder):
            return self.text_encoder(to_device(ids, self.device))[0].float()

    def dropped_words(self, prompt: str) -> str:
        ids = self.tokenizer(prompt).input_ids[1:-1]
        return str(self.tokenizer.decode(ids[self._max_tokens - 2 :])).strip()

    @torch.no_grad()
    def image_states(self, pixels: Tensor) -> Tensor:
        """What an image prompt is made of: CLIP's last hidden states but one, (B, tokens, width).

        pixels: (B, 3, S, S) as `clip_pixels` makes them; all zeros stand for no picture.
        """
        assert self.image_encoder is not None
        pixels = pixels.to(self.device, self.image_encoder.dtype)
        with self._at_work(self.image_encoder):
            return self.image_encoder(pixels, output_hidden_states=True).hidden_states[-2]

    @torch.no_grad()
    def embed_images(self, pictures: Sequence[Image.Image]) -> tuple[Tensor, Tensor] | None:
        if self.image_encoder is None or self.image_prompt is None:
            return None
        pixels = clip_pixels(pictures, cast(int, self.image_encoder.config.image_size))
        hidden = self.image_states(torch.cat([pixels, torch.zeros_like(pixels)]))
        encoder = self.image_prompt.image_proj
        with self._at_work(encoder):
            tokens = encoder(hidden.to(encoder.latents.dtype)).float()
        return tokens[: len(pictures)], tokens[len(pictures) :]

    @contextmanager
    def denoiser(self) -> Iterator[Denoiser]:
        projections = None if self.image_prompt is None else self.image_prompt.ip_adapter
        keeping = checkpointing(self.unet) if self.plan.checkpointed else nullcontext()
        with keeping, attached(self.unet, projections) as control:
            yield Denoiser(
                self.unet,
                self.schedule,
                self.feature_blocks,
                control,
                one_by_one=self.plan.one_by_one,
                compiled=self.compiled,
            )

    @property
    def idle_parts(self) -> list[nn.Module]:
        """The networks that have nothing to do while an edit is sampled."""
        projection = None if self.image_prompt is None else self.image_prompt.image_proj
        parts = (self.vae, self.text_encoder, self.image_encoder, projection)
        return [part for part in parts if part is not None]

    def follow(self, plan: MemoryPlan) -> None:
        self.plan = plan
        for part in self.idle_parts:
            nn.Module.to(part, HOST if plan.idle_on_host else self.device)

    @contextmanager
    def _at_work(self, part: nn.Module) -> Iterator[None]:
        """A part on the device for the length of the block."""
        nn.Module.to(part, self.device)
        try:
            yield
        finally:
            if self.plan.idle_on_host:
                nn.Module.to(part, HOST)

    def footprint(self) -> Footprint:
        if self._footprint is None:
            self._footprint = self._measured()
        return self._footprint

    def _measured(self) -> Footprint:
        z = torch.zeros(1, self.vae.config["latent_channels"], PROBE, PROBE, device=self.device)
        text, weights = self.embed_text([""]), [weight_bytes(part) for part in self.idle_parts]
        bank = MemoryBank([0])
        with torch.no_grad(), replace(self, plan=FAST, compiled=None).denoiser() as denoiser:
            plain = peak_per_cell(lambda: denoiser.eps(z, 0, text))
            denoiser.eps(z, 0, text, AttentionPass(write=(bank, 0)))
            features = tensor_bytes(denoiser.maps(z, 0, text)) / PROBE**2
        pictures = self.decode(z)
        return Footprint(
            idle=sum(weights),
            largest_idle=max(weights),
            plain=plain,
            guided=self._guided_bytes(FAST, z, text),
            checkpointed=self._guided_bytes(BALANCED, z, text),
            decoded=max(
                peak_per_cell(lambda: self.encode(pictures)), peak_per_cell(lambda: self.decode(z))
            ),
            bank=bank.nbytes / PROBE**2,
            half_bank=bank.nbytes / PROBE**2 * min(1, 2 / self.unet.dtype.itemsize),
            features=features,
        )

    def _guided_bytes(self, plan: MemoryPlan, z: Tensor, text: Tensor) -> float:
        """Bytes per cell at the peak of two gradients of features, beside those of a reference."""
        z = z.clone().requires_grad_()

        def guide() -> None:
            with torch.no_grad():
                reference = denoiser.features(z, 0, text)
            energies = [m.square().mean() for m in denoiser.features(z, 0, text)]
            torch.autograd.grad(energies[0], z, retain_graph=True)
            torch.autograd.grad(energies[1], z)
            del reference

        with torch.enable_grad(), replace(self, plan=plan).denoiser() as denoiser:
            return peak_per_cell(guide)

    def to(self, device: torch.device, dtype: torch.dtype) -> "StableDiffusion":
        """This model on a device; the networks in `dtype`, the VAE in float32.

        Idle parts stay on the host where the memory plan has them wait there.
        """
        waiting = HOST if self.plan.idle_on_host else device
        for part in (self.unet, self.image_prompt):
            if part is not None:
                nn.Module.to(part, device, dtype)
        for part in self.idle_parts:
            nn.Module.to(part, waiting, torch.float32 if part is self.vae else dtype)
        if dtype.itemsize < torch.float32.itemsize:  # 16-bit kernels like it, as measured
            cast(Any, self.unet).to(memory_format=torch.channels_last)
        self._footprint = None
        return self


@contextmanager
def checkpointing(unet: UNet2DConditionModel) -> Iterator[None]:
    """Within the block, gradients keep few activations of the UNet and compute the others again.

    Nothing in it is random, so that the state of the generators need not be kept, which would make
    the host wait for the device.
    """
    unet.enable_gradient_checkpointing(
        partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
    )
    try:
        yield
    finally:
        unet.disable_gradient_checkpointing()
