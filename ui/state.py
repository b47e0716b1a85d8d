"""What the page holds when a button is pressed, as values: pictures with masks, and controls.

Nothing here outlives a request: the page itself keeps what the user entered.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypedDict

import numpy as np
import numpy.typing as npt
from PIL import Image

from diffeditor.errors import InvalidEdit, InvalidImage
from ui import text

Mask: TypeAlias = npt.NDArray[np.bool_]
Place: TypeAlias = tuple[float, float]
"""(x, y) in pixels of a picture."""
Arrow: TypeAlias = tuple[Place, Place]
"""(from, to)."""
Values: TypeAlias = Mapping[str, Any]
"""Names of the page's components -> their values."""

BRUSHED = 64
"""Alpha, of 255, from which a brush stroke counts: half of the brush's own opacity."""


class Painted(TypedDict):
    """What the brush component holds: a picture and the strokes over it."""

    background: Image.Image | None
    layers: list[Image.Image]
    composite: Image.Image | None


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """A picture and the bool mask (H, W) of what is marked on it."""

    image: Image.Image
    mask: Mask


@dataclass(frozen=True, kw_only=True)
class Page:
    """The input of one edit. `controls` are the tab's own: their local names -> values."""

    source: Canvas
    reference: Canvas | None = None
    prompt: str = ""
    controls: Values

    def second(self) -> Canvas:
        """The reference.

        Raises:
            InvalidEdit: there is none.
        """
        if self.reference is None:
            raise InvalidEdit(text.NO_REFERENCE)
        return self.reference


def read_canvas(painted: Painted | None, mask_file: str | None) -> Canvas | None:
    """The picture with everything that is brushed on it or in its mask file; None without one.

    Raises:
        InvalidImage: the mask file cannot be read, or its size is not the picture's.
    """
    image = painted and painted["background"]
    if painted is None or image is None:
        return None
    mask = np.zeros((image.height, image.width), np.bool_)
    for layer in painted["layers"]:
        _check_size(layer, image)
        mask |= np.asarray(layer.convert("RGBA"))[..., 3] >= BRUSHED
    if mask_file is not None:
        mask |= read_mask(mask_file, image)
    return Canvas(image=image, mask=mask)


def read_mask(path: str, image: Image.Image) -> Mask:
    """The mask file, bool (H, W): True where it is white.

    Raises:
        InvalidImage: it cannot be read, or its size is not the picture's.
    """
    try:
        with Image.open(path) as opened:
            mask = opened.convert("L")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidImage(text.BAD_MASK) from error
    _check_size(mask, image)
    return np.asarray(mask) > 127


def _check_size(mask: Image.Image, image: Image.Image) -> None:
    if mask.size != image.size:
        raise InvalidImage(text.mask_size(mask.size, image.size))


def is_number(value: Any) -> bool:
    """Whether a cell of a table or a number box holds a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def box_centre(mask: Mask) -> Place:
    """The centre (x, y) of the bounding box of a mask (H, W) that is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return float(columns[0] + columns[-1] + 1) / 2, float(rows[0] + rows[-1] + 1) / 2


def read_page(tool: str, values: Values) -> Page:
    """The input of one edit with the tab `tool`, from the values of all components.

    Raises:
        InvalidEdit: there is no picture, or a mask file does not fit.
    """
    source = read_canvas(values["source"], values["source_mask"])
    if source is None:
        raise InvalidEdit(text.NO_PICTURE)
    prefix = f"{tool}."
    return Page(
        source=source,
        reference=read_canvas(values["reference"], values["reference_mask"]),
        prompt=values["prompt"] or "",
        controls={k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)},
    )
