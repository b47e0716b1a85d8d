"""The stages in their order: each trains one part and exports it into the model's folder."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import MappingProxyType

import numpy as np
from torch import nn

from diffeditor.training import export
from diffeditor.training.data import LiveWorlds
from diffeditor.training.image_prompt import (
    ImagePromptJudge,
    ImagePromptObjective,
    build_prompted,
)
from diffeditor.training.landmarks import LandmarkJudge, LandmarkObjective, build_landmark_net
from diffeditor.training.latents import (
    EncodedWorlds,
    LatentSource,
    LiveLatents,
    encode_missing,
    fingerprint,
)
from diffeditor.training.loop import fit
from diffeditor.training.unet import UnetJudge, UnetObjective, build_denoiser, tokenize
from diffeditor.training.vae import (
    Autoencoder,
    VaeJudge,
    VaeObjective,
    build_vae,
    require_colours,
    standardise,
)
from diffeditor.training.workshop import Workshop

STANDARD = 256
"""Training pictures on which the latent channels are standardised."""


def train_vae(shop: Workshop) -> None:
    """Train and export the autoencoder.

    Raises:
        CollapsedColours: it lost a colour direction; nothing is exported then.
    """
    config, source, judged = shop.config.vae, shop.source(), shop.config.judged
    standard = source.draw(STANDARD, np.random.default_rng(shop.settings.seed)).images
    images = shop.judged.images
    judge = VaeJudge(images[:judged], images[judged:], shop.sheet("vae"))

    def snapshot(model: nn.Module) -> dict[str, float]:
        finished = copy.deepcopy(model)
        standardise(finished.vae, standard.to(shop.device))
        measured = judge(finished)
        export.export_vae(shop.settings.output, finished.vae)
        shop.note("vae", measured)
        return measured

    model = Autoencoder(build_vae(config, shop.config.size, shop.settings.seed))
    objective = VaeObjective(config, source, shop.factor, shop.device)
    fit("vae", objective, model, config.optimisation, shop.run("vae"), snapshot)
    require_colours(shop.measured("vae")["colour_error"], config.colour_tolerance)


def train_unet(shop: Workshop) -> None:
    """Train and export the UNet and the text encoder on latents of the exported autoencoder."""
    config, vae, tokenizer = shop.config.unet, shop.exported_vae(), shop.tokenizer()
    judged = shop.judged
    z_0 = vae.encode(judged.images.to(shop.device)).latent_dist.mean
    judge = UnetJudge(
        vae, tokenizer, z_0, judged.captions, shop.sheet("unet"), shop.accelerator.autocast
    )

    def snapshot(model: nn.Module) -> dict[str, float]:
        export.export_denoiser(shop.settings.output, model)
        measured = judge(model)
        shop.note("unet", measured)
        return measured

    cells = shop.config.size // shop.factor
    model = build_denoiser(config, cells, tokenizer, shop.settings.seed)
    objective = UnetObjective(config, latent_source(shop), tokenizer, shop.device)
    fit("unet", objective, model, config.optimisation, shop.run("unet"), snapshot)


def latent_source(shop: Workshop) -> LatentSource:
    """Latents to learn from: encoded now where they are not yet, or made as they are drawn."""
    vae, source = shop.exported_vae(), shop.source()
    if isinstance(source, LiveWorlds):
        return LiveLatents(source, vae)
    key, who = fingerprint(vae), shop.accelerator
    with who.autocast():
        encode_missing(source, vae, key, who.process_index, who.num_processes)
    who.wait_for_everyone()
    return EncodedWorlds(source, key)


def train_image_prompt(shop: Workshop) -> None:
    """Train and export the image encoder and the image prompt for the exported UNet."""
    config, vae, tokenizer = shop.config.image_prompt, shop.exported_vae(), shop.tokenizer()
    images = shop.judged.images.to(shop.device)
    z_0 = vae.encode(images).latent_dist.mean
    empty = tokenize(tokenizer, [""] * len(images), shop.device)
    judge = ImagePromptJudge(z_0, images, empty, config.picture)

    def snapshot(model: nn.Module) -> dict[str, float]:
        export.export_image_prompt(shop.settings.output, model)
        with shop.accelerator.autocast():
            measured = judge(model)
        shop.note("image-prompt", measured)
        return measured

    model = build_prompted(config, shop.exported_denoiser(), shop.settings.seed)
    objective = ImagePromptObjective(config, latent_source(shop), tokenizer, shop.device)
    fit("image-prompt", objective, model, config.optimisation, shop.run("image-prompt"), snapshot)


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
    objective = LandmarkObjective(
        config, shop.cached(("face",)), shop.cached(("scene",)), shop.device
    )
    fit("landmarks", objective, model, config.optimisation, shop.run("landmarks"), snapshot)


STAGES: MappingProxyType[str, Callable[[Workshop], None]] = MappingProxyType(
    {
        "vae": train_vae,
        "unet": train_unet,
        "image-prompt": train_image_prompt,
        "landmarks": train_landmarks,
    }
)
"""What each stage runs, in the order of "all"."""
