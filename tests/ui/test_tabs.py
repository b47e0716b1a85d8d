"""Everything on the canvas and every control changes the task that is built of it."""

from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from diffeditor import TASKS, Face, fit_onto, fit_template
from diffeditor.errors import InvalidEdit, InvalidSetting
from tests.ui.conftest import on_canvas
from tests.ui.fakes import FakeEditor
from ui import events, layout, settings, text
from ui.canvas import Placement
from ui.models import Models
from ui.state import Inputs, read
from ui.tabs import TOOLS

FOUND = FakeEditor().find_landmarks
LARGE = np.s_[10:50, 10:60]
CONTROLS = {
    **{(tool, "prompt"): ("a bowl", "prompt", "a bowl") for tool in TOOLS},
    ("paste", "reference_prompt"): ("a pan", "reference_prompt", "a pan"),
    ("appearance", "reference_prompt"): ("a pan", "reference_prompt", "a pan"),
    ("face", "face.groups"): (["jaw"], "groups", ("jaw",)),
    ("face", "face.strength"): (150, "strength", 1.5),
}
"""(tool, component) -> its new value, the field of the task that it changes and what to."""
SETTINGS = {"preset": "release", "seed": 7, "variations": 3, "steps": 12}


def larger() -> np.ndarray:
    inside = np.zeros((64, 80), np.bool_)
    inside[LARGE] = True
    return inside


def points(x: float) -> np.ndarray:
    return fit_template((x, 20.0), (x + 20, 20.0), (x + 10, 45.0))


def same(mask: Any) -> bool:
    return np.array_equal(mask, larger())


MARKS: list[tuple[str, dict[str, Any], str, Any]] = [
    *((tool, {"mask": larger()}, "mask", same) for tool in ("drag", "move", "appearance")),
    *((tool, {"reference_mask": larger()}, "reference_mask", same) for tool in ("paste",)),
    ("appearance", {"reference_mask": larger()}, "reference_mask", same),
    ("drag", {"arrows": [((30, 28), (31, 29))]}, "points", (((30, 28), (31, 29)),)),
    ("move", {"move": Placement(dx=-3, dy=1)}, "shift", (-3, 1)),
    ("move", {"move": Placement(scale=1.4)}, "scale", 1.4),
    ("move", {"fill_mask": larger()}, "fill_mask", same),
    ("paste", {"paste": Placement(dx=-3, dy=1)}, "shift", (-3, 1)),
    ("paste", {"paste": Placement(scale=0.5)}, "scale", 0.5),
    ("face", {"landmarks": points(20)}, "source_landmarks", lambda p: p[0, 0] < 20),
]
"""Tool, what is drawn on the canvas, the field of the task and its value, or a test of it."""


def inputs_of(values: dict[str, Any]) -> Inputs:
    return read(values, FOUND)


def task_of(tool: str, values: dict[str, Any]) -> Any:
    return TOOLS[tool].task(inputs_of(on_canvas(values, tool=tool)))


def holds(value: Any, expected: Any) -> bool:
    if callable(expected):
        return value is not None and bool(expected(value))
    return value == expected


def test_there_is_a_tab_for_every_task() -> None:
    assert TOOLS.keys() == TASKS.keys()
    assert all(name == tool.name for name, tool in TOOLS.items())


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tab_builds_its_own_task(tool: str, values: dict[str, Any]) -> None:
    assert type(task_of(tool, values)) is TASKS[tool]


@pytest.mark.parametrize(("tool", "control"), CONTROLS)
def test_every_control_changes_its_field(tool: str, control: str, values: dict[str, Any]) -> None:
    value, field, expected = CONTROLS[tool, control]
    assert getattr(task_of(tool, values), field) != expected
    assert getattr(task_of(tool, values | {control: value}), field) == expected


@pytest.mark.parametrize(("tool", "drawn", "field", "expected"), MARKS)
def test_every_mark_changes_its_field(
    tool: str, drawn: dict[str, Any], field: str, expected: Any, values: dict[str, Any]
) -> None:
    assert not holds(getattr(task_of(tool, values), field), expected)
    assert holds(getattr(task_of(tool, on_canvas(values, **drawn)), field), expected)


def test_everything_that_can_be_entered_is_tried(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    page: dict[str, Any] = {}
    monkeypatch.setattr(events, "connect", lambda _, blocks: page.update(blocks))
    layout.build_page(Models.of(FakeEditor()))  # type: ignore[arg-type]
    entered = set(events.Names(page).inputs())
    assert entered == set(values)
    of_settings = {name for name in entered if name.startswith("settings.")}
    tried = {control for _, control in CONTROLS} | {"canvas", "model", "results.history"}
    tried |= {"turns", "turn"}
    assert entered - of_settings == tried


@pytest.mark.parametrize("name", SETTINGS)
def test_the_settings_change_what_is_run(name: str, values: dict[str, Any]) -> None:
    before = settings.read(values)
    try:
        after = settings.read(values | {f"settings.{name}": SETTINGS[name]})
    except InvalidSetting:
        pytest.fail("The setting is refused.")
    assert name == "preset" or after != before


def test_a_tab_has_the_controls_of_its_tool_only() -> None:
    with gr.Blocks():
        drawn = {f"{name}.{local}" for name, tool in TOOLS.items() for local in tool.controls()}
    assert drawn == {control for _, control in CONTROLS if "." in control}


@pytest.mark.parametrize("tool", ["paste", "appearance", "face"])
def test_the_second_picture_is_the_reference(
    tool: str, values: dict[str, Any], image: Image.Image
) -> None:
    expected = np.asarray(image.transpose(Image.Transpose.ROTATE_180))
    assert np.array_equal(np.asarray(task_of(tool, values).reference), expected)
    with pytest.raises(InvalidEdit, match=text.NO_REFERENCE):
        task_of(tool, on_canvas(values, reference=None, reference_mask=None))


# Faces


def test_a_face_without_a_prompt_keeps_the_tasks_own(values: dict[str, Any]) -> None:
    assert task_of("face", values | {"prompt": " "}).prompt == Face.prompt


def test_without_points_the_editor_finds_them(values: dict[str, Any]) -> None:
    task = task_of("face", values)
    assert task.source_landmarks is None and task.target_landmarks is None


def test_points_of_both_faces_are_taken_as_they_are(values: dict[str, Any]) -> None:
    own, other = points(20.0), points(25.0)
    other[50:] += 3
    task = task_of("face", on_canvas(values, landmarks=own, reference_landmarks=other))
    assert task.reference is None
    assert np.allclose(task.source_landmarks, own, atol=0.01)
    assert np.allclose(task.target_landmarks, fit_onto(other, own), atol=0.05)


def test_points_of_the_second_face_alone_are_laid_on_the_found_ones(
    values: dict[str, Any], image: Image.Image
) -> None:
    task = task_of("face", on_canvas(values, reference_landmarks=points(20.0)))
    assert np.array_equal(task.source_landmarks, FOUND(image))
    assert task.target_landmarks is not None


def test_points_of_the_second_face_stay_in_the_picture(values: dict[str, Any]) -> None:
    own = fit_template((2.0, 30.0), (30.0, 5.0), (40.0, 45.0))
    at_the_rim = np.clip(own, 0, (79, 63))
    other = points(20.0)
    other[:17] = (0, 0)
    task = task_of("face", on_canvas(values, landmarks=at_the_rim, reference_landmarks=other))
    assert (task.target_landmarks >= 0).all()
    assert (task.target_landmarks < (80, 64)).all()
