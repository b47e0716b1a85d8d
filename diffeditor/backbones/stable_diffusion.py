"""Any Stable Diffusion 1.x / 2.x model, as a Backbone."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from diffeditor.attention import attached
from diffeditor.backbones.base import Denoiser
from diffeditor.image_prompt import ImagePrompt, clip_pixels
from diffeditor.schedule import Schedule

SETTINGS_FILE = "diffeditor.json"
"""Optional, beside the model: {"strengths": {task: {strength: value}}} found for this model."""

IMAGE_PROMPT_FILE = "image_prompt.safetensors"
"""Optional, beside the model, as is the folder of its CLIP vision tower."""

IMAGE_ENCODER_FOLDER = "image_encoder"


@dataclass(kw_only=True)
class StableDiffusion:
    """A diffusers model of the Stable Diffusion kind, with an optional image prompt."""

    name: str
    vae: AutoencoderKL
    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    schedule: Schedule
    image_encoder: CLIPVisionModelWithProjection | None = None
    image_prompt: ImagePrompt | None = None
    strengths: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

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
    def has_image_prompt(self) -> bool:
        return self.image_encoder is not None and self.image_prompt is not None

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        encoded = self.vae.encode(pictures.to(self.device, self.vae.dtype), return_dict=False)
        return encoded[0].mean.float() * self.vae.config["scaling_factor"]

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        scaled = (z / self.vae.config["scaling_factor"]).to(self.vae.dtype)
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
        return self.text_encoder(ids.to(self.device))[0].float()

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
        return self.image_encoder(pixels, output_hidden_states=True).hidden_states[-2]

    @torch.no_grad()
    def embed_images(self, pictures: Sequence[Image.Image]) -> tuple[Tensor, Tensor] | None:
        if self.image_encoder is None or self.image_prompt is None:
            return None
        pixels = clip_pixels(pictures, cast(int, self.image_encoder.config.image_size))
        hidden = self.image_states(torch.cat([pixels, torch.zeros_like(pixels)]))
        encoder = self.image_prompt.image_proj
        tokens = encoder(hidden.to(encoder.latents.dtype)).float()
        return tokens[: len(pictures)], tokens[len(pictures) :]

    @contextmanager
    def denoiser(self) -> Iterator[Denoiser]:
        projections = None if self.image_prompt is None else self.image_prompt.ip_adapter
        with attached(self.unet, projections) as control:
            yield Denoiser(self.unet, self.schedule, self.feature_blocks, control)

    def to(self, device: torch.device, dtype: torch.dtype) -> "StableDiffusion":
        """This model on a device; the networks in `dtype`, the VAE in float32."""
        nn.Module.to(self.vae, device, torch.float32)
        parts = (self.unet, self.text_encoder, self.image_encoder, self.image_prompt)
        for part in parts:
            if part is not None:
                nn.Module.to(part, device, dtype)
        return self
