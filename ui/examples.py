"""The examples that ship with the project: a JSON file each, with pictures beside it.

{"tool": "move", "prompt": "...", "image": "move-1-image.png", "thumb": "move-1-thumb.png",
 "mask", "reference", "reference_mask": files or null, "controls": {"dx": 24, ...}}

`controls` are the fields of the task: "points" of a drag, "dx", "dy" and "scale" of a placement,
"reference_prompt" and "groups".
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

import diffeditor
from ui.canvas import Patch, Placement
from ui.canvas.pixels import Mask
from ui.state import Updates

FULL_STRENGTH = 100
"""Per cent, of a face."""


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


def fill(tool: str, index: int) -> Updates:
    """What shows an example of a tool on the page."""
    example = load(tool)[index]
    return {
        "tabs": gr.update(selected=tool),
        "canvas": patch(example),
        "prompt": example.prompt,
        "reference_prompt": example.controls.get("reference_prompt", ""),
        **_controls(example),
    }


def filled(tool: str) -> list[str]:
    """The components that the examples of a tool fill."""
    return list(fill(tool, 0))


def patch(example: Example) -> Patch:
    """What the example puts on the canvas; both pictures replace those that were there."""
    placement = {k: v for k, v in example.controls.items() if k in Placement.model_fields}
    placed: dict[str, Any] = {example.tool: Placement(**placement)} if placement else {}
    points = example.controls.get("points", [])
    return Patch(
        tool=example.tool,  # pyright: ignore[reportArgumentType]
        source=folder() / example.image,
        reference=None if example.reference is None else folder() / example.reference,
        mask=_mask(example.mask),
        reference_mask=_mask(example.reference_mask),
        arrows=[((x0, y0), (x1, y1)) for x0, y0, x1, y1 in points],
        **placed,
    )


def _mask(name: str | None) -> Mask | None:
    if name is None:
        return None
    with Image.open(folder() / name) as image:
        return np.asarray(image.convert("L")) > 127


def _controls(example: Example) -> Updates:
    """The tool's own controls, each with the example's value."""
    if example.tool != "face":
        return {}
    return {"face.groups": example.controls["groups"], "face.strength": FULL_STRENGTH}
