"""The examples that ship with the project: a JSON file each, with pictures beside it.

{"tool": "move", "prompt": "...", "image": "move-1-image.png", "thumb": "move-1-thumb.png",
 "mask", "reference", "reference_mask": files or null, "controls": {"dx": 24, ...}}
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffeditor
from ui.controls import painted


@dataclass(frozen=True, kw_only=True)
class Example:
    """One example. Pictures are file names in the folder of the examples."""

    tool: str
    prompt: str
    image: str
    thumb: str
    mask: str | None = None
    reference: str | None = None
    reference_mask: str | None = None
    controls: dict[str, Any] = field(default_factory=dict[str, Any])


def folder() -> Path:
    """Where the examples are: in the package when installed, else in the checkout."""
    package = Path(diffeditor.__file__).parent
    installed = package / "_assets" / "examples"
    return installed if installed.is_dir() else package.parent / "assets" / "examples"


def load(tool: str) -> list[Example]:
    """The examples of a tool, by file name."""
    files = sorted(folder().glob(f"{tool}-*.json"))
    return [Example(**json.loads(file.read_text(encoding="utf-8"))) for file in files]


def values(example: Example) -> dict[str, Any]:
    """The values of the page's components that show the example."""

    def path(name: str | None) -> str | None:
        return None if name is None else str(folder() / name)

    reference = path(example.reference)
    shared = {
        "source": painted(str(folder() / example.image)),
        "source_mask": path(example.mask),
        "reference": None if reference is None else painted(reference),
        "reference_mask": path(example.reference_mask),
        "prompt": example.prompt,
        "start": None,
    }
    return shared | {f"{example.tool}.{key}": value for key, value in example.controls.items()}


def names(tool: str) -> list[str]:
    """The components that the examples of a tool fill."""
    return list(dict.fromkeys(name for example in load(tool) for name in values(example)))


def fill(tool: str, index: int) -> list[Any]:
    """The values for the components of `names` that show an example of a tool."""
    shown = values(load(tool)[index])
    return [shown[name] for name in names(tool)]
