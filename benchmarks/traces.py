"""Recorded runs of the published release: their arguments, tensors, and the same edits as ours.

A recording is a pair NAME.json / NAME.safetensors. A trimmed one holds outputs as integers, with
the value of one unit in the JSON file, and pictures and masks as the bytes of PNG files.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from diffeditor.config import PRESETS, Preset
from diffeditor.tasks import Appearance, Drag, Face, Move, Paste, Task

FACE_SIDE = 1024
"""Recorded face landmarks are in pixels of a square picture of this side."""


@dataclass(frozen=True)
class Trace:
    """One recorded run: its arguments and tensors, and the same edit as a task of ours."""

    name: str
    kind: str
    args: dict[str, Any]
    tensors: dict[str, Tensor]

    @classmethod
    def load(cls, path: Path) -> "Trace":
        """The recording whose JSON file is `path`."""
        meta = json.loads(path.read_text("utf-8"))
        tensors = load_file(path.with_suffix(".safetensors"))
        scaled = {key: tensors[key] * unit for key, unit in meta.get("units", {}).items()}
        return cls(path.stem, meta["task"], meta["args"], tensors | scaled)

    def __getitem__(self, key: str) -> Tensor:
        return self.tensors[key]

    def array(self, key: str) -> np.ndarray:
        """A recorded picture or mask, uint8."""
        values = self.tensors[key].numpy()
        return values if values.ndim > 1 else np.array(Image.open(BytesIO(values.tobytes())))

    def picture(self, key: str) -> Image.Image:
        return Image.fromarray(self.array(key))

    def mask(self, key: str) -> np.ndarray:
        mask = self.array(key)
        return (mask if mask.ndim == 2 else mask[..., 0]) > 0

    @cached_property
    def task(self) -> Task:
        """The edit in our terms."""
        return _TASKS[self.kind](self)

    @cached_property
    def preset(self) -> Preset:
        """The "release" preset with this run's strengths."""
        a = self.args
        weights = {
            k: float(a[k]) for k in ("w_edit", "w_content", "w_contrast", "w_inpaint") if k in a
        }
        everywhere = {"eta_out": a["SDE_strength"]} if self.kind == "drag_face" else {}
        return replace(
            PRESETS["release"],
            resolution=a["max_resolution"],
            guidance_scale=float(a["guidance_scale"]),
            energy_scale=float(a["energy_scale"]),
            eta_in=a["SDE_strength"],
            image_prompt_scale=a["ip_scale"],
            **weights,
            **everywhere,
        )


def _move(trace: Trace) -> Task:
    (x0, y0), (x1, y1) = trace.args["selected_points"]
    fill = next((k for k in ("in/mask_ref", "in/mask_fill") if k in trace.tensors), None)
    return Move(
        image=trace.picture("in/original_image"),
        mask=trace.mask("in/mask"),
        shift=(x1 - x0, y1 - y0),
        scale=trace.args["resize_scale"],
        fill_mask=None if fill is None else trace.mask(fill),
        prompt=trace.args["prompt"],
    )


def _drag(trace: Trace) -> Task:
    flat = trace.args["selected_points"]
    return Drag(
        image=trace.picture("in/original_image"),
        mask=trace.mask("in/mask"),
        points=list(zip(flat[::2], flat[1::2], strict=True)),
        prompt=trace.args["prompt"],
    )


def _face(trace: Trace) -> Task:
    picture = _through_face_square(trace.picture("in/original_image"))
    scale = np.array(picture.size) / FACE_SIDE
    return Face(
        image=picture,
        source_landmarks=trace["in/landmarks"].numpy() * scale,
        target_landmarks=trace["in/landmarks_ref"].numpy() * scale,
    )


def _through_face_square(picture: Image.Image) -> Image.Image:
    """The release brings faces to 1024 x 1024 first, and from there to the working size."""
    square = picture.resize((FACE_SIDE, FACE_SIDE), Image.Resampling.BICUBIC)
    back = cv2.resize(np.asarray(square), picture.size, interpolation=cv2.INTER_LANCZOS4)
    return Image.fromarray(back)


def _appearance(trace: Trace) -> Task:
    return Appearance(
        image=trace.picture("in/img_base"),
        mask=trace.mask("in/mask_base"),
        reference=trace.picture("in/img_replace"),
        reference_mask=trace.mask("in/mask_replace"),
        prompt=trace.args["prompt"],
        reference_prompt=trace.args["prompt_replace"],
    )


def _paste(trace: Trace) -> Task:
    return Paste(
        image=trace.picture("in/img_base"),
        reference=trace.picture("in/img_replace"),
        reference_mask=trace.mask("in/mask_base"),
        shift=(trace.args["dx"], trace.args["dy"]),
        scale=trace.args["resize_scale"],
        prompt=trace.args["prompt"],
        reference_prompt=trace.args["prompt_replace"],
    )


_TASKS: dict[str, Callable[[Trace], Task]] = {
    "move": _move,
    "drag": _drag,
    "drag_face": _face,
    "appearance": _appearance,
    "paste": _paste,
}
