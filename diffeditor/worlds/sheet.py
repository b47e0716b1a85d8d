"""Many worlds on one picture, and worlds written to a folder."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from diffeditor.errors import InvalidSetting
from diffeditor.worlds.face_spec import random_face
from diffeditor.worlds.scene_spec import random_scene
from diffeditor.worlds.world import WorldSpec, render, spec_to_dict


def contact_sheet(specs: Sequence[WorldSpec], size: int, columns: int) -> Image.Image:
    """All worlds row by row, each `size` pixels wide; places left over at the end are black."""
    if not specs:
        raise InvalidSetting("A sheet needs at least one world.")
    return _sheet([render(spec, size).image for spec in specs], columns)


def write_worlds(out: Path, n: int, seed: int, size: int) -> None:
    """Write `n` worlds, scenes and faces in turn, as NNN.png and NNN.json, and all on sheet.png.

    The JSON holds the spec, as `spec_from_dict` reads it, and the caption.
    """
    if n < 1:
        raise InvalidSetting("The number of worlds must be at least 1.")
    out.mkdir(parents=True, exist_ok=True)
    pictures: list[np.ndarray] = []
    for number in range(n):
        draw = random_face if number % 2 else random_scene
        spec = draw(seed + number)
        picture = render(spec, size)
        Image.fromarray(picture.image).save(out / f"{number:03d}.png")
        label = {"spec": spec_to_dict(spec), "caption": picture.caption}
        (out / f"{number:03d}.json").write_text(json.dumps(label, indent=2) + "\n")
        pictures.append(picture.image)
    _sheet(pictures, math.ceil(math.sqrt(n))).save(out / "sheet.png")


def _sheet(pictures: Sequence[np.ndarray], columns: int) -> Image.Image:
    size = pictures[0].shape[0]
    sheet = np.zeros((math.ceil(len(pictures) / columns) * size, columns * size, 3), np.uint8)
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        sheet[row * size : (row + 1) * size, column * size : (column + 1) * size] = picture
    return Image.fromarray(sheet)
