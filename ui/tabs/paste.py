"""Paste an object of the second picture."""

import gradio as gr
from gradio.components import Component

from diffeditor import Paste
from ui import text
from ui.controls import prompt_box
from ui.state import Page, Place, box_centre
from ui.tabs.move import placement
from ui.tabs.tool import Click, Tool


def build() -> dict[str, Component]:
    with gr.Row():
        return {**placement(), "reference_prompt": prompt_box(text.REFERENCE_PROMPT)}


def task(page: Page) -> Paste:
    reference = page.second()
    return Paste(
        image=page.source.image,
        reference=reference.image,
        reference_mask=reference.mask,
        shift=(page.controls["dx"], page.controls["dy"]),
        scale=page.controls["scale"],
        prompt=page.prompt,
        reference_prompt=page.controls["reference_prompt"] or "",
    )


def click(page: Page, place: Place, start: Place | None) -> Click:
    """The object's centre goes to the clicked place."""
    mask = page.second().mask
    if not mask.any():
        return Click(changes={})
    x, y = box_centre(mask)
    return Click(changes={"dx": round(place[0] - x, 1), "dy": round(place[1] - y, 1)})


PASTE = Tool(
    name="paste",
    title="Paste",
    hint="Brush over the object in the second picture. Then click where its middle shall be.",
    build=build,
    task=task,
    click=click,
    reference=True,
)
