"""The canvas's value: what the browser sends, checked strictly, and the edit that it stands for.

All coordinates are pixels (x, y) of the picture's own upright size, whatever is shown on the
screen. Masks are PNG files in data addresses, white and opaque where inside, at the size at which
the browser shows the picture: its own size, or reduced until the longer side is `MAX_SIDE`.

The constants below reach the browser with the code (see `bundle`), so both sides share them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from gradio.data_classes import FileData
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from diffeditor.errors import InvalidEdit
from ui.canvas.pixels import Mask, decoded_mask, opened
from ui.files import uploaded

VERSION = 1
"""Of the value's form; the browser's and the server's must be the same."""
MAX_ARROWS = 100
MAX_REV = 2**53 - 1
"""The largest whole number that the browser counts to exactly."""
MAX_PIXELS_AWAY = 100_000.0
LANDMARKS = 68
MIN_SCALE, MAX_SCALE = 0.05, 20.0

ToolName: TypeAlias = Literal["drag", "move", "paste", "appearance", "face"]
TOOLS: tuple[str, ...] = get_args(ToolName)

Place: TypeAlias = tuple[float, float]
Coordinate = Annotated[float, Field(ge=-MAX_PIXELS_AWAY, le=MAX_PIXELS_AWAY, allow_inf_nan=False)]
Pair = Annotated[list[Coordinate], Field(min_length=2, max_length=2)]
Arrow = Annotated[list[Coordinate], Field(min_length=4, max_length=4)]
Landmarks = Annotated[list[Pair], Field(min_length=LANDMARKS, max_length=LANDMARKS)]
MaskAddress = Annotated[str, Field(max_length=8_000_000)]
Length = Annotated[int, Field(ge=1, le=100_000)]


class Strict(BaseModel):
    """No field but the named ones, and no value of another type than theirs."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Placement(Strict):
    """Where an object goes: `shift` and `scale` of the tasks Move and Paste."""

    dx: Coordinate = 0.0
    dy: Coordinate = 0.0
    scale: Annotated[float, Field(ge=MIN_SCALE, le=MAX_SCALE, allow_inf_nan=False)] = 1.0


class Picture(Strict):
    """An uploaded picture.

    Attributes:
        file: the picture itself; view: what the browser shows of it.
        width, height: of the upright picture, in pixels.
    """

    file: FileData
    view: FileData
    width: Length
    height: Length


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """One of the two pictures with what is marked on it.

    Attributes:
        image: upright RGB; shared, not to be changed.
        mask: bool (H, W); all False where nothing is marked.
        fill_mask: bool (H, W), or None where nothing is marked.
        landmarks: float (68, 2), pixels (x, y), or None.
    """

    image: Image.Image
    mask: Mask
    fill_mask: Mask | None = None
    landmarks: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Edit:
    """What is on the canvas, in pixels of its pictures.

    Attributes:
        rev: counts the states of the canvas; a preview names the one that it shows.
        tool: the name of the task.
        source, reference: the pictures; None where there is none.
        arrows: pairs (from, to) of points (x, y).
        move, paste: where the object goes.
    """

    rev: int
    tool: ToolName
    source: Side | None
    reference: Side | None
    arrows: tuple[tuple[Place, Place], ...]
    move: Placement
    paste: Placement


class Value(Strict):
    """What the browser sends. Use `edit`; the fields follow the tasks' names."""

    version: Literal[1]
    rev: Annotated[int, Field(ge=0, le=MAX_REV)]
    tool: ToolName
    source: Picture | None
    reference: Picture | None
    mask: MaskAddress | None
    fill_mask: MaskAddress | None
    reference_mask: MaskAddress | None
    arrows: Annotated[list[Arrow], Field(max_length=MAX_ARROWS)]
    move: Placement
    paste: Placement
    landmarks: Landmarks | None
    reference_landmarks: Landmarks | None

    @model_validator(mode="after")
    def _marks_need_a_picture(self) -> Self:
        on_source = (self.mask, self.fill_mask, self.landmarks, self.arrows or None)
        on_reference = (self.reference_mask, self.reference_landmarks)
        for picture, marks in ((self.source, on_source), (self.reference, on_reference)):
            if picture is None and any(mark is not None for mark in marks):
                raise ValueError("marks without their picture")
        return self

    def edit(self, limit: int | None = None) -> Edit:
        """The edit; with `limit`, on pictures reduced until no longer side exceeds it.

        Both pictures are reduced by one factor, so that a pasted object keeps its size.

        Raises:
            InvalidImage: a picture cannot be read.
            InvalidEdit: a mask cannot be read, or is not of its picture's size.
        """
        pictures = [picture for picture in (self.source, self.reference) if picture]
        longest = max((max(p.width, p.height) for p in pictures), default=1)
        k = min(1.0, limit / longest) if limit else 1.0
        return Edit(
            rev=self.rev,
            tool=self.tool,
            source=_side(self.source, k, self.mask, self.fill_mask, self.landmarks),
            reference=_side(self.reference, k, self.reference_mask, None, self.reference_landmarks),
            arrows=self._reduced_arrows(k),
            move=_reduced(self.move, k),
            paste=_reduced(self.paste, k),
        )

    def _reduced_arrows(self, k: float) -> tuple[tuple[Place, Place], ...]:
        if self.source is None:
            return ()
        width, height = _reduced_sides(self.source, k)
        ends = clipped(np.reshape(self.arrows, (-1, 2)) * k, width, height)
        return tuple(((a, b), (c, d)) for (a, b), (c, d) in zip(ends[::2], ends[1::2], strict=True))


def parse(payload: Any) -> Value | None:
    """The browser's value; None where the canvas was never touched.

    Raises:
        InvalidEdit: it is not such a value.
        gr.Error: a picture was not uploaded to this page.
    """
    if payload is None:
        return None
    try:
        value = Value.model_validate(payload)
    except ValidationError as error:
        raise InvalidEdit(_sentence(error)) from error
    for picture in (value.source, value.reference):
        if picture is not None:
            uploaded(picture.file.path)
    return value


def _sentence(error: ValidationError) -> str:
    """What is wrong, without the value itself, which may be long and is not ours."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "value"
    return (
        f"The canvas holds something that cannot be used ({where}: {first['msg']}); "
        "undo the last step, or load the page again."
    )


def _reduced(placement: Placement, k: float) -> Placement:
    return Placement(dx=placement.dx * k, dy=placement.dy * k, scale=placement.scale)


def _reduced_sides(picture: Picture, k: float) -> tuple[int, int]:
    return max(1, round(picture.width * k)), max(1, round(picture.height * k))


def _side(
    picture: Picture | None,
    k: float,
    mask: str | None,
    fill_mask: str | None,
    landmarks: Sequence[Sequence[float]] | None,
) -> Side | None:
    if picture is None:
        return None
    own = (picture.width, picture.height)
    width, height = _reduced_sides(picture, k)
    inside = None if mask is None else decoded_mask(mask, own, (width, height))
    return Side(
        image=opened(uploaded(picture.file.path), own, (width, height)),
        mask=np.zeros((height, width), np.bool_) if inside is None else inside,
        fill_mask=None if fill_mask is None else decoded_mask(fill_mask, own, (width, height)),
        landmarks=None
        if landmarks is None
        else np.array(clipped(np.array(landmarks) * k, width, height)),
    )


def clipped(points: npt.NDArray[np.float64], width: int, height: int) -> list[list[float]]:
    """Points (N, 2) kept inside a picture, as lists, to a hundredth of a pixel."""
    limit = [math.nextafter(width, 0), math.nextafter(height, 0)]
    return np.clip(np.round(points, 2), 0, limit).tolist()
