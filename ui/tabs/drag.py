"""Drag points of the picture to new places."""

from diffeditor import Drag
from ui.state import Inputs
from ui.tabs.tool import Tool


def task(inputs: Inputs) -> Drag:
    return Drag(
        image=inputs.source.image,
        mask=inputs.source.mask,
        points=inputs.edit.arrows,
        prompt=inputs.prompt,
    )


DRAG = Tool(
    name="drag",
    title="Drag",
    hint="Pull points of the picture to where they shall be.",
    task=task,
)
