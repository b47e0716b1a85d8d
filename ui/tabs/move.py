"""Move or resize an object."""

from diffeditor import Move
from ui.state import Inputs
from ui.tabs.tool import Tool


def task(inputs: Inputs) -> Move:
    source, place = inputs.source, inputs.edit.move
    return Move(
        image=source.image,
        mask=source.mask,
        shift=(place.dx, place.dy),
        scale=place.scale,
        fill_mask=source.fill_mask,
        prompt=inputs.prompt,
    )


MOVE = Tool(
    name="move",
    title="Move & resize",
    hint="Take an object elsewhere, or change its size.",
    task=task,
)
