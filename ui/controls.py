"""The components that several tabs share: pictures from this page only, masks, strengths."""

from collections.abc import Iterator, Mapping
from dataclasses import Field, fields, replace
from typing import Any

import gradio as gr
from gradio.components import Component

from diffeditor import PRESETS, Preset
from diffeditor.errors import InvalidSetting
from ui import text
from ui.pictures import Painter, Picture
from ui.state import Painted, Values

BRUSH = ("#ff2878", 0.5)
PICTURE_HEIGHT = 350
"""Of every large picture on the page, in CSS pixels."""
SMALL_PICTURE_HEIGHT = 120
WHOLE_NUMBERS = {"steps": text.STEPS, "resolution": text.RESOLUTION}
"""Fields of a preset that are whole numbers, and what the page calls them."""


def painter(label: str, hint: str, elem_id: str) -> Painter:
    """A picture to load and to brush a mask on."""
    return Painter(
        type="pil",
        format="png",
        label=label,
        placeholder=hint,
        elem_id=elem_id,
        sources=["upload", "clipboard"],
        brush=gr.Brush(colors=[BRUSH], default_color=BRUSH, color_mode="fixed"),
        eraser=gr.Eraser(),
        transforms=(),
        layers=False,
        buttons=[],
        height=PICTURE_HEIGHT,
    )


def file_picture(label: str) -> Picture:
    """A picture from a file, as one needs for a mask."""
    return Picture(
        label=label,
        type="filepath",
        format="png",
        sources=["upload"],
        buttons=[],
        height=SMALL_PICTURE_HEIGHT,
        min_width=140,
    )


def prompt_box(label: str, **kwargs: Any) -> gr.Textbox:
    """A box for words that say what a picture shows."""
    return gr.Textbox(label=label, lines=2, max_lines=4, max_length=1000, min_width=140, **kwargs)


def painted(image: str) -> Painted:
    """The value of a `Painter` that shows a picture file without strokes."""
    return {"background": image, "layers": [], "composite": None}  # type: ignore[typeddict-item]


def steps_slider() -> gr.Slider:
    """How many steps a run has."""
    return gr.Slider(4, 100, value=Preset(description="").steps, step=1, label=text.STEPS)


def strength_fields() -> Iterator[Field[Any]]:
    """The fields of a preset that override a task's or a model's strength."""
    return (
        field
        for field in fields(Preset)
        if isinstance(field.metadata.get("range", [0])[0], float) and field.default is None
    )


def preset_controls(native_size: int) -> dict[str, Component]:
    """One box for each strength of a preset, empty for its default; and a button to empty them."""
    controls: dict[str, Component] = {}
    with gr.Accordion(text.SETTINGS, open=False):
        with gr.Row():
            for field in strength_fields():
                controls[f"preset.{field.name}"] = gr.Number(
                    label=text.STRENGTHS.get(field.name, field.name),
                    info=f"{field.name}, {text.limits(*field.metadata['range'])}",
                    placeholder=text.DEFAULT,
                    min_width=150,
                    step=0.1,
                )
            controls["preset.resolution"] = gr.Number(
                label=text.RESOLUTION,
                info="resolution",
                placeholder=f"{text.DEFAULT}: {native_size}",
                min_width=150,
                step=64,
            )
        reset = gr.Button(text.RESET, size="sm")
    boxes = list(controls.values())
    reset.click(lambda: [None] * len(boxes), None, boxes, queue=False, api_visibility="private")
    return controls


def read_preset(values: Values) -> Preset:
    """The chosen preset with the steps and every strength that was entered.

    Raises:
        InvalidSetting: a value is not one that a preset takes.
    """
    entered = {
        key.removeprefix("preset."): value
        for key, value in values.items()
        if key.startswith("preset.") and value is not None
    }
    return changed_preset(values["preset"], entered | {"steps": values["steps"]})


def changed_preset(name: str, changes: Mapping[str, Any]) -> Preset:
    """The preset of this name with its steps, its working size or some strengths changed.

    Raises:
        InvalidSetting: there is no such preset or field, or a value is not one that it takes.
    """
    if name not in PRESETS:
        raise InvalidSetting(f"There is no preset {name!r}; choose one of {', '.join(PRESETS)}.")
    known = [*WHOLE_NUMBERS, *(field.name for field in strength_fields())]
    for key in changes:
        if key not in known:
            raise InvalidSetting(f"There is no setting {key!r}; use {', '.join(known)}.")
    whole_numbers = {
        key: whole(changes[key], label) for key, label in WHOLE_NUMBERS.items() if key in changes
    }
    return replace(PRESETS[name], **{**changes, **whole_numbers})


def whole(value: Any, name: str) -> int:
    """The value as an int.

    Raises:
        InvalidSetting: it is not a whole number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise InvalidSetting(text.whole_number(name, value))
    return int(value)
