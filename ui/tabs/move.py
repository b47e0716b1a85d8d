"""Move or resize an object."""

import gradio as gr
from gradio.components import Component

from diffeditor import Move
from ui import text
from ui.controls import file_picture
from ui.state import Arrow, Page, Place, box_centre, is_number, read_mask
from ui.tabs.tool import Click, Tool


def placement() -> dict[str, Component]:
    """Boxes for where an object goes and how large it gets."""
    dx = gr.Number(0, label=text.SHIFT_X, min_width=90)
    dy = gr.Number(0, label=text.SHIFT_Y, min_width=90)
    scale = gr.Slider(0.2, 3.0, value=1.0, step=0.01, label=text.SCALE, min_width=160)
    return {"dx": dx, "dy": dy, "scale": scale}


def build() -> dict[str, Component]:
    with gr.Row():
        return {**placement(), "fill_mask": file_picture(text.FILL_FILE)}


def task(page: Page) -> Move:
    fill = page.controls["fill_mask"]
    return Move(
        image=page.source.image,
        mask=page.source.mask,
        shift=(page.controls["dx"], page.controls["dy"]),
        scale=page.controls["scale"],
        fill_mask=None if fill is None else read_mask(fill, page.source.image),
        prompt=page.prompt,
    )


def arrows(page: Page) -> list[Arrow]:
    """From the object's middle to where it goes."""
    dx, dy, mask = page.controls["dx"], page.controls["dy"], page.source.mask
    if not (is_number(dx) and is_number(dy) and mask.any()) or (dx, dy) == (0, 0):
        return []
    x, y = box_centre(mask)
    return [((x, y), (x + dx, y + dy))]


def click(page: Page, place: Place, start: Place | None) -> Click:
    """The way from the first click to the second is the shift."""
    if start is None:
        return Click(changes={}, start=place)
    return Click(changes={"dx": round(place[0] - start[0], 1), "dy": round(place[1] - start[1], 1)})


MOVE = Tool(
    name="move",
    title="Move & resize",
    hint="Brush over the object. Then click on it and where it shall go, or set a size.",
    build=build,
    task=task,
    click=click,
    arrows=arrows,
)
