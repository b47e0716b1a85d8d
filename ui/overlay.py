"""What the page draws over a picture: the mask, the region that may change, arrows."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from ui.state import Arrow, Canvas, Mask, Place

SIDE = 720
"""Pixels of the longer side of a drawn picture, so that arrows are fine on small ones too."""
MASK_COLOUR = (255, 40, 120)
REGION_COLOUR = (255, 220, 0)
ARROW_COLOUR = (0, 110, 255)
MASK_OPACITY = 0.45


def factor(width: int, height: int) -> float:
    """How many drawn pixels a pixel of the picture takes."""
    return SIDE / max(width, height)


def to_picture(drawn: Sequence[float], image: Image.Image) -> Place:
    """A clicked pixel (column, row) of the drawn picture as a point (x, y) of the picture.

    Rounded to a tenth of a pixel and kept inside the picture.
    """
    scale = factor(*image.size)
    x, y = ((index + 0.5) / scale for index in drawn)
    return (
        float(np.clip(round(x, 1), 0, image.width - 0.1)),
        float(np.clip(round(y, 1), 0, image.height - 0.1)),
    )


def draw(
    canvas: Canvas,
    region: Mask | None = None,
    arrows: Sequence[Arrow] = (),
    start: Place | None = None,
) -> Image.Image:
    """The picture with its mask tinted, the region outlined, arrows, and a lonely start point."""
    scale = factor(*canvas.image.size)
    width, height = (max(1, round(side * scale)) for side in canvas.image.size)
    pixels = np.array(
        canvas.image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
    )
    inside = _enlarged(canvas.mask, pixels)
    tint = MASK_OPACITY * np.array(MASK_COLOUR)
    pixels[inside] = (pixels[inside] * (1 - MASK_OPACITY) + tint).astype(np.uint8)
    if region is not None:
        outline, _ = cv2.findContours(
            _enlarged(region, pixels).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(pixels, outline, -1, REGION_COLOUR, 2, cv2.LINE_AA)
    for begin, end in arrows:
        _arrow(pixels, _drawn(begin, scale), _drawn(end, scale))
    if start is not None:
        _dot(pixels, _drawn(start, scale))
    return Image.fromarray(pixels)


def _enlarged(mask: Mask, pixels: npt.NDArray[np.uint8]) -> Mask:
    size = (pixels.shape[1], pixels.shape[0])
    return cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0


def _drawn(point: Place, scale: float) -> tuple[int, int]:
    """The nearest drawn pixel; what lies far outside is brought to where it is as invisible."""
    x, y = (round(float(np.clip(value * scale, -SIDE, 2 * SIDE))) for value in point)
    return x, y


def _arrow(pixels: npt.NDArray[np.uint8], begin: tuple[int, int], end: tuple[int, int]) -> None:
    length = max(1.0, float(np.hypot(end[0] - begin[0], end[1] - begin[1])))
    for colour, thickness in (((255, 255, 255), 7), (ARROW_COLOUR, 3)):
        cv2.arrowedLine(
            pixels, begin, end, colour, thickness, cv2.LINE_AA, tipLength=min(0.4, 16 / length)
        )
    _dot(pixels, begin)


def _dot(pixels: npt.NDArray[np.uint8], centre: tuple[int, int]) -> None:
    cv2.circle(pixels, centre, 8, (255, 255, 255), -1, cv2.LINE_AA)
    cv2.circle(pixels, centre, 6, ARROW_COLOUR, -1, cv2.LINE_AA)
