"""The settings: preset, seed, variations, and a control for every value of a preset.

Names of components are "settings.preset", "settings.seed", "settings.variations", "settings.reset"
and those of `preset_fields`. An empty box is the model's own value.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal, get_args, get_origin

import gradio as gr
from gradio.components import Component

from diffeditor import PRESETS, Preset
from diffeditor.errors import InvalidSetting
from ui.preset_fields import CONTROLS, Control, preset_from, values_of
from ui.state import Blocks, Updates, Values

DEFAULT = next(iter(PRESETS))
MAX_VARIATIONS = 4
MAX_SEED = 2**53 - 1
"""The largest whole number that a browser counts to exactly."""
LONG_RANGE = 200
"""A slider over more whole numbers would jump over some; a box takes its place."""

PRESET, SEED, VARIATIONS = "Preset", "Seed", "Variations"
SETTINGS, RESET = "Settings of the preset", "Back to the preset"
OWN = "the model's own"
LABELS: Mapping[str, str] = {
    "steps": "Steps",
    "resolution": "Working size, pixels",
    "crop": "Edit a part of a large picture from near",
    "detail": "Carry over fine detail",
    "guide": "When the edit is guided",
    "regional_guidance": "Guide inside and outside apart",
    "whole_cells": "Round places to cells",
    "hold_outside": "Hold what lies outside the edit",
    "clear_vacated": "Start a moved object's old place anew",
    "fill_until": "Keep the old place to its surroundings until",
    "face_everywhere": "Guide far from the face too",
    "sde": "When noise is added",
    "travel": "When steps are repeated",
    "travel_rounds": "Rounds of a repeated step",
    "travel_by": "Go back in a repeated step by",
    "image_prompt": "When the picture prompts itself",
    "image_prompt_inversion": "Image prompt while inverting",
    "bank_from": "Read the memory from (move, drag, face)",
    "bank_until": "Read the memory until (paste, appearance)",
    "guidance_scale": "Pull of the prompt",
    "energy_scale": "Pull of the edit",
    "gradient_limit": "Most pull in one place",
    "guide_until": "Guide until, unless windows are given",
    "eta_in": "Freedom inside the edit",
    "eta_out": "Freedom outside the edit",
    "image_prompt_scale": "Weight of the image prompt",
    "w_edit": "Edit reaches its goal",
    "w_content": "The rest stays",
    "w_contrast": "The left place differs",
    "w_inpaint": "The left place is filled",
    "sketch_until": "Share of the steps that the preview replaces",
    "start": "From",
    "stop": "To",
    "every": "Every",
    "after_start": "Not its first",
    "through_stop": "Also its last",
}
"""Plain words for the fields of a preset and the parts of a window."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """How to run: the preset as changed, the first seed, and how many seeds from it on."""

    preset: Preset
    seed: int
    variations: int

    @property
    def seeds(self) -> range:
        return range(self.seed, self.seed + self.variations)


def build(native_size: int) -> Blocks:
    """The components, with their own events.

    native_size: of the model, in pixels, which is told where it is the default.
    """
    choices = [(_described(name), name) for name in PRESETS]
    with gr.Group():
        blocks: Blocks = {"settings.preset": gr.Dropdown(choices, value=DEFAULT, label=PRESET)}
        with gr.Row():
            blocks["settings.seed"] = gr.Number(0, label=SEED, min_width=120, step=1)
            blocks["settings.variations"] = gr.Slider(
                1, MAX_VARIATIONS, value=1, step=1, label=VARIATIONS, min_width=180
            )
    with gr.Accordion(SETTINGS, open=False):
        controls = _build_controls(native_size)
        blocks["settings.reset"] = gr.Button(RESET, size="sm")
    preset = blocks["settings.preset"]
    gr.on(  # in the browser, so that an edit that is started at once runs what was chosen
        [preset.input, blocks["settings.reset"].click],
        None,
        preset,
        list(controls.values()),
        js=_filling_script(),
        api_visibility="private",
    )
    return blocks | controls


def read(values: Values) -> Chosen:
    """What was chosen.

    Raises:
        InvalidSetting: a value is not one that can be run; the sentence says which.
    """
    seed = _whole(values["settings.seed"], SEED, 0, MAX_SEED - MAX_VARIATIONS)
    variations = _whole(values["settings.variations"], VARIATIONS, 1, MAX_VARIATIONS)
    preset = preset_from(values["settings.preset"], values)
    return Chosen(preset=preset, seed=seed, variations=variations)


def show(preset: Preset, seed: int) -> Updates:
    """What to put into the components for one run of a preset, or a variant of one, with a seed.

    Raises:
        InvalidSetting: the page cannot hold it.
    """
    names = (name for name, known in PRESETS.items() if known.description == preset.description)
    base = next(names, DEFAULT)
    controls = {
        name: gr.update(value=value, info=info)
        for (name, value), info in zip(values_of(preset).items(), _infos(base), strict=True)
    }
    seed = _whole(seed, SEED, 0, MAX_SEED - MAX_VARIATIONS)
    once = {"settings.preset": base, "settings.seed": seed, "settings.variations": 1}
    return once | controls


def _whole(value: Any, name: str, low: int, high: int) -> int:
    number = isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
    if not number or not low <= value <= high:
        raise InvalidSetting(f"{name} must be a whole number from {low} to {high}, not {value!r}.")
    return int(value)


# Controls


def _build_controls(native_size: int) -> Blocks:
    """One component for each control; those of a window in a row of their own."""
    built: Blocks = {}
    infos = dict(zip((control.name for control in CONTROLS), _infos(DEFAULT), strict=True))
    for path, controls in groupby(CONTROLS, lambda control: control.path[:-1]):
        if path:
            gr.Markdown(_title(path))
        with gr.Row():
            for control in controls:
                built[control.name] = _component(control, infos[control.name], native_size)
    return built


def _title(path: tuple[str | int, ...]) -> str:
    rest = "".join(f", {row}" for row in path[1:])
    return f"{_label(path[0])} ({path[0]}{rest}), in fractions of the run"


def _label(name: str | int) -> str:
    return LABELS.get(str(name), str(name))


def _component(control: Control, info: str, native_size: int) -> Component:
    value: Any = values_of(PRESETS[DEFAULT])[control.name]
    label = _label(control.path[-1])
    if control.hint is bool:
        return gr.Checkbox(value, label=label, info=info, min_width=150)
    if get_origin(control.hint) is Literal:
        choices = list(get_args(control.hint))
        return gr.Dropdown(choices, value=value, label=label, info=info, min_width=200)
    if control.limits and not control.optional and control.limits[1] <= LONG_RANGE:
        step = 1 if control.whole else 0.01
        return gr.Slider(
            *control.limits, value=value, step=step, label=label, info=info, min_width=200
        )
    own = f"{OWN}: {native_size}" if control.path == ("resolution",) else OWN
    return gr.Number(
        value,
        label=label,
        info=info,
        placeholder=own if control.optional else None,
        step=1 if control.whole else 0.05,
        min_width=200 if control.limits else 90,
    )


# Defaults


def _described(name: str) -> str:
    """The preset's name and what it is, without the letter of its source."""
    described = re.sub(r" \[[\w ]+\]$", "", PRESETS[name].description)
    return f"{name}: {described}"


def _infos(base: str) -> list[str]:
    """What is told at each control: the field's name, its range, the preset's value."""
    infos: list[str] = []
    for control in CONTROLS:
        told = [f"default {_told(control, PRESETS[base])}"]
        if len(control.path) == 1:
            told.insert(0, str(control.path[0]))
        if control.limits:
            told.insert(1, "{:g} to {:g}".format(*control.limits))
        infos.append(", ".join(told))
    return infos


def _told(control: Control, preset: Preset) -> str:
    value = control.of(preset)
    if value is None:
        return OWN if control.optional else "empty"
    if isinstance(value, bool):
        return "on" if value else "off"
    return value if isinstance(value, str) else f"{value:g}"


def _filling_script() -> str:
    """JavaScript from the name of a preset to what its choice puts into all controls."""
    table = {
        name: list(zip(values_of(preset).values(), _infos(name), strict=True))
        for name, preset in PRESETS.items()
    }
    return (
        f"(name) => ({json.dumps(table)})[name]"
        ".map(([value, info]) => ({__type__: 'update', value, info}))"
    )
