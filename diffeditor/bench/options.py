"""Options that all benchmarks share."""

import argparse
import json
from pathlib import Path
from typing import Any

from diffeditor.errors import InvalidSetting

FIRST_SEED = 2000
"""Of the cases of reported tables; strengths are chosen on those below 100."""


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Where results go, what makes them, and on what."""
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--model", default="embedded", help="embedded, or a model folder")
    parser.add_argument("--device", default="auto", help="auto, cpu, or a device of PyTorch")
    parser.add_argument("--processes", type=int, default=2, help="default: 2")


def check_from_one(options: argparse.Namespace, *names: str) -> None:
    """Refuse numbers below 1.

    Raises:
        InvalidSetting: an option of `names` is given as less.
    """
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise InvalidSetting(f"--{name.replace('_', '-')} starts at 1, not {value}.")


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, making the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n", "utf-8")
