"""The image prompt: encoder and K/V projections learn from the denoising loss, all else is frozen.

    z_t = sqrt(a_t) z_0 + sqrt(1 - a_t) eps          z_0: the latents of a picture
    loss = w_t |eps - UNet(z_t, t, caption, tokens)|^2
    tokens = encoder(CLIP(the same picture))

Captions and pictures are dropped at random, a picture by making all zeros of what CLIP sees, as in
inference. A linear head, thrown away afterwards, may have to read a thumbnail of the latents out of
the tokens: where training is short, the tokens of all pictures become alike without it, because at
first they only disturb.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from diffeditor.attention import AttentionPass, attached
from diffeditor.backbones import StableDiffusion
from diffeditor.device import to_device
from diffeditor.image_prompt import STRETCHED, DecoupledProjections, ImagePrompt, ImagePromptEncoder
from diffeditor.image_prompt import ImagePromptConfig as EncoderConfig
from diffeditor.training.config import Dropout, ImagePromptConfig
from diffeditor.training.data import Pictures
from diffeditor.training.draw import Draw
from diffeditor.training.export import export_image_prompt
from diffeditor.training.latents import Autocast, LatentSource
from diffeditor.training.loop import fit
from diffeditor.training.progress import Run
from diffeditor.training.unet import add_noise, level_weights, stratified_timesteps

RUN_NAME = "image-prompt"
"""Of the checkpoint and the log."""

THUMBNAIL = 8
"""Side of the shrunken latents that the tokens have to be able to tell."""

JUDGED_LEVELS = (200, 400, 600, 800, 999)
"""Timesteps at which the error on unseen pictures is reported."""

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

PRECISIONS = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""What the frozen parts are kept in, by accelerate's name for the precision of a run."""


class Learner(nn.Module):
    """What is trained: an image prompt, and the head that reads thumbnails where there is one."""

    def __init__(self, prompt: ImagePrompt, channels: int) -> None:
        """channels: of the thumbnails; 0 for no head."""
        super().__init__()
        self.prompt = prompt
        encoder = prompt.image_proj.config
        read, told = encoder.queries * encoder.out_dim, channels * THUMBNAIL**2
        self.thumbnail = nn.Linear(read, told) if channels else None

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor | None]:
        """Image tokens (B, n, D) of CLIP's hidden states, and thumbnails (B, channels, 8, 8)."""
        tokens = self.prompt.image_proj(hidden)
        if self.thumbnail is None:
            return tokens, None
        told = self.thumbnail(tokens.flatten(1))
        return tokens, told.unflatten(1, (-1, THUMBNAIL, THUMBNAIL))


def build_learner(config: ImagePromptConfig, frozen: StableDiffusion, seed: int = 0) -> Learner:
    """A fresh image prompt for a model; the projections start from the text's own.

    The global random state is left as it was.
    """
    width = frozen.unet.config.cross_attention_dim
    sizes = EncoderConfig(
        clip_dim=frozen.image_encoder.config.hidden_size,
        dim=width,
        out_dim=width,
        queries=config.queries,
        depth=config.depth,
        heads=config.heads,
        dim_head=config.head,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        projections = DecoupledProjections.for_unet(frozen.unet)
        if config.silent_start:
            _silence(projections)
        prompt = ImagePrompt(ImagePromptEncoder(sizes), projections)
        return Learner(prompt, frozen.unet.config.in_channels if config.thumbnail else 0)


def _silence(projections: DecoupledProjections) -> None:
    """Set all V_ip to zero."""
    for name, weight in projections.named_parameters():
        if name.endswith("to_v_ip.weight"):
            nn.init.zeros_(weight)


def as_clip_sees(images: Tensor, side: int) -> Tensor:
    """`diffeditor.image_prompt.clip_pixels` for tensors (B, 3, H, W) in [-1, 1]."""
    stretched = F.interpolate(images, (STRETCHED, STRETCHED), mode="bicubic", antialias=True)
    shrunk = F.interpolate(stretched, (side, side), mode="bicubic", antialias=True)
    channels = zip(((shrunk.clamp(-1, 1) + 1) / 2).unbind(1), CLIP_MEAN, CLIP_STD, strict=True)
    return torch.stack([(one - mean) / deviation for one, mean, deviation in channels], dim=1)


def dropped(
    captions: list[str], pixels: Tensor, shares: Dropout, rng: np.random.Generator
) -> tuple[list[str], Tensor, Tensor]:
    """Captions, some of them empty; pixels, some of them zeros; and which pictures are still shown.

    pixels: (B, 3, S, S). The last is bool (B,).
    """
    u = rng.random(len(pixels))
    both = u < shares.both
    untold = both | (u >= 1 - shares.caption)
    shown = ~(both | ((u >= shares.both) & (u < shares.both + shares.image)))
    told = ["" if drop else caption for drop, caption in zip(untold, captions, strict=True)]
    kept = to_device(torch.from_numpy(shown), pixels.device)
    return told, pixels * kept[:, None, None, None], kept


def led(
    unet: UNet2DConditionModel,
    prompt: ImagePrompt,
    noised: tuple[Tensor, Tensor],
    text: Tensor,
    tokens: Tensor,
) -> Tensor:
    """What the UNet makes, float32, of noised latents (z_t, t) under text and image tokens."""
    z_t, t = noised
    with attached(unet, prompt.ip_adapter) as control:
        control.current = AttentionPass(image_tokens=tokens, image_scale=1.0)
        return unet(z_t.to(unet.dtype), t, text.to(unet.dtype)).sample.float()


class Noising:
    """Noised latents and what the UNet has to make of them, as its noise schedule says."""

    def __init__(self, frozen: StableDiffusion) -> None:
        self.alphas_cumprod = torch.tensor(frozen.schedule.alphas_cumprod, device=frozen.device)
        self.prediction = frozen.schedule.prediction

    def __call__(self, z_0: Tensor, eps: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """z_t and the target: eps, or v = sqrt(a_t) eps - sqrt(1 - a_t) z_0."""
        z_t = add_noise(z_0, eps, t, self.alphas_cumprod)
        if self.prediction == "epsilon":
            return z_t, eps
        a_t = self.alphas_cumprod[t].view(-1, 1, 1, 1)
        return z_t, a_t.sqrt() * eps - (1 - a_t).sqrt() * z_0


class ImagePromptObjective:
    """The weighted error of what is predicted with a picture for a prompt, and of its thumbnail."""

    def __init__(
        self,
        config: ImagePromptConfig,
        frozen: StableDiffusion,
        source: LatentSource,
        autocast: Autocast,
    ) -> None:
        """autocast: the precision to run in; `frozen` is on its device already."""
        self.config, self.frozen, self.source, self.autocast = config, frozen, source, autocast
        self.noising = Noising(frozen)
        self.weights = level_weights(self.noising.alphas_cumprod, config.snr_power)

    def __call__(self, model: nn.Module, draw: Draw) -> Tensor:
        config, device = self.config, self.frozen.device
        with self.autocast():
            z_0, drawn = self.source.draw(config.optimisation.batch, draw)
            z_0 = z_0.float().to(device)
            pixels = clip_view(self.frozen, drawn)
            captions, pixels, shown = dropped(drawn.captions, pixels, config.dropout, draw.rng)
            text, hidden = self.frozen.embed_text(captions), self.frozen.image_states(pixels)
            t = stratified_timesteps(len(z_0), draw, device, config.timestep_power)
            eps = torch.randn(z_0.shape, generator=draw.generator, device=device)
            z_t, target = self.noising(z_0, eps, t)
            tokens, thumbnail = model(hidden)
            made = led(self.frozen.unet, model.prompt, (z_t, t), text, tokens)
        loss = (self.weights[t] * (made - target).square().mean((1, 2, 3))).mean()
        if thumbnail is None:
            return loss
        off = thumbnail.float() - F.adaptive_avg_pool2d(z_0, THUMBNAIL)
        return loss + config.thumbnail * (off.square().mean((1, 2, 3)) * shown).mean()


def clip_view(frozen: StableDiffusion, drawn: Pictures) -> Tensor:
    """Pictures as the model's CLIP sees them, on its device."""
    return as_clip_sees(drawn.images.to(frozen.device), frozen.image_encoder.config.image_size)


class ImagePromptJudge:
    """How much unseen pictures help to denoise themselves without a caption.

    Beside them stand the errors with another picture for a prompt, and with none.
    """

    def __init__(
        self, frozen: StableDiffusion, judged: Pictures, batch: int, autocast: Autocast
    ) -> None:
        """batch: pictures that are put through the UNet at a time."""
        self.frozen, self.batch, self.autocast = frozen, batch, autocast
        self.noising = Noising(frozen)
        with autocast():
            pixels = clip_view(frozen, judged)
            self.z_0 = torch.cat([frozen.encode(one) for one in judged.images.split(batch)])
            self.hidden = torch.cat([frozen.image_states(one) for one in pixels.split(batch)])
            self.nothing = frozen.image_states(torch.zeros_like(pixels[:1]))
            self.text = frozen.embed_text([""])

    def __call__(self, model: nn.Module) -> dict[str, float]:
        with self.autocast():
            own, nothing = model(self.hidden)[0], model(self.nothing)[0]
            prompts = {
                "": own,
                "_other_picture": own.roll(1, 0),
                "_no_picture": nothing.expand_as(own),
            }
            return {
                f"eps_mse_{level}{which}": self._error(model.prompt, tokens, level)
                for which, tokens in prompts.items()
                for level in JUDGED_LEVELS
            }

    def _error(self, prompt: ImagePrompt, tokens: Tensor, level: int) -> float:
        """Mean square error at this timestep, with the same noise every time."""
        generator = torch.Generator(self.z_0.device).manual_seed(level)
        eps = torch.randn(self.z_0.shape, generator=generator, device=self.z_0.device)
        errors = []
        for z_0, noise, led_by in self._batches(self.z_0, eps, tokens):
            t = torch.full((len(z_0),), level, device=z_0.device)
            z_t, target = self.noising(z_0, noise, t)
            text = self.text.expand(len(z_0), -1, -1)
            made = led(self.frozen.unet, prompt, (z_t, t), text, led_by)
            errors.append((made - target).square().mean((1, 2, 3)))
        return float(torch.cat(errors).mean())

    def _batches(self, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
        return zip(*(one.split(self.batch) for one in tensors), strict=True)


def fit_image_prompt(
    config: ImagePromptConfig,
    frozen: StableDiffusion,
    source: LatentSource,
    judged: Pictures,
    run: Run,
    file: Path,
    note: Callable[[dict[str, float]], None] = lambda measured: None,
    begin: Callable[[ImagePrompt], None] = lambda prompt: None,
) -> ImagePrompt:
    """Train an image prompt for a model and write it to a file; the averaged one.

    Args:
        frozen: in float32; is moved to the run's device and precision.
        judged: unseen pictures to measure by.
        note: is told what was measured, at each snapshot.
        begin: may give the fresh image prompt other weights to begin with.

    Raises:
        Cancelled: a signal ended the run before its budget did.
    """
    accelerator = run.accelerator
    learner = build_learner(config, frozen, run.seed)
    begin(learner.prompt)
    frozen.to(accelerator.device, PRECISIONS[accelerator.mixed_precision])
    frozen.unet.to(memory_format=torch.channels_last)
    batch, autocast = config.optimisation.batch, accelerator.autocast
    judge = ImagePromptJudge(frozen, judged, batch, autocast)

    def snapshot(model: nn.Module) -> dict[str, float]:
        export_image_prompt(file, model.prompt)
        measured = judge(model)
        note(measured)
        return measured

    objective = ImagePromptObjective(config, frozen, source, autocast)
    return fit(RUN_NAME, objective, learner, config.optimisation, run, snapshot).prompt
