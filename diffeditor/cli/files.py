"""The commands that write files without a model: pictures of worlds, another layout."""

import argparse
from pathlib import Path

from diffeditor.cli.command import leaf
from diffeditor.errors import InvalidSetting

WORLD_SIDES = (16, 2048)
"""Pixels; renderers work with several float planes per object."""


def _add_worlds_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("-n", type=int, default=16, help="how many worlds")
    parser.add_argument("--seed", type=int, default=0, help="of the first one")
    parser.add_argument("--size", type=int, default=128, help="side in pixels")


def _run_worlds(options: argparse.Namespace) -> None:
    from diffeditor.worlds.sheet import write_worlds

    low, high = WORLD_SIDES
    if options.n < 1 or options.seed < 0 or not low <= options.size <= high:
        raise InvalidSetting(
            f"Worlds need -n from 1, --seed from 0 and --size from {low} to {high} pixels."
        )
    try:
        write_worlds(options.out, options.n, options.seed, options.size)
    except OSError as error:
        raise InvalidSetting(
            f"{str(options.out)!r} cannot be written; choose another folder."
        ) from error


def _add_convert_arguments(parser: argparse.ArgumentParser) -> None:
    from diffeditor.image_prompt_files import LAYOUTS

    parser.add_argument("source", type=Path, metavar="IN", help="an image prompt of any layout")
    parser.add_argument("target", type=Path, metavar="OUT", help="the file to write")
    parser.add_argument("--to", choices=tuple(LAYOUTS), default="ours", help="layout of OUT")


def _run_convert(options: argparse.Namespace) -> None:
    from diffeditor.image_prompt_files import convert_image_prompt

    convert_image_prompt(options.source, options.target, options.to)


WORLDS = leaf("draw pictures of the worlds", _add_worlds_arguments, _run_worlds)

CONVERT_IMAGE_PROMPT = leaf(
    "write an image prompt as others read it", _add_convert_arguments, _run_convert
)
