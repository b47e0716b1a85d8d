"""`diffeditor models verify`: whether the files of a model on this machine are whole and right."""

import argparse

from diffeditor.backbones.quiet import quiet_libraries
from diffeditor.hub import DEFAULT_MODEL
from diffeditor.weights import verify


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        nargs="?",
        default=DEFAULT_MODEL,
        help=f"embedded, a hub id, a folder or a file (default: {DEFAULT_MODEL})",
    )
    parser.add_argument("--allow-pickle", action="store_true", help="also read pickle files")


def run(options: argparse.Namespace) -> None:
    """Print each file that was checked, then what was found of the whole."""
    quiet_libraries()
    files = size = hashed = 0
    for checked in verify(options.model, allow_pickle=options.allow_pickle):
        hash_state = "hash right" if checked.hashed else "no hash known"
        print(f"{checked.size:>14,}  {hash_state:13}  {checked.path}")
        files, size, hashed = files + 1, size + checked.size, hashed + checked.hashed
    print(f"{options.model}: {files} files, {size:,} bytes, {hashed} with the right hash; it loads")
