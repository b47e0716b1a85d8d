"""The canvas: two pictures to draw arrows and masks on, and objects and landmarks to drag.

A Gradio component without a build: its state lives in the browser, and every change is in its
value before the gesture's event ends. Python reads the value and sends patches.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import gradio as gr
import numpy as np
import numpy.typing as npt
from gradio.components.base import server
from PIL import Image
from pydantic import Field, ValidationError

from diffeditor.errors import DiffEditorError, InvalidEdit
from ui import text
from ui.canvas.bundle import FOLDER, bundle
from ui.canvas.patch import Patch, picture_data
from ui.canvas.pixels import Mask, encoded_mask, opened, view_sides
from ui.canvas.value import Arrow, Length, Pair, Strict, Value, clipped, parse
from ui.files import uploaded
from ui.pictures import local

Segmenter: TypeAlias = Callable[..., Mask]
"""(image, *, box, positive, negative) -> bool (H, W): what the box and the clicks mean.

box: (x0, y0, x1, y1) or None; positive, negative: points (x, y); all pixels of the image.
"""
LandmarkFinder: TypeAlias = Callable[[Image.Image], np.ndarray]
"""A portrait -> its 68 landmarks, (68, 2) pixels (x, y)."""
LandmarkFitter: TypeAlias = Callable[..., np.ndarray]
"""(left_eye, right_eye, mouth), points (x, y) -> 68 landmarks, (68, 2) pixels (x, y)."""

Answer: TypeAlias = dict[str, Any]
"""{"ok": True, ...} or {"ok": False, "error": sentence}: the browser never sees an exception."""

Method = TypeVar("Method", bound=Callable[..., Any])

MAX_CLICKS = 100
Clicks = Annotated[list[Pair], Field(max_length=MAX_CLICKS)]
Points: TypeAlias = npt.NDArray[np.float64]
Data = TypeVar("Data", bound=Strict)


def served(method: Method) -> Method:
    """Marks a method that the browser may call; it must answer to anything."""
    return server(method)


class _Upload(Strict):
    path: Annotated[str, Field(max_length=4096)]


class _OnPicture(_Upload):
    """A picture and its own size. All coordinates of a request are pixels of that size."""

    width: Length
    height: Length

    def view(self) -> Image.Image:
        """What the browser shows of it: large enough to find things on."""
        own = (self.width, self.height)
        return opened(uploaded(self.path), own, view_sides(own))

    def on_view(self, points: Points) -> Points:
        """Points (N, 2) of the picture as points of its view."""
        return points * view_sides((self.width, self.height)) / (self.width, self.height)

    def from_view(self, points: Points) -> list[list[float]]:
        """Points (N, 2) of the view as points inside the picture."""
        own = (self.width, self.height)
        return clipped(points / view_sides(own) * own, *own)


class _Pick(_OnPicture):
    box: Arrow | None
    positive: Clicks
    negative: Clicks


class _Three(_OnPicture):
    points: Annotated[list[Pair], Field(min_length=3, max_length=3)]


class Canvas(gr.HTML):
    """Pictures with arrows, masks, landmarks and a movable object; its value is a `Value`.

    Handlers get a `Value` (or None before anything was done) and return a `Patch`. The `edit`
    event follows every change, by the user or by a patch, except a change of the preview alone.
    """

    def __init__(
        self,
        value: Patch | None = None,
        *,
        segmenter: Segmenter | None = None,
        landmark_finder: LandmarkFinder | None = None,
        landmark_fitter: LandmarkFitter | None = None,
        elem_id: str | None = None,
        elem_classes: list[str] | str | None = None,
        visible: bool | Literal["hidden"] = True,
        render: bool = True,
    ) -> None:
        """Without one of the functions, the tool that it serves is not shown."""
        self._segmenter = segmenter
        self._finder = landmark_finder
        self._fitter = landmark_fitter
        super().__init__(
            value=value,
            html_template=(FOLDER / "canvas.html").read_text(encoding="utf-8"),
            css_template=(FOLDER / "canvas.css").read_text(encoding="utf-8"),
            js_on_load=bundle(),
            apply_default_css=False,
            elem_id=elem_id,
            elem_classes=elem_classes,
            visible=visible,
            render=render,
            features={
                "segment": segmenter is not None,
                "find": landmark_finder is not None,
                "fit": landmark_fitter is not None,
            },
        )

    async def async_move_resource_to_block_cache(
        self, url_or_file_path: str | Path | None
    ) -> str | None:
        return await super().async_move_resource_to_block_cache(local(url_or_file_path))

    def preprocess(self, payload: Any) -> Value | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The checked value. Raises gr.Error with a sentence."""
        try:
            return parse(payload)
        except DiffEditorError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def postprocess(self, value: Patch | None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The patch for the browser; None clears the canvas."""
        return None if value is None else value.wire()

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}

    def example_payload(self) -> Any:
        return None

    def example_value(self) -> Any:
        return None

    @served
    def open_picture(self, data: Any) -> Answer:
        """Server function: an upload's size and view."""
        return _answer(_Upload, data, _open)

    @served
    def segment(self, data: Any) -> Answer:
        """Server function: the mask that a box and clicks mean."""
        return _answer(_Pick, data, self._segment)

    @served
    def find_landmarks(self, data: Any) -> Answer:
        """Server function: the 68 landmarks of a portrait."""
        return _answer(_OnPicture, data, self._find)

    @served
    def fit_landmarks(self, data: Any) -> Answer:
        """Server function: landmarks fitted to three clicks, two eyes and the mouth."""
        return _answer(_Three, data, self._fit)

    def _segment(self, pick: _Pick) -> dict[str, Any]:
        corners, positive, negative = (
            [(x, y) for x, y in pick.on_view(np.reshape(points, (-1, 2)))]
            for points in (pick.box or [], pick.positive, pick.negative)
        )
        box = (*corners[0], *corners[1]) if corners else None
        mask = _there(self._segmenter)(pick.view(), box=box, positive=positive, negative=negative)
        return {"mask": encoded_mask(mask)}

    def _find(self, portrait: _OnPicture) -> dict[str, Any]:
        return {"landmarks": portrait.from_view(_there(self._finder)(portrait.view()))}

    def _fit(self, three: _Three) -> dict[str, Any]:
        uploaded(three.path)
        points = [(x, y) for x, y in three.points]
        found = _there(self._fitter)(*points)
        return {"landmarks": clipped(found, three.width, three.height)}


def _open(upload: _Upload) -> dict[str, Any]:
    return {"picture": picture_data(uploaded(upload.path))}


def _there(function: Any) -> Any:
    if function is None:
        raise InvalidEdit("This page has no such tool.")
    return function


def _answer(model: type[Data], data: Any, work: Callable[[Data], dict[str, Any]]) -> Answer:
    """What the work on a checked request leads to, or the sentence about what is wrong."""
    try:
        return {"ok": True, **work(model.model_validate(data))}
    except ValidationError:
        return {"ok": False, "error": text.RELOAD}
    except DiffEditorError as error:
        return {"ok": False, "error": str(error)}
    except gr.Error as error:
        return {"ok": False, "error": error.message}


# Gradio writes a stub of this class beside this file, which type checkers would then believe.
Path(__file__).with_suffix(".pyi").unlink(missing_ok=True)
