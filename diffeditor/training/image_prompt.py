"""Third stage: the image prompt, with the UNet and the text encoder frozen.

A small CLIP vision tower, the queries and the decoupled key/value projections learn together from
the denoising loss: of the picture whose noise is to be predicted, the tower sees the clean version.
Most captions are empty, so that the picture has to tell what the words do not; a tenth of
the pictures is all zeros, the unconditional image prompt. The tower has no other training, so a
linear head, thrown away afterwards, has to read a thumbnail of the latents out of the tokens:
without it the tokens of all pictures soon become alike, because at first they only disturb.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPTokenizer, CLIPVisionConfig, CLIPVisionModelWithProjection

from diffeditor.attention import AttentionPass, attached
from diffeditor.image_prompt import STRETCHED, DecoupledProjections, ImagePrompt, ImagePromptEncoder
from diffeditor.image_prompt import ImagePromptConfig as EncoderConfig
from diffeditor.training.config import LATENT_CHANNELS, ImagePromptConfig
from diffeditor.training.latents import LatentSource
from diffeditor.training.loop import Draw
from diffeditor.training.unet import (
    Denoiser,
    add_noise,
    dropped,
    level_weights,
    noise_errors,
    scheduler,
    stratified_timesteps,
    tokenize,
)

THUMBNAIL = 8
"""Side of the shrunken latents that the tokens have to be able to tell."""

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class PromptedDenoiser(nn.Module):
    """The frozen denoiser led by pictures. Only the image prompt's parts are parameters."""

    def __init__(
        self, frozen: Denoiser, tower: CLIPVisionModelWithProjection, prompt: ImagePrompt
    ) -> None:
        super().__init__()
        self.tower, self.prompt = tower, prompt
        encoder = prompt.image_proj.config
        self.thumbnail = nn.Linear(
            encoder.queries * encoder.out_dim, LATENT_CHANNELS * THUMBNAIL * THUMBNAIL
        )
        self._frozen = (frozen,)

    def forward(
        self, z_t: Tensor, t: Tensor, token_ids: Tensor, pixels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """eps for latents z_t at t, and the latents that the picture shows, 4 x 8 x 8.

        `pixels` (B, 3, S, S) are as CLIP's processor makes them.
        """
        (frozen,) = self._frozen
        hidden = self.tower(pixels, output_hidden_states=True).hidden_states[-2]
        tokens = self.prompt.image_proj(hidden)
        shrunk = self.thumbnail(tokens.flatten(1)).unflatten(1, (-1, THUMBNAIL, THUMBNAIL))
        with attached(frozen.unet, self.prompt.ip_adapter) as control:
            control.current = AttentionPass(image_tokens=tokens, image_scale=1.0)
            return frozen(z_t, t, token_ids), shrunk


def build_prompted(config: ImagePromptConfig, frozen: Denoiser, seed: int = 0) -> PromptedDenoiser:
    """A fresh image prompt for a trained denoiser; what nothing reads of the tower stays frozen."""
    frozen.eval().requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tower = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                image_size=config.picture,
                patch_size=config.patch,
                hidden_size=config.tower_width,
                intermediate_size=4 * config.tower_width,
                num_hidden_layers=config.tower_layers,
                num_attention_heads=config.tower_heads,
                projection_dim=config.tower_width,
            )
        )
        width = frozen.unet.config.cross_attention_dim
        encoder = ImagePromptEncoder(
            EncoderConfig(
                clip_dim=config.tower_width,
                dim=width,
                out_dim=width,
                queries=config.queries,
                depth=config.depth,
                heads=config.heads,
                dim_head=config.head,
            )
        )
        prompt = ImagePrompt(encoder, DecoupledProjections.for_unet(frozen.unet))
        model = PromptedDenoiser(frozen, tower.train(), prompt)
    for unread in (tower.vision_model.encoder.layers[-1], tower.vision_model.post_layernorm):
        unread.requires_grad_(False)
    tower.visual_projection.requires_grad_(False)
    return model


def as_clip_sees(images: Tensor, side: int) -> Tensor:
    """`diffeditor.image_prompt.clip_pixels` for tensors (B, 3, H, W) in [-1, 1]."""
    stretched = F.interpolate(images, (STRETCHED, STRETCHED), mode="bicubic", antialias=True)
    shrunk = F.interpolate(stretched, (side, side), mode="bicubic", antialias=True)
    mean, deviation = (torch.tensor(x, device=images.device) for x in (CLIP_MEAN, CLIP_STD))
    return ((shrunk.clamp(-1, 1) + 1) / 2 - mean[:, None, None]) / deviation[:, None, None]


def without_some(pixels: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """The pixels with this share of the pictures all zeros."""
    kept = torch.from_numpy(rng.random(len(pixels)) >= share)
    return pixels * kept.to(pixels)[:, None, None, None]


class ImagePromptObjective:
    """The error of the noise predicted with a picture for a prompt.

    Levels less noisy than signal count as their inverse SNR: there the picture has little to tell,
    and an error that no prompt can mend would drown what it tells about the noisy ones.
    """

    def __init__(
        self,
        config: ImagePromptConfig,
        source: LatentSource,
        tokenizer: CLIPTokenizer,
        device: torch.device,
    ) -> None:
        self.config, self.source, self.tokenizer, self.device = config, source, tokenizer, device
        self.alphas_cumprod = scheduler().alphas_cumprod.to(device)
        self.weights = level_weights(self.alphas_cumprod, 1.0, 0.0).square()

    def __call__(self, model: nn.Module, draw: Draw) -> Tensor:
        z_0, drawn = self.source.draw(self.config.optimisation.batch, draw.rng)
        z_0 = z_0.to(self.device)
        pixels = as_clip_sees(drawn.images.to(self.device), self.config.picture)
        pixels = without_some(pixels, self.config.image_dropout, draw.rng)
        seen = pixels.flatten(1).any(1).to(z_0)[:, None, None, None]
        captions = dropped(drawn.captions, self.config.caption_dropout, draw.rng)
        ids = tokenize(self.tokenizer, captions, self.device)
        t = stratified_timesteps(len(z_0), draw, self.device)
        eps = torch.randn(z_0.shape, generator=draw.generator, device=self.device)
        made, shrunk = model(add_noise(z_0, eps, t, self.alphas_cumprod), t, ids, pixels)
        error = (made.float() - eps).square().mean((1, 2, 3))
        off = shrunk.float() - F.adaptive_avg_pool2d(z_0, THUMBNAIL)
        thumbnail = (seen * off.square()).mean()
        return (self.weights[t] * error).mean() + self.config.thumbnail * thumbnail


class ImagePromptJudge:
    """How much unseen pictures help to denoise themselves when there is no caption."""

    def __init__(self, z_0: Tensor, images: Tensor, empty: Tensor, side: int) -> None:
        self.z_0, self.empty = z_0, empty
        self.pixels = as_clip_sees(images, side)

    def __call__(self, model: nn.Module) -> dict[str, float]:
        def led(pixels: Tensor) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
            return lambda z_t, t, ids: model(z_t, t, ids, pixels)[0]

        shown = noise_errors(led(self.pixels), self.z_0, self.empty)
        zeros = noise_errors(led(torch.zeros_like(self.pixels)), self.z_0, self.empty)
        return shown | {f"{name}_no_picture": value for name, value in zeros.items()}
