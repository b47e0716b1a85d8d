"""The stages in their order: each trains one part and exports it into the model's folder."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

from diffusers import AutoencoderKL
from torch import nn

from diffeditor.backbones.stable_diffusion import IMAGE_PROMPT_FILE
from diffeditor.training import export
from diffeditor.training.clip import ClipJudge, ClipObjective, build_reader
from diffeditor.training.image_prompt import fit_image_prompt
from diffeditor.training.landmarks import LandmarkJudge, LandmarkObjective, build_landmark_net
from diffeditor.training.latents import (
    LatentSource,
    Reworded,
    encoded_worlds,
    posterior_mean,
)
from diffeditor.training.loop import fit
from diffeditor.training.pool import LatentPool
from diffeditor.training.unet import UnetJudge, UnetObjective, build_denoiser
from diffeditor.training.vae import (
    Autoencoder,
    VaeJudge,
    VaeObjective,
    build_vae,
    require_colours,
    standardise,
)
from diffeditor.training.workshop import Workshop

STANDARD = 96
"""Training pictures on which the latent channels are standardised."""


def train_vae(shop: Workshop) -> None:
    """Train and export the autoencoder.

    Raises:
        CollapsedColours: it lost a colour direction.
    """
    config = shop.config.vae
    if shop.settings.start is not None:
        config = replace(config, anchor=0.0)
    standard = shop.standard(STANDARD)
    shop.claim("vae")

    def finished(model: nn.Module) -> AutoencoderKL:
        vae = copy.deepcopy(model.vae)
        standardise(vae, standard)
        return vae

    vae = build_vae(config, shop.config.size, shop.settings.seed)
    shop.begin("vae", vae)
    scenes, faces = shop.judged.images.split(shop.config.judged)
    judge = VaeJudge(scenes, faces, shop.sheet("vae"))

    def snapshot(model: nn.Module) -> dict[str, float]:
        made = finished(model)
        measured = judge(made)
        if measured["colour_error"] <= config.colour_tolerance:
            export.export_vae(shop.settings.output, made)
        shop.note("vae", measured)
        return measured

    objective = VaeObjective(config, shop.source(), shop.factor, shop.device)
    fit("vae", objective, Autoencoder(vae), config.optimisation, shop.run("vae"), snapshot)
    require_colours(shop.measured("vae")["colour_error"], config.colour_tolerance)


def train_clip(shop: Workshop) -> None:
    """Train CLIP and export its halves, the text encoder and the image encoder."""
    config, judged, tokenizer = shop.config.clip, shop.judged, shop.tokenizer()
    judge = ClipJudge(judged.images.to(shop.device), judged.captions, tokenizer, config.picture)

    def snapshot(model: nn.Module) -> dict[str, float]:
        export.export_text_encoder(shop.settings.output, model.text_encoder())
        export.export_image_encoder(shop.settings.output, model.image_encoder())
        measured = judge(model)
        shop.note("clip", measured)
        return measured

    model = build_reader(config, tokenizer, shop.settings.seed)
    shop.claim("clip")
    objective = ClipObjective(config, shop.source(), tokenizer, shop.device)
    fit("clip", objective, model, config.optimisation, shop.run("clip"), snapshot)


def train_unet(shop: Workshop) -> None:
    """Train and export the UNet on latents of the exported autoencoder, under CLIP's text."""
    config, vae, tokenizer = shop.config.unet, shop.exported_vae(), shop.tokenizer()
    judged = shop.judged
    z_0 = vae.encode(judged.images.to(shop.device)).latent_dist.mean
    judge = UnetJudge(
        vae, tokenizer, z_0, judged.captions, shop.sheet("unet"), shop.accelerator.autocast
    )

    def snapshot(model: nn.Module) -> dict[str, float]:
        export.export_unet(shop.settings.output, model.unet)
        measured = judge(model)
        shop.note("unet", measured)
        return measured

    cells = shop.config.size // shop.factor
    model = build_denoiser(config, cells, shop.exported_text_encoder(), shop.settings.seed)
    shop.claim("unet")
    shop.begin("unet", model.unet)
    objective = UnetObjective(config, latent_source(shop), tokenizer, shop.device)
    fit("unet", objective, model, config.optimisation, shop.run("unet"), snapshot)


def latent_source(shop: Workshop) -> LatentSource:
    """Latents to learn from: encoded now where they are not yet, or as pictures are rendered."""
    vae = shop.exported_vae()
    if shop.config.live:
        return LatentPool(shop.pool(encode=posterior_mean(vae, shop.accelerator.autocast)))
    return encoded_worlds(shop.cached(), vae, shop.accelerator)


def train_image_prompt(shop: Workshop) -> None:
    """Train and export the image prompt for the other parts as exported."""
    model = shop.exported_model()
    shop.claim("image-prompt")
    fit_image_prompt(
        shop.config.image_prompt,
        model,
        Reworded(latent_source(shop)),
        shop.judged,
        shop.run("image-prompt"),
        shop.settings.output / IMAGE_PROMPT_FILE,
        lambda measured: shop.note("image-prompt", measured),
        lambda prompt: shop.begin(IMAGE_PROMPT_FILE, prompt),
    )


def train_landmarks(shop: Workshop) -> None:
    """Train and export the finder of face landmarks."""
    config, judged = shop.config.landmarks, shop.judged
    scenes, faces = judged.images.split(shop.config.judged)
    points = judged.landmarks[shop.config.judged :]
    judge = LandmarkJudge(
        faces.to(shop.device), points, scenes.to(shop.device), shop.sheet("landmarks")
    )

    def snapshot(model: nn.Module) -> dict[str, float]:
        export.export_landmarks(shop.settings.output, model)
        measured = judge(model)
        shop.note("landmarks", measured)
        return measured

    model = build_landmark_net(config, shop.settings.seed)
    shop.claim("landmarks")
    objective = LandmarkObjective(
        config, shop.source(("face",)), shop.source(("scene",)), shop.device
    )
    fit("landmarks", objective, model, config.optimisation, shop.run("landmarks"), snapshot)


STAGES: MappingProxyType[str, Callable[[Workshop], None]] = MappingProxyType(
    {
        "vae": train_vae,
        "clip": train_clip,
        "unet": train_unet,
        "image-prompt": train_image_prompt,
        "landmarks": train_landmarks,
    }
)
"""What each stage runs, in the order of "all"."""
