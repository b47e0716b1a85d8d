"""`diffeditor train image-prompt`: an image prompt for any Stable Diffusion model.

On several GPUs: `accelerate launch -m diffeditor.training.image_prompt_command OPTIONS`.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from diffeditor.backbones import StableDiffusion, load_stable_diffusion
from diffeditor.device import AUTO, HOST, find_device
from diffeditor.errors import InvalidSetting
from diffeditor.training.claim import claim
from diffeditor.training.config import PAPER_IMAGE_PROMPT, ImagePromptConfig, PoolConfig
from diffeditor.training.data import (
    KINDS,
    TRAINING,
    VALIDATION,
    CachedWorlds,
    Pictures,
    render_missing,
)
from diffeditor.training.image_prompt import RUN_NAME, fit_image_prompt
from diffeditor.training.image_prompt_options import (
    CACHE,
    OUTPUT,
    PICTURES,
    RUNS,
    WORLDS,
    add_arguments,
    check_numbers,
    chosen_config,
)
from diffeditor.training.latents import (
    Autocast,
    Encode,
    LatentSource,
    LiveLatents,
    Reworded,
    encoded_worlds,
)
from diffeditor.training.launch import accelerator_on, best_precision, launch
from diffeditor.training.loop import local_steps
from diffeditor.training.pool import LatentPool, Pool
from diffeditor.training.progress import Run
from diffeditor.training.shards import ShardPictures, find_shards
from diffeditor.weights import find_image_encoder, find_model

POOL = PoolConfig(block=64, blocks=32, every=32)
"""Of an accelerator: 2048 pictures, 2.2 GB at 512 pixels; one is drawn 8 times in batches of 16."""

JUDGED = 32
"""Unseen worlds of each kind that a run is judged by."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One call of the trainer; goes to every process.

    model, image_encoder: folders. data: WORLDS or tar files. cache, pictures: of rendered worlds.
    minutes, snapshot_every: minutes. precision: of accelerate, "no", "bf16" or "fp16".
    """

    model: Path
    image_encoder: Path
    data: str | tuple[Path, ...]
    config: ImagePromptConfig
    output: Path
    runs: Path
    cache: Path
    pictures: int
    precision: str
    device: torch.device
    processes: int
    snapshot_every: float
    seed: int


def train_image_prompt(
    model: str | os.PathLike[str],
    data: str = WORLDS,
    output: Path = OUTPUT,
    *,
    config: ImagePromptConfig = PAPER_IMAGE_PROMPT,
    image_encoder: str | os.PathLike[str] | None = None,
    runs: Path = RUNS,
    cache: Path = CACHE,
    pictures: int = PICTURES,
    device: str = AUTO,
    processes: int = 1,
    precision: str | None = None,
    snapshot_every: float = 10.0,
    seed: int = 0,
) -> None:
    """Train an image prompt for a model and write it to a safetensors file.

    A run that was stopped goes on from its checkpoint in `runs`.

    Args:
        model: "embedded", a diffusers folder or a hub id. Only the image prompt learns.
        data: "worlds", or shards: a folder of tar files, a glob or a range in braces.
        image_encoder: folder of a CLIP vision tower; None takes the model's own, or else the CLIP
            ViT-H of IP-Adapter.
        runs: folder of checkpoints and logs.
        cache, pictures: where worlds are rendered to, and how many (CPU only; an accelerator
            renders its own all the time).
        device: "auto", "cpu" or a name that PyTorch gives an accelerator, with its number or not.
        processes: on a CPU, how many to train with.
        precision: "no", "bf16" or "fp16"; by default bf16 where the device has it.
        snapshot_every: minutes between two exports.

    Raises:
        InvalidSetting: an argument does not fit, the device is not there, or `runs` holds a run
            with other settings.
        ModelUnavailable: there is no such model or no image encoder.
        Cancelled: a signal ended the run.
        TrainingFailed: one of several processes failed.
    """
    place = find_device(device)
    folder = find_model(model)
    settings = Settings(
        model=folder,
        image_encoder=find_image_encoder(image_encoder, (folder,)),
        data=WORLDS if data == WORLDS else tuple(find_shards(data)),
        config=config,
        output=output.expanduser().absolute(),
        runs=runs.expanduser(),
        cache=cache.expanduser(),
        pictures=pictures,
        precision=precision or best_precision(place),
        device=place,
        processes=processes,
        snapshot_every=snapshot_every,
        seed=seed,
    )
    _check(settings)
    _render(settings)
    launch(_work, processes, settings)


def _check(settings: Settings) -> None:
    """Refuse what could not be trained or written, and claim the folder of the run."""
    check_numbers(settings.config)
    if settings.processes > 1 and settings.device.type != HOST.type:
        raise InvalidSetting(
            "--processes is for CPUs; on several GPUs start the program with `accelerate launch "
            "-m diffeditor.training.image_prompt_command`."
        )
    if settings.output.suffix != ".safetensors" or not settings.output.parent.is_dir():
        raise InvalidSetting(
            f"{settings.output} cannot be written; give a .safetensors file in a folder that "
            "exists."
        )
    claim(settings.runs, RUN_NAME, _dependences(settings))


def _dependences(settings: Settings) -> dict[str, object]:
    """By name, what a run may not change on its way; its budget and machine it may."""
    config = asdict(settings.config)
    optimisation = config.pop("optimisation")
    optimisation.pop("accelerator_batch")  # of the embedded model's trainer only
    free = ("steps", "minutes")
    named = ("model", "image_encoder", "data", "precision", "seed")
    return {
        **{name: getattr(settings, name) for name in named},
        **{name: value for name, value in config.items() if name not in free},
        **optimisation,
    }


def _render(settings: Settings) -> None:
    """Fill the cache with the worlds that the settings ask for."""
    if settings.data != WORLDS:
        return
    side = settings.config.resolution
    for kind in KINDS:
        render_missing(settings.cache, kind, JUDGED, side, first=VALIDATION)
        if settings.device.type == HOST.type:
            share = settings.pictures // len(KINDS)
            render_missing(
                settings.cache, kind, share, side, first=TRAINING, processes=settings.processes
            )


def _work(settings: Settings) -> None:
    """The whole run in one process."""
    accelerator = accelerator_on(settings.device, settings.precision)
    frozen = load_stable_diffusion(settings.model, image_encoder=settings.image_encoder)
    _check_resolution(settings.config.resolution, frozen.multiple)
    source, judged = _data(settings, frozen, accelerator)
    run = Run(
        directory=settings.runs,
        accelerator=accelerator,
        minutes=settings.config.minutes,
        meet_every=local_steps(accelerator.device),
        steps=settings.config.steps,
        seed=settings.seed,
        snapshot_every=settings.snapshot_every,
    )
    fit_image_prompt(settings.config, frozen, source, judged, run, settings.output)


def _check_resolution(side: int, multiple: int) -> None:
    if side < multiple or side % multiple:
        raise InvalidSetting(
            f"The resolution must be a multiple of {multiple} pixels for this model, not {side}."
        )


def _data(
    settings: Settings, frozen: StableDiffusion, accelerator: Accelerator
) -> tuple[LatentSource, Pictures]:
    """What to learn from, and unseen pictures to judge by."""
    side = settings.config.resolution
    if settings.data != WORLDS:
        shards = ShardPictures([Path(path) for path in settings.data], side)
        return LiveLatents(shards, frozen.encode), shards.held_out()
    unseen = CachedWorlds.open(settings.cache, side, first=VALIDATION, count=JUDGED)
    judged = unseen.take(range(len(unseen)))
    if settings.device.type != HOST.type:
        pool = Pool(
            POOL,
            side,
            accelerator.device,
            seed=settings.seed,
            process=accelerator.process_index,
            encode=_encoder(frozen, accelerator.autocast),
        )
        return Reworded(LatentPool(pool)), judged
    worlds = CachedWorlds.open(settings.cache, side, count=settings.pictures // len(KINDS))
    return Reworded(encoded_worlds(worlds, frozen.vae, accelerator)), judged


def _encoder(frozen: StableDiffusion, autocast: Autocast) -> Encode:
    """The model's encoder in the precision of the run, on any thread."""

    def encode(pictures: Tensor) -> Tensor:
        with autocast():
            return frozen.encode(pictures)

    return encode


def run(args: argparse.Namespace) -> None:
    """Train as parsed arguments say."""
    train_image_prompt(
        args.model,
        args.data,
        args.output,
        config=chosen_config(args),
        image_encoder=args.image_encoder,
        runs=args.runs,
        cache=args.cache,
        pictures=args.pictures,
        device=args.device,
        processes=args.processes,
        precision=args.precision,
        snapshot_every=args.snapshot_every,
        seed=args.seed,
    )


def main() -> None:
    """`python -m diffeditor.training.image_prompt_command`: for `accelerate launch -m`."""
    parser = argparse.ArgumentParser(prog="diffeditor train image-prompt", description=__doc__)
    add_arguments(parser)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
