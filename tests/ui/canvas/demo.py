"""A small page with nothing but the canvas, and buttons that stand for the rest of an editor."""

import json
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image, ImageDraw

from diffeditor.errors import DiffEditorError, NoFaceFound
from ui.canvas import Canvas, Edit, Patch, Value
from ui.canvas.value import LANDMARKS, TOOLS

BALL = (90, 70, 150, 130)
"""Left, top, right, bottom of the ball on the picture, in pixels."""


def picture(width: int = 240, height: int = 160, colour: str = "crimson") -> Image.Image:
    """A ball on a field of two colours."""
    image = Image.new("RGB", (width, height), "skyblue")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, height // 2, width, height), fill="olivedrab")
    draw.ellipse(BALL, fill=colour)
    return image


def portrait() -> np.ndarray:
    """68 points on an ellipse, float (68, 2)."""
    angle = np.linspace(0, 2 * np.pi, LANDMARKS, endpoint=False)
    return np.stack([120 + 60 * np.cos(angle), 80 + 50 * np.sin(angle)], axis=1)


def segment(image: Image.Image, *, box: Any, positive: Any, negative: Any) -> np.ndarray:
    """A disc round every positive click, and the box, without discs round negative ones."""
    inside = np.zeros((image.height, image.width), np.bool_)
    rows, columns = np.mgrid[: image.height, : image.width]
    if box:
        inside |= (box[0] <= columns) & (columns < box[2]) & (box[1] <= rows) & (rows < box[3])
    for points, value in ((positive, True), (negative, False)):
        for x, y in points:
            inside[np.hypot(columns - x, rows - y) <= 15] = value
    return inside


def find(image: Image.Image) -> np.ndarray:
    """The points of `portrait`; pictures that are higher than wide show no face."""
    if image.height > image.width:
        raise NoFaceFound("No face was found.")
    return portrait()


def fit(left: Any, right: Any, mouth: Any) -> np.ndarray:
    """68 points round the middle of the three."""
    middle = np.mean([left, right, mouth], axis=0)
    return 0.2 * (portrait() - (120, 80)) + middle


def describe(value: Value | None) -> str:
    """What Python reads from the canvas, as JSON."""
    if value is None:
        return json.dumps({"rev": 0})
    try:
        return json.dumps(_described(value.edit()), separators=(",", ":"))
    except DiffEditorError as error:
        raise gr.Error(str(error), print_exception=False) from error


def _described(edit: Edit) -> dict[str, Any]:
    return {
        "rev": edit.rev,
        "tool": edit.tool,
        "arrows": [[*start, *end] for start, end in edit.arrows],
        "move": edit.move.model_dump(),
        "paste": edit.paste.model_dump(),
        "source": describe_side(edit.source),
        "reference": describe_side(edit.reference),
    }


def describe_side(side: Any) -> dict[str, Any] | None:
    if side is None:
        return None
    return {
        "size": list(side.image.size),
        "mask": describe_mask(side.mask),
        "fill": None if side.fill_mask is None else describe_mask(side.fill_mask),
        "landmarks": None if side.landmarks is None else side.landmarks.round(2).tolist(),
    }


def describe_mask(mask: np.ndarray) -> list[int]:
    """Number of pixels, then left, top, right, bottom."""
    if not mask.any():
        return [0]
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [int(mask.sum()), *map(int, (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))]


def ball_mask() -> np.ndarray:
    """The ball of `picture`, bool (160, 240)."""
    image = Image.new("1", (240, 160))
    ImageDraw.Draw(image).ellipse(BALL, fill=1)
    return np.asarray(image)


def example() -> Patch:
    """What a click on an example puts on the canvas."""
    return Patch(source=picture(), mask=ball_mask(), tool="move")


def preview(value: Value | None) -> Patch:
    """A picture of one colour for the state that the browser is in."""
    assert value is not None
    return Patch(preview=Image.new("RGB", (60, 40), "gold"), rev=value.rev)


def build() -> gr.Blocks:
    """The page."""
    with gr.Blocks(title="Canvas") as page:
        with gr.Tabs(overflow_behavior="wrap") as tools:
            tabs = [gr.Tab(name, id=name, elem_id=f"tab-{name}") for name in TOOLS]
        canvas = Canvas(
            segmenter=segment, landmark_finder=find, landmark_fitter=fit, elem_id="board"
        )
        with gr.Row():
            buttons = {
                name: gr.Button(name, elem_id=name, min_width=60)
                for name in ("read", "example", "second", "preview", "wipe", "arrows")
            }
        told = gr.Textbox(elem_id="told")
        edits = gr.Number(0, elem_id="edits")
        for tab, name in zip(tabs, TOOLS, strict=True):
            tab.select(None, None, canvas, js=f"() => ({{patch: {{tool: '{name}'}}}})")
        buttons["read"].click(describe, canvas, told)
        buttons["example"].click(
            lambda: (example(), gr.Tabs(selected="move")), None, [canvas, tools]
        ).then(describe, canvas, told)
        buttons["second"].click(
            lambda: Patch(reference=picture(colour="gold"), reference_mask=ball_mask()),
            None,
            canvas,
        )
        buttons["preview"].click(preview, canvas, canvas, show_progress="hidden")
        buttons["wipe"].click(lambda: None, None, canvas)
        buttons["arrows"].click(lambda: Patch(arrows=[((10, 10), (60, 40))]), None, canvas)
        canvas.edit(lambda count: count + 1, edits, edits, show_progress="hidden")
    return page
