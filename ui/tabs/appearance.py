"""Give an object the appearance of another one."""

from diffeditor import Appearance
from ui.state import Inputs
from ui.tabs.tool import Tool


def task(inputs: Inputs) -> Appearance:
    source, reference = inputs.source, inputs.reference
    return Appearance(
        image=source.image,
        mask=source.mask,
        reference=reference.image,
        reference_mask=reference.mask,
        prompt=inputs.prompt,
        reference_prompt=inputs.reference_prompt,
    )


APPEARANCE = Tool(
    name="appearance",
    title="Appearance",
    hint="Let an object look like one of a second picture.",
    task=task,
    reference_prompt=True,
)
