"""`diffeditor models fetch`: download a model of the hub, so that it works offline from then on."""

import argparse

from diffeditor.errors import ModelUnavailable
from diffeditor.hub import DEFAULT_MODEL, Address, fetch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        nargs="?",
        default=DEFAULT_MODEL,
        help=f"a hub id, owner/name or owner/name@revision (default: {DEFAULT_MODEL})",
    )
    parser.add_argument("--fp16", action="store_true", help="the variant of half the size")
    parser.add_argument("--allow-pickle", action="store_true", help="also take pickle files")


def run(options: argparse.Namespace) -> None:
    """Tell the size, download what is missing with a bar, print the folder."""
    address = Address.parse(options.model)
    if address is None:
        raise ModelUnavailable(f"{options.model!r} is no hub id; give owner/name.")
    print(fetch(address, half=options.fp16, allow_pickle=options.allow_pickle))
