"""Pictures and masks between files, the browser and arrays."""

import base64
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from diffeditor import load_image
from diffeditor.errors import InvalidEdit
from ui.files import cached

Mask: TypeAlias = npt.NDArray[np.bool_]
Sides: TypeAlias = tuple[int, int]
"""(width, height) in pixels, as PIL has it."""

MAX_SIDE = 2048
"""Pixels of the longer side of what the browser shows, and of its masks."""
LOSSLESS_PIXELS = 1_000_000
"""Up to this size a view is PNG; larger ones would take seconds to encode and to send."""
PNG_ADDRESS = "data:image/png;base64,"


def view_sides(own: Sides) -> Sides:
    """The size at which the browser shows a picture of this size."""
    factor = min(1.0, MAX_SIDE / max(own))
    return max(1, round(own[0] * factor)), max(1, round(own[1] * factor))


@lru_cache(maxsize=2)
def _loaded(path: Path) -> Image.Image:
    return load_image(path)


@lru_cache(maxsize=4)
def _reduced(path: Path, sides: Sides) -> Image.Image:
    return _loaded(path).resize(sides, Image.Resampling.BOX)


def opened(path: Path, own: Sides, sides: Sides) -> Image.Image:
    """The picture in a file, of size `own`, reduced to `sides`. Shared: not to be changed.

    Uploads never change, so the last few are kept.

    Raises:
        InvalidImage: it cannot be read.
        InvalidEdit: it is not of that size.
    """
    picture = _loaded(path)
    if picture.size != own:
        raise InvalidEdit("The picture is not of the size that the canvas says; load it again.")
    return picture if sides == own else _reduced(path, sides)


def own_sides(path: Path) -> Sides:
    """The size of the upright picture in a file. Raises InvalidImage."""
    return _loaded(path).size


def view_file(path: Path) -> str:
    """The path of a file with what the browser shows of a picture. Raises InvalidImage."""
    own = own_sides(path)
    view = opened(path, own, view_sides(own))
    if view.width * view.height <= LOSSLESS_PIXELS:
        return cached(view)
    return cached(view, "jpeg", quality=92, subsampling=0)


def encoded_mask(mask: Mask) -> str:
    """A mask (H, W) as the browser has it: a PNG in a data address, at the view's size."""
    sides = view_sides((mask.shape[1], mask.shape[0]))
    level = Image.fromarray(mask.astype(np.uint8) * 255).resize(sides, Image.Resampling.BOX)
    inside = level.point([0] * 128 + [255] * 128)
    png = BytesIO()
    Image.merge("LA", (Image.new("L", sides, 255), inside)).save(png, "PNG", compress_level=1)
    return PNG_ADDRESS + base64.b64encode(png.getvalue()).decode()


def decoded_mask(address: str, own: Sides, sides: Sides) -> Mask:
    """The browser's mask of a picture of size `own`, as bool (H, W) at the size `sides`.

    Raises:
        InvalidEdit: it is not a PNG of the view's size; nothing larger is ever decoded.
    """
    inside = None
    if address.startswith(PNG_ADDRESS):
        inside = _alpha(address.removeprefix(PNG_ADDRESS), view_sides(own))
    if inside is None:
        raise InvalidEdit("The mask cannot be read or is not of its picture's size; clear it.")
    return np.asarray(inside.resize(sides, Image.Resampling.NEAREST)) > 127


def _alpha(encoded: str, sides: Sides) -> Image.Image | None:
    """The alpha channel of a PNG in base 64, or None if it is not one of this size."""
    try:
        data = base64.b64decode(encoded, validate=True)
        with Image.open(BytesIO(data), formats=["PNG"]) as png:
            return png.convert("RGBA").getchannel("A") if png.size == sides else None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
