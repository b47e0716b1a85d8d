"""The options of `diffeditor train image-prompt`, and the settings that they stand for."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from diffeditor.device import AUTO
from diffeditor.errors import InvalidSetting
from diffeditor.training.config import (
    EMBEDDED_IMAGE_PROMPT,
    PAPER_IMAGE_PROMPT,
    ImagePromptConfig,
)

CACHE = Path("~/.cache/diffeditor/worlds")
RUNS = Path("~/.cache/diffeditor/runs/image-prompt")
OUTPUT = Path("image_prompt.safetensors")

WORLDS = "worlds"
"""What `--data` takes beside shards."""

PICTURES = 16384

CONFIGS = MappingProxyType({"paper": PAPER_IMAGE_PROMPT, "embedded": EMBEDDED_IMAGE_PROMPT})
"""What `--settings` takes; single options change them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options to a parser."""
    _add_files(parser)
    _add_settings(parser)
    _add_machine(parser)


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, help="embedded, a folder, a file or a hub id")
    parser.add_argument("--image-encoder", help="folder of a CLIP vision tower (default: its own)")
    parser.add_argument(
        "--data", default=WORLDS, help="worlds, or webdataset shards: folder, glob or {00..99}"
    )
    parser.add_argument("--output", type=Path, default=OUTPUT, help=f"default: {OUTPUT}")
    parser.add_argument(
        "--runs", type=Path, default=RUNS, help=f"checkpoints and logs (default: {RUNS})"
    )
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of rendered worlds")
    parser.add_argument(
        "--pictures", type=int, default=PICTURES, help="worlds to render (CPU only)"
    )


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--settings", choices=tuple(CONFIGS), default="paper", help="where to start"
    )
    parser.add_argument("--resolution", type=int, help="side of the pictures in pixels")
    parser.add_argument("--batch", type=int, help="pictures per process and call of the UNet")
    parser.add_argument("--accumulate", type=int, help="batches per update")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--drop-caption", type=float, help="share learned without caption")
    parser.add_argument("--drop-image", type=float, help="share learned without image prompt")
    parser.add_argument("--drop-both", type=float, help="share learned without either")
    parser.add_argument("--max-steps", type=int, help="updates of the whole run")
    parser.add_argument("--minutes", type=float, help="budget of the whole run")
    parser.add_argument("--seed", type=int, default=0)


def _add_machine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default=AUTO, help="auto, cpu, or an accelerator's name")
    parser.add_argument("--processes", type=int, default=1, help="training processes on a CPU")
    parser.add_argument("--precision", choices=("no", "bf16", "fp16"), help="default: the fastest")
    parser.add_argument(
        "--snapshot-every", type=float, default=10.0, help="minutes between two exports"
    )


def chosen_config(args: argparse.Namespace) -> ImagePromptConfig:
    """The named settings, changed as single options say."""
    config = CONFIGS[args.settings]
    optimisation = _given(
        batch=args.batch, accumulate=args.accumulate, learning_rate=args.learning_rate
    )
    shares = _given(caption=args.drop_caption, image=args.drop_image, both=args.drop_both)
    return replace(
        config,
        **_given(resolution=args.resolution, steps=args.max_steps, minutes=args.minutes),
        dropout=replace(config.dropout, **shares),
        optimisation=replace(config.optimisation, **optimisation),
    )


def _given(**values: float | None) -> dict[str, float]:
    """The options that were given."""
    return {name: value for name, value in values.items() if value is not None}


def check_numbers(config: ImagePromptConfig) -> None:
    """Raises InvalidSetting where a number cannot be trained with."""
    optimisation, dropout = config.optimisation, config.dropout
    positive = {
        "resolution": config.resolution,
        "batch": optimisation.batch,
        "accumulate": optimisation.accumulate,
        "learning-rate": optimisation.learning_rate,
        "max-steps": config.steps,
        "minutes": config.minutes,
    }
    for name, value in positive.items():
        if not value > 0:
            raise InvalidSetting(f"--{name} must be greater than 0, not {value}.")
    shares = (dropout.caption, dropout.image, dropout.both)
    if min(shares) < 0 or sum(shares) > 1:
        raise InvalidSetting(
            "--drop-caption, --drop-image and --drop-both are shares from 0 that add up to at "
            "most 1."
        )
