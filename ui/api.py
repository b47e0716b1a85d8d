"""The five tasks as named endpoints, for programs: `gradio_client.Client(url).predict(...)`.

/move, /drag, /face, /paste and /appearance take the fields of their task by name (pictures and
masks as files, pairs and points as JSON), then `preset`, `changes` (JSON, values of the preset that
differ), `seed` and `model`. They return the edited picture and the numbers of the edit.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import MISSING, Field, fields
from inspect import Parameter, Signature
from typing import Any

import gradio as gr
from gradio.components import Component
from PIL import Image

from diffeditor import PRESETS, TASKS, Preset, changed_preset
from diffeditor.errors import DiffEditorError, InvalidSetting
from ui.events import ON_DEVICE
from ui.models import Models
from ui.pictures import Picture

PICTURES = ("image", "mask", "fill_mask", "reference", "reference_mask")
TEXTS = ("prompt", "reference_prompt")
HOW = ("preset", "changes", "seed", "model")
"""What every endpoint takes after the fields of its task."""

Answer = tuple[Image.Image | None, dict[str, Any]]


def add_endpoints(models: Models) -> None:
    """Adds the endpoints to the page under construction.

    Their components are never shown; they say how a request is read and checked.
    """
    with gr.Column(visible=False):
        names = dict.fromkeys(field.name for task in TASKS.values() for field in fields(task))
        boxes = {name: _component(name) for name in names}
        how = [
            gr.Textbox(next(iter(PRESETS)), label="preset"),
            gr.JSON({}, label="changes"),
            gr.Number(0, label="seed"),
            gr.Textbox(None, label="model"),
        ]
        answer = [gr.Image(label="picture", format="png"), gr.JSON(label="numbers")]
        for name, task in TASKS.items():
            inputs = [boxes[field.name] for field in fields(task)] + how
            gr.Button().click(endpoint(models, task), inputs, answer, api_name=name, **ON_DEVICE)


def _component(name: str) -> Component:
    if name in PICTURES:
        return Picture(label=name)
    if name in TEXTS:
        return gr.Textbox(None, label=name)
    return gr.Number(None, label=name) if name == "scale" else gr.JSON(label=name)


def endpoint(models: Models, task: type[Any]) -> Callable[..., Iterator[Answer]]:
    """A function of the task's fields and of `HOW`: answers, of which the last is the result.

    It raises gr.Error with the engine's sentence about what is wrong.
    """
    known: tuple[Field[Any], ...] = fields(task)

    def run(*values: Any) -> Iterator[Answer]:
        given, how = values[: len(known)], values[len(known) :]
        inputs = {
            field.name: value
            for field, value in zip(known, given, strict=True)
            if value is not None or _required(field)
        }
        try:
            yield from _answers(models, task(**inputs), *how)
        except DiffEditorError as error:
            raise gr.Error(str(error), print_exception=False) from error

    required = [_parameter(field.name) for field in known if _required(field)]
    optional = [_parameter(field.name, None) for field in known if not _required(field)]
    how = [_parameter(name, None) for name in HOW]
    run.__signature__ = Signature([*required, *optional, *how])  # type: ignore[attr-defined]
    return run


def _answers(
    models: Models, task: Any, preset: Any, changes: Any, seed: Any, model: Any
) -> Iterator[Answer]:
    settings = _preset(preset, {} if changes is None else changes)
    editor = models.editor(model or None)
    with closing(editor.stream(task, preset=settings, seed=_whole(seed))) as steps:
        for step in steps:
            if step.result is None:
                yield None, {"status": step.message}
            else:
                yield step.result.image, step.result.metadata


def _preset(name: Any, changes: Any) -> Preset:
    if name not in PRESETS:
        raise InvalidSetting(f"There is no preset {name!r}; choose one of {', '.join(PRESETS)}.")
    if not isinstance(changes, dict):
        raise InvalidSetting('changes must be an object of values, such as {"steps": 20}.')
    return changed_preset(PRESETS[name], changes)


def _whole(seed: Any) -> Any:
    """A seed that came as 7.0 as the whole number 7; the editor refuses others."""
    return int(seed) if isinstance(seed, float) and seed.is_integer() else seed


def _required(field: Field[Any]) -> bool:
    return field.default is MISSING


def _parameter(name: str, default: Any = Parameter.empty) -> Parameter:
    return Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default)
