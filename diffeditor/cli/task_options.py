"""The options of the fields of tasks: what each one is called, and how its value is read."""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any

from diffeditor.errors import InvalidSetting


@dataclass(frozen=True, kw_only=True)
class Option:
    """How a field of a task is given: the settings of `add_argument`, and how its value is read."""

    help: str
    flag: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    read: Callable[[Any], Any] = lambda value: value


def _read_points(values: Sequence[Sequence[float]] | None) -> list[Any]:
    return [((x0, y0), (x1, y1)) for x0, y0, x1, y1 in values or ()]


def _read_groups(values: Sequence[str]) -> str | Sequence[str]:
    return "all" if list(values) == ["all"] else values


def _read_landmarks(path: str | None) -> Any:
    """An array (68, 2) or nested lists from .npy or .json; the task checks what they hold."""
    import numpy as np

    if path is None:
        return None
    try:
        if path.lower().endswith(".npy"):
            return np.load(path, allow_pickle=False)
        return json.loads(Path(path).read_bytes())
    except (OSError, ValueError, EOFError, RecursionError) as error:
        raise InvalidSetting(
            f"The landmarks {path!r} cannot be read; give a .json or .npy file of 68 points x, y."
        ) from error


_FILE = {"metavar": "FILE"}
_MASK = "bright where it selects, of the size of its picture"
TASK_OPTIONS = {
    "image": Option(help="the picture to edit", settings=_FILE),
    "mask": Option(help=f"what the edit acts on: {_MASK}", settings=_FILE),
    "fill_mask": Option(help=f"what to fill the vacated place with: {_MASK}", settings=_FILE),
    "reference": Option(help="the second picture", settings=_FILE),
    "reference_mask": Option(help=f"what to take from the reference: {_MASK}", settings=_FILE),
    "shift": Option(
        help="how far to move it, in pixels right and down",
        settings={"nargs": 2, "type": float, "metavar": ("DX", "DY")},
    ),
    "scale": Option(help="how much larger to make it", settings={"type": float}),
    "points": Option(
        flag="--point",
        help="drag the point x0, y0 to x1, y1, in pixels; may be given many times",
        settings={
            "nargs": 4,
            "type": float,
            "action": "append",
            "metavar": ("X0", "Y0", "X1", "Y1"),
        },
        read=_read_points,
    ),
    "target_landmarks": Option(
        help="68 points x, y where the face shall be: .json or .npy",
        settings=_FILE,
        read=_read_landmarks,
    ),
    "source_landmarks": Option(
        help="68 points x, y where the face is; found if not given",
        settings=_FILE,
        read=_read_landmarks,
    ),
    "groups": Option(
        help="parts of the face: all, or some of jaw brows nose eyes mouth",
        settings={"nargs": "+"},
        read=_read_groups,
    ),
    "strength": Option(
        help="how much of the way the landmarks go, 0 to 1.5", settings={"type": float}
    ),
    "prompt": Option(help="what the picture shows", settings={"metavar": "TEXT"}),
    "reference_prompt": Option(help="what the reference shows", settings={"metavar": "TEXT"}),
}
"""By the name of the field, the same in every task that has it."""


def add_task_option(parser: argparse.ArgumentParser, name: str, default: Any) -> None:
    option = TASK_OPTIONS[name]
    required = default is MISSING
    shown = "" if required or default in (None, "") else f" (default: {default})"
    parser.add_argument(
        option.flag or "--" + name.replace("_", "-"),
        dest=name,
        required=required,
        default=None if required else default,
        help=option.help + shown,
        **option.settings,
    )
