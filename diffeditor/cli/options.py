"""The options that edits, `run` and the page share: preset, model, device, output."""

import argparse
import json
from typing import TYPE_CHECKING, Any

from diffeditor.errors import InvalidSetting
from diffeditor.memory_policy import MEMORY_CHOICES

if TYPE_CHECKING:
    from diffeditor.config import Preset


def add_edit_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", default="diffeditor", help="default: diffeditor")
    parser.add_argument("--steps", type=int, help="of the sampling (default: the preset's)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change any field of the preset, e.g. energy_scale=1.5; may be given many times",
    )
    add_run_options(parser, model="embedded")


def add_run_options(parser: argparse.ArgumentParser, model: str | None) -> None:
    add_editor_options(parser, model)
    parser.add_argument("-o", "--output", metavar="FILE.png", help="where the result goes")
    parser.add_argument("--recipe", metavar="FILE.json", help="also save the edit, to run it again")
    parser.add_argument(
        "--no-recipe",
        action="store_true",
        help="leave the edit, and with it the source picture, out of the PNG",
    )


def add_editor_options(parser: argparse.ArgumentParser, model: str | None) -> None:
    parser.add_argument("--model", default=model, help="embedded, a hub id, a folder or a file")
    parser.add_argument("--vae", help="a folder, file or hub id, in place of the model's own")
    parser.add_argument(
        "--landmarks",
        metavar="FILE",
        help="finds landmarks of faces: .safetensors, MediaPipe's .task or dlib's .dat",
    )
    parser.add_argument(
        "--lora",
        action="append",
        default=[],
        metavar="PATH[:SCALE]",
        help="a LoRA file to add to the model; may be given many times",
    )
    parser.add_argument("--image-prompt", metavar="FILE", help="an image prompt, or its hub id")
    parser.add_argument("--image-encoder", metavar="FOLDER", help="the image prompt's CLIP")
    parser.add_argument(
        "--allow-pickle", action="store_true", help="also read models in PyTorch's own format"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, or a device of PyTorch")
    parser.add_argument(
        "--dtype",
        default="auto",
        help="what the networks compute in: float32, bfloat16, float16; auto: the device's best",
    )
    parser.add_argument(
        "--memory",
        choices=MEMORY_CHOICES,
        default="auto",
        help="how the device's memory is used; auto: the fastest way that fits",
    )
    parser.add_argument(
        "--compile", action="store_true", help="compile the model for a GPU; a slow first edit"
    )


def chosen_preset(options: argparse.Namespace) -> "Preset":
    from diffeditor.config import find_preset
    from diffeditor.recipe import changed_preset

    changes = dict(_assignment(text) for text in options.set)
    if options.steps is not None:
        changes["steps"] = options.steps
    return changed_preset(find_preset(options.preset), changes)


def _assignment(text: str) -> tuple[str, Any]:
    """FIELD=VALUE with a JSON value, or plain text."""
    name, equals, value = text.partition("=")
    if not equals:
        raise InvalidSetting(f"--set takes FIELD=VALUE, not {text!r}.")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value
