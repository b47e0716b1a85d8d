"""What the page holds when something is to be done, as the tools read it.

Nothing here outlives a request: the page itself keeps what the user entered.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import gradio as gr
import numpy as np
from PIL import Image

from diffeditor.errors import InvalidEdit
from ui import text
from ui.canvas import Edit, Side, Value

Blocks: TypeAlias = dict[str, Any]
"""Components of the page and groups of them, by the names that handlers use."""
Values: TypeAlias = Mapping[str, Any]
"""Names of the page's components -> their values."""
Updates: TypeAlias = dict[str, Any]
"""Names of the page's components -> new values, or what `gr.update` gives."""
LandmarkFinder: TypeAlias = Callable[[Image.Image], np.ndarray]
"""A portrait -> its 68 landmarks, (68, 2) pixels (x, y)."""


def visibility(shown: bool) -> Literal[True, "hidden"]:
    """For `visible`: hidden components keep their values and stay on the page."""
    return True if shown else "hidden"


def by_component(blocks: Blocks, updates: Updates) -> dict[Any, Any]:
    """Updates as Gradio takes them from a handler; an empty dict would be an error to it."""
    return {blocks[name]: value for name, value in updates.items()} or gr.skip()


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The input of one edit.

    Attributes:
        edit: what is on the canvas.
        prompt, reference_prompt: what the two pictures show.
        controls: the tool's own, by local name.
        find_landmarks: finds those of a face whose own the canvas does not hold.
    """

    edit: Edit
    prompt: str = ""
    reference_prompt: str = ""
    controls: Values
    find_landmarks: LandmarkFinder

    @property
    def source(self) -> Side:
        """The picture to edit. Raises InvalidEdit without one."""
        if self.edit.source is None:
            raise InvalidEdit(text.NO_PICTURE)
        return self.edit.source

    @property
    def reference(self) -> Side:
        """The second picture. Raises InvalidEdit without one."""
        if self.edit.reference is None:
            raise InvalidEdit(text.NO_REFERENCE)
        return self.edit.reference


def read(values: Values, find_landmarks: LandmarkFinder, limit: int | None = None) -> Inputs:
    """The input of the edit that the page shows; with `limit`, on pictures no longer than that.

    Raises:
        InvalidEdit: the canvas was never touched, or a picture or mask on it cannot be read.
    """
    canvas: Value | None = values["canvas"]
    if canvas is None:
        raise InvalidEdit(text.NO_PICTURE)
    prefix = f"{canvas.tool}."
    return Inputs(
        edit=canvas.edit(limit),
        prompt=values["prompt"] or "",
        reference_prompt=values["reference_prompt"] or "",
        controls={k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)},
        find_landmarks=find_landmarks,
    )
