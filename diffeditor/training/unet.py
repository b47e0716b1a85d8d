"""Third stage: the denoiser, trained on latents with CLIP's text encoder frozen.

eps prediction on the noise schedule of Stable Diffusion 1.5. Timesteps are stratified over the
batch. The error of eps falls about as the root of the signal-to-noise ratio, from 0.4 at t = 1 to
0.003 at 999. Weights snr ** -0.5 let all levels contribute alike, which teaches captions sooner but
leaves the clean levels too weak for edits (docs/experiments.md): by default all errors weigh alike.
A tenth of the captions is empty, the others are varied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from diffeditor.device import to_device
from diffeditor.training.captions import token_ids, varied
from diffeditor.training.config import LATENT_CHANNELS, UnetConfig
from diffeditor.training.draw import Draw
from diffeditor.training.latents import LatentSource
from diffeditor.training.pictures import save_sheet

JUDGED_LEVELS = (1, 50, 100, 200, 400, 600, 800, 999)
"""Timesteps at which the error on unseen pictures is reported."""

SHEET_STEPS, SHEET_GUIDANCE = 25, 3.0
"""DDIM steps and classifier-free guidance of the pictures to look at."""


class Denoiser(nn.Module):
    """UNet and text encoder as one function, as data-parallel training needs it."""

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder

    def forward(self, z_t: Tensor, t: Tensor, token_ids: Tensor) -> Tensor:
        """eps (B, 4, h, w) for latents z_t (B, 4, h, w) at timesteps t (B,)."""
        text = self.text_encoder(token_ids)[0]
        return self.unet(z_t, t, text).sample


def scheduler() -> DDIMScheduler:
    """The noise schedule and DDIM configuration of Stable Diffusion 1.5."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="epsilon",
    )


def build_denoiser(
    config: UnetConfig, cells: int, text_encoder: CLIPTextModel, seed: int = 0
) -> Denoiser:
    """A fresh UNet for latents of `cells` x `cells`, with a text encoder that stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = _unet(config, cells, text_encoder.config.hidden_size)
    frozen = text_encoder.eval().requires_grad_(False)
    return Denoiser(unet.to(memory_format=torch.channels_last), frozen)


def _unet(config: UnetConfig, cells: int, text_width: int) -> UNet2DConditionModel:
    kinds = [("CrossAttn" if attends else "", attends) for attends in config.attention]
    return UNet2DConditionModel(
        sample_size=cells,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        layers_per_block=1,
        block_out_channels=config.channels,
        down_block_types=tuple(f"{kind}DownBlock2D" for kind, _ in kinds),
        up_block_types=tuple(f"{kind}UpBlock2D" for kind, _ in reversed(kinds)),
        cross_attention_dim=text_width,
        attention_head_dim=tuple(width // config.head for width in config.channels),
        norm_num_groups=config.groups,
    )


def tokenize(tokenizer: CLIPTokenizer, captions: Sequence[str], device: torch.device) -> Tensor:
    """Token ids (B, L), padded and cut to the length of the model."""
    return to_device(token_ids(tokenizer, captions), device)


def dropped(captions: Sequence[str], share: float, rng: np.random.Generator) -> list[str]:
    """The captions, varied, and this share of them empty."""
    return ["" if rng.random() < share else varied(caption, rng) for caption in captions]


def stratified_timesteps(
    count: int, draw: Draw, device: torch.device, power: float = 1.0
) -> Tensor:
    """Timesteps (count,), 1000 u ** power with a u from each of `count` equal parts of [0, 1).

    Their order is random.
    """
    order = torch.randperm(count, generator=draw.generator, device=device)
    inside = torch.rand(count, generator=draw.generator, device=device)
    return (((order + inside) / count) ** power * 1000).long().clamp(0, 999)


def add_noise(z_0: Tensor, eps: Tensor, t: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """z_t = sqrt(a_t) z_0 + sqrt(1 - a_t) eps."""
    a_t = alphas_cumprod[t].view(-1, 1, 1, 1)
    z_t = a_t.sqrt() * z_0 + (1 - a_t).sqrt() * eps
    return z_t.contiguous(memory_format=torch.channels_last)


def level_weights(alphas_cumprod: Tensor, snr_power: float) -> Tensor:
    """Weight of each timestep: snr ** -snr_power, with mean 1."""
    weights = (alphas_cumprod / (1 - alphas_cumprod)) ** -snr_power
    return weights / weights.mean()


class UnetObjective:
    """The weighted error of the predicted noise on one batch of latents."""

    def __init__(
        self,
        config: UnetConfig,
        source: LatentSource,
        tokenizer: CLIPTokenizer,
        device: torch.device,
    ) -> None:
        self.config, self.source, self.tokenizer, self.device = config, source, tokenizer, device
        self.alphas_cumprod = scheduler().alphas_cumprod.to(device)
        self.weights = level_weights(self.alphas_cumprod, config.snr_power)

    def __call__(self, model: nn.Module, draw: Draw) -> Tensor:
        z_0, drawn = self.source.draw(self.config.optimisation.batch, draw)
        z_0 = z_0.to(self.device)
        ids = tokenize(
            self.tokenizer,
            dropped(drawn.captions, self.config.caption_dropout, draw.rng),
            self.device,
        )
        t = stratified_timesteps(len(z_0), draw, self.device)
        eps = torch.randn(z_0.shape, generator=draw.generator, device=self.device)
        made = model(add_noise(z_0, eps, t, self.alphas_cumprod), t, ids)
        error = (made.float() - eps).square().mean((1, 2, 3))
        return (self.weights[t] * error).mean()


@torch.no_grad()
def sample(
    model: Denoiser, noise: Tensor, ids: Tensor, empty: Tensor, steps: int, guidance: float
) -> Tensor:
    """Latents made by DDIM from `noise` under classifier-free guidance."""
    clock, z_t = scheduler(), noise
    clock.set_timesteps(steps)
    for t in clock.timesteps:
        both = model(torch.cat([z_t, z_t]), t.to(z_t.device), torch.cat([empty, ids]))
        plain, told = both.float().chunk(2)
        z_t = clock.step(plain + guidance * (told - plain), t, z_t).prev_sample
    return z_t


@torch.no_grad()
def noise_errors(
    model: Callable[[Tensor, Tensor, Tensor], Tensor], z_0: Tensor, ids: Tensor
) -> dict[str, float]:
    """Mean square error of eps at each of JUDGED_LEVELS, with the same noise every time.

    model: (z_t, t, token ids) -> eps.
    """
    generator = torch.Generator(z_0.device).manual_seed(0)
    alphas_cumprod = scheduler().alphas_cumprod.to(z_0.device)
    errors = {}
    for level in JUDGED_LEVELS:
        eps = torch.randn(z_0.shape, generator=generator, device=z_0.device)
        t = torch.full((len(z_0),), level, device=z_0.device)
        made = model(add_noise(z_0, eps, t, alphas_cumprod), t, ids)
        errors[f"eps_mse_{level}"] = float((made.float() - eps).square().mean())
    return errors


class UnetJudge:
    """Measures on unseen latents and draws pictures of unseen captions."""

    def __init__(
        self,
        vae: AutoencoderKL,
        tokenizer: CLIPTokenizer,
        z_0: Tensor,
        captions: list[str],
        sheet: Path,
        autocast: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """z_0: latents of scenes, then of as many faces. autocast: the precision to run in."""
        self.vae, self.z_0, self.sheet, self.autocast = vae, z_0, sheet, autocast
        self.ids = tokenize(tokenizer, captions, z_0.device)
        self.empty = tokenize(tokenizer, [""] * len(captions), z_0.device)

    def __call__(self, model: nn.Module) -> dict[str, float]:
        with self.autocast():
            self._draw(model)
            told = noise_errors(model, self.z_0, self.ids)
            untold = noise_errors(model, self.z_0, self.empty)
        return told | {f"{name}_no_caption": value for name, value in untold.items()}

    def _draw(self, model: nn.Module) -> None:
        """Write the sheet: true pictures above those made from their captions."""
        half, each = len(self.z_0) // 2, min(6, len(self.z_0) // 2)
        shown = [*range(each), *range(half, half + each)]
        generator = torch.Generator(self.z_0.device).manual_seed(3)
        noise = torch.randn(
            (len(shown), *self.z_0.shape[1:]), generator=generator, device=self.z_0.device
        )
        made = sample(model, noise, self.ids[shown], self.empty[shown], SHEET_STEPS, SHEET_GUIDANCE)
        true, drawn = (self.vae.decode(z).sample for z in (self.z_0[shown], made))
        rows = [
            row for part in (slice(0, each), slice(each, None)) for row in (true[part], drawn[part])
        ]
        save_sheet(self.sheet, rows)
