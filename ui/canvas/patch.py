"""What Python tells the canvas: only the fields that change.

A whole value computed from an older one would overwrite what the user did in the meantime.
"""

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from gradio.data_classes import FileData
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from ui.canvas.pixels import Mask, encoded_mask, own_sides, view_file
from ui.canvas.value import MAX_ARROWS, Place, Placement, ToolName
from ui.files import cached

PictureSource: TypeAlias = str | Path | Image.Image
Points: TypeAlias = npt.NDArray[np.float64]

_patches = count()


class Patch(BaseModel):
    """New values of some of the canvas's fields; a field that is not given stays as it is.

    A new `source` or `reference` clears what was marked on the one before, apart from what the
    same patch says. All of a patch is one step for undo, but for the preview, which is none.

    Attributes:
        tool: the task's name.
        source, reference: a picture, or the path of an upload or an example; None for none.
        mask, fill_mask, reference_mask: bool (H, W) of their picture's own size; None for none.
        arrows: pairs (from, to) of points (x, y), at most 100.
        move, paste: where the object goes; None puts it back.
        landmarks, reference_landmarks: float (68, 2), pixels (x, y); None for none.
        preview: a picture of the edit, of any size; shown over the source picture as long as the
            canvas is in the state `rev`, the one of the `Edit` that it was made from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    tool: ToolName | None = None
    source: PictureSource | None = None
    reference: PictureSource | None = None
    mask: Mask | None = None
    fill_mask: Mask | None = None
    reference_mask: Mask | None = None
    arrows: Sequence[tuple[Place, Place]] = Field(default=(), max_length=MAX_ARROWS)
    move: Placement | None = None
    paste: Placement | None = None
    landmarks: Points | None = None
    reference_landmarks: Points | None = None
    preview: Image.Image | None = None
    rev: int | None = None

    def wire(self) -> dict[str, Any]:
        """The patch as the browser reads it; no two are equal, or Gradio would drop the second.

        Raises:
            InvalidImage: a picture cannot be read.
        """
        given = self.model_fields_set - {"preview", "rev"}
        fields = {name: _written(name, getattr(self, name)) for name in sorted(given)}
        if "preview" in self.model_fields_set:
            fields["preview"] = self._preview()
        return {"patch": fields, "number": next(_patches)}

    def _preview(self) -> dict[str, Any] | None:
        if self.preview is None:
            return None
        path = cached(self.preview.convert("RGB"), "jpeg", quality=90)
        return {"file": file_data(path), "rev": self.rev}


def file_data(path: str | Path) -> dict[str, Any]:
    """A file as Gradio sends it; the address is added on the way."""
    return FileData(path=str(path)).model_dump()


def picture_data(source: PictureSource) -> dict[str, Any]:
    """A picture with its view and size. Raises InvalidImage."""
    path = Path(cached(source) if isinstance(source, Image.Image) else source).resolve()
    width, height = own_sides(path)
    view = file_data(view_file(path))
    return {"file": file_data(path), "view": view, "width": width, "height": height}


def _written(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in ("source", "reference"):
        return picture_data(value)
    if name.endswith("mask"):
        return encoded_mask(value)
    if name == "arrows":
        return [[*start, *end] for start, end in value]
    if name.endswith("landmarks"):
        return value.tolist()
    return value.model_dump() if isinstance(value, Placement) else value
