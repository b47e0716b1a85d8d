"""Paste an object of the second picture."""

from diffeditor import Paste
from ui.state import Inputs
from ui.tabs.tool import Tool


def task(inputs: Inputs) -> Paste:
    source, reference, place = inputs.source, inputs.reference, inputs.edit.paste
    return Paste(
        image=source.image,
        reference=reference.image,
        reference_mask=reference.mask,
        shift=(place.dx, place.dy),
        scale=place.scale,
        prompt=inputs.prompt,
        reference_prompt=inputs.reference_prompt,
    )


PASTE = Tool(
    name="paste",
    title="Paste",
    hint="Bring an object over from a second picture.",
    task=task,
    reference_prompt=True,
)
