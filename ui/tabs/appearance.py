"""Give an object the appearance of another one."""

from gradio.components import Component

from diffeditor import Appearance
from ui import text
from ui.controls import prompt_box
from ui.state import Page
from ui.tabs.tool import Tool


def build() -> dict[str, Component]:
    return {"reference_prompt": prompt_box(text.REFERENCE_PROMPT)}


def task(page: Page) -> Appearance:
    reference = page.second()
    return Appearance(
        image=page.source.image,
        mask=page.source.mask,
        reference=reference.image,
        reference_mask=reference.mask,
        prompt=page.prompt,
        reference_prompt=page.controls["reference_prompt"] or "",
    )


APPEARANCE = Tool(
    name="appearance",
    title="Appearance",
    hint="Brush over the object here, and over the one it shall look like in the second picture.",
    build=build,
    task=task,
    reference=True,
)
