"""What a case asks for, drawn on its pictures; and many pictures on one sheet."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from diffeditor.worlds import Case

ZOOM = 2
REGION, OBJECT, ARROW = (255, 255, 255), (255, 220, 0), (255, 40, 40)
"""Colours of a region's and an object's outline, and of what shall move."""
LONGEST_TIP = 8
"""Pixels of an arrow's head."""


def asked_path(task: str, seed: int) -> Path:
    """Where the drawing of a case is, relative to the folder of the results."""
    return Path("cases", "asked", task, f"{seed}.png")


def asked(case: Case) -> Image.Image:
    """The source with region and arrows, beside the reference with its mask where there is one."""
    task = case.task
    source = _outlined(_zoomed(np.asarray(task.source)), case.region, REGION)
    for start, end in task.targets():
        _arrow(source, (start.x, start.y), (end.x, end.y))
    pictures = [source]
    mask = getattr(task, "reference_mask", None)
    if mask is not None:
        reference = _zoomed(np.asarray(task.pictures[1]))
        pictures.append(_outlined(reference, np.asarray(mask), OBJECT))
    return Image.fromarray(np.concatenate(pictures, axis=1))


def _zoomed(picture: np.ndarray) -> np.ndarray:
    return picture.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)


def _outlined(picture: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    large = _zoomed(mask.astype(np.uint8))
    outlines, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(picture, outlines, -1, colour, 1)


def _arrow(picture: np.ndarray, start: Sequence[float], end: Sequence[float]) -> None:
    a, b = (tuple(round(ZOOM * value) for value in point) for point in (start, end))
    length = max(1.0, float(np.hypot(b[0] - a[0], b[1] - a[1])))
    cv2.arrowedLine(picture, a, b, ARROW, 1, cv2.LINE_AA, tipLength=min(0.5, LONGEST_TIP / length))


def sheet(pictures: Sequence[np.ndarray], columns: int) -> Image.Image:
    """Pictures of one size, uint8 (H, W, 3), row by row; what is left over is black."""
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    paper = np.zeros((rows * height, columns * width, 3), np.uint8)
    for index, picture in enumerate(pictures):
        row, place = divmod(index, columns)
        paper[row * height :][:height, place * width :][:, :width] = picture
    return Image.fromarray(paper)
