"""Make a face follow another one."""

import gradio as gr
from gradio.components import Component

from diffeditor import Face
from ui import text
from ui.state import Page
from ui.tabs.tool import Tool

GROUPS = ("jaw", "brows", "nose", "eyes", "mouth")


def build() -> dict[str, Component]:
    return {"groups": gr.CheckboxGroup(list(GROUPS), value=list(GROUPS), label=text.GROUPS)}


def task(page: Page) -> Face:
    return Face(
        image=page.source.image,
        reference=page.second().image,
        groups=tuple(page.controls["groups"]),
        prompt=page.prompt if page.prompt.strip() else Face.prompt,
    )


FACE = Tool(
    name="face",
    title="Face",
    hint="Load a portrait, and a second one whose expression and turn it shall take.",
    build=build,
    task=task,
    reference=True,
)
