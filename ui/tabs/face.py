"""Make a face follow another one."""

import gradio as gr
import numpy as np
from gradio.components import Component

from diffeditor import Face, fit_onto
from ui import text
from ui.state import Inputs
from ui.tabs.tool import Tool

GROUPS = ("mouth", "eyes", "brows", "nose", "jaw")
MOST_PERCENT = 150
"""Of the way to the second face: half as far again."""


def controls() -> dict[str, Component]:
    with gr.Row(elem_id="face-controls"):
        groups = gr.CheckboxGroup(
            [(group.capitalize(), group) for group in GROUPS],
            value=list(GROUPS),
            label=text.GROUPS,
            show_select_all=True,
            min_width=300,
            scale=3,
        )
        strength = gr.Slider(
            0, MOST_PERCENT, value=100, step=5, label=text.STRENGTH, min_width=200, scale=2
        )
    return {"groups": groups, "strength": strength}


def task(inputs: Inputs) -> Face:
    """Landmarks on the canvas are taken as they are; the editor finds those that are not there.

    Those of another portrait are fitted onto the face; on the same picture they are its targets.
    """
    source, reference = inputs.source, inputs.reference
    now, target = source.landmarks, None
    if reference.landmarks is not None:
        now = inputs.find_landmarks(source.image) if now is None else now
        target = reference.landmarks
        if reference.image != source.image:
            limit = np.nextafter(source.image.size, 0)
            target = np.clip(fit_onto(target, now), 0, limit)
    return Face(
        image=source.image,
        reference=reference.image if target is None else None,
        target_landmarks=target,
        source_landmarks=now,
        groups=tuple(inputs.controls["groups"]),
        strength=inputs.controls["strength"] / 100,
        prompt=inputs.prompt if inputs.prompt.strip() else Face.prompt,
    )


FACE = Tool(
    name="face",
    title="Face",
    hint="Give a face the expression of a second one.",
    task=task,
    controls=controls,
)
