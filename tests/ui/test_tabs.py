"""Every control of a tab changes the task that it builds."""

from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from diffeditor import TASKS
from diffeditor.errors import DiffEditorError, EmptyMask, InvalidEdit
from tests.ui.conftest import strokes
from ui import text
from ui.state import read_page
from ui.tabs import TOOLS

EVERY_PROMPT = [(tool, "prompt", "a bowl", "prompt", "a bowl") for tool in TOOLS]
CHANGES = [
    ("drag", "drag.points", [[30, 28, 31, 29]], "points", (((30, 28), (31, 29)),)),
    ("move", "move.dx", -3, "shift", (-3, 2)),
    ("move", "move.dy", -3, "shift", (8, -3)),
    ("move", "move.scale", 1.4, "scale", 1.4),
    ("paste", "paste.dx", -3, "shift", (-3, 0)),
    ("paste", "paste.dy", -3, "shift", (5, -3)),
    ("paste", "paste.scale", 0.5, "scale", 0.5),
    ("paste", "paste.reference_prompt", "a pan", "reference_prompt", "a pan"),
    ("appearance", "appearance.reference_prompt", "a pan", "reference_prompt", "a pan"),
    ("face", "face.groups", ["jaw"], "groups", ("jaw",)),
]


def task_of(tool: str, values: dict[str, Any]) -> Any:
    return TOOLS[tool].task(read_page(tool, values))


def test_there_is_a_tab_for_every_task() -> None:
    assert TOOLS.keys() == TASKS.keys()
    assert all(name == tool.name for name, tool in TOOLS.items())


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tab_builds_its_own_task(tool: str, values: dict[str, Any]) -> None:
    assert type(task_of(tool, values)) is TASKS[tool]


@pytest.mark.parametrize(("tool", "control", "value", "field", "expected"), CHANGES + EVERY_PROMPT)
def test_every_control_changes_its_field(
    values: dict[str, Any], tool: str, control: str, value: Any, field: str, expected: Any
) -> None:
    assert getattr(task_of(tool, values), field) != expected
    assert getattr(task_of(tool, values | {control: value}), field) == expected


@pytest.mark.parametrize("tool", TOOLS)
def test_every_control_on_the_page_is_tried_here(tool: str) -> None:
    with gr.Blocks():
        controls = {f"{tool}.{name}" for name in TOOLS[tool].build()}
    tried = {control for _, control, *_ in CHANGES} | {"move.fill_mask"}
    assert controls <= tried


def test_the_fill_mask_is_a_control_too(values: dict[str, Any], mask_file: str) -> None:
    assert task_of("move", values).fill_mask is None
    fill = task_of("move", values | {"move.fill_mask": mask_file}).fill_mask
    assert fill.sum() == 64 and fill[0, 0]


@pytest.mark.parametrize("tool", ["drag", "move", "appearance"])
def test_the_brush_is_the_mask(tool: str, values: dict[str, Any], mask: np.ndarray) -> None:
    assert np.array_equal(task_of(tool, values).mask, mask)


@pytest.mark.parametrize("tool", ["paste", "appearance"])
def test_the_brush_on_the_second_picture_is_its_mask(
    tool: str, values: dict[str, Any], mask: np.ndarray
) -> None:
    other = np.roll(mask, 9, axis=1)
    values["reference"]["layers"] = [strokes(other)]
    assert np.array_equal(task_of(tool, values).reference_mask, other)


@pytest.mark.parametrize("tool", [name for name, tool in TOOLS.items() if tool.reference])
def test_the_second_picture_is_the_reference(
    tool: str, values: dict[str, Any], image: Image.Image
) -> None:
    expected = np.asarray(image.transpose(Image.Transpose.ROTATE_180))
    assert np.array_equal(np.asarray(task_of(tool, values).reference), expected)
    with pytest.raises(InvalidEdit, match=text.NO_REFERENCE):
        task_of(tool, values | {"reference": None})


def test_a_face_without_a_prompt_keeps_the_tasks_own(values: dict[str, Any]) -> None:
    assert task_of("face", values | {"prompt": " "}).prompt == "a photo of a human face"


@pytest.mark.parametrize(
    ("tool", "control", "value"),
    [
        ("drag", "drag.points", []),
        ("drag", "drag.points", None),
        ("drag", "drag.points", [["a", 1, 2, 3]]),
        ("drag", "drag.points", [[1, 2]]),
        ("drag", "drag.points", [[30, 28, None, None]]),
        ("drag", "drag.points", [[30, 28, float("nan"), 3]]),
        ("drag", "drag.points", [[30, 28, 31, 28]] * 101),
        ("move", "move.dx", None),
        ("move", "move.dx", 1e9),
        ("move", "move.scale", 0),
        ("paste", "paste.dy", float("inf")),
        ("face", "face.groups", []),
        ("face", "face.groups", ["ears"]),
    ],
)
def test_bad_values_raise_the_engines_errors(
    values: dict[str, Any], tool: str, control: str, value: Any
) -> None:
    with pytest.raises(DiffEditorError):
        task_of(tool, values | {control: value})


def test_an_unbrushed_picture_is_an_empty_mask(values: dict[str, Any]) -> None:
    values["source"]["layers"] = []
    with pytest.raises(EmptyMask):
        task_of("move", values)


# Clicks


def test_two_clicks_drag_a_point(values: dict[str, Any]) -> None:
    page, click = read_page("drag", values), TOOLS["drag"].click
    assert click is not None
    first = click(page, (25.0, 25.0), None)
    assert (first.changes, first.start) == ({}, (25.0, 25.0))
    second = click(page, (30.5, 20.0), first.start)
    assert second.start is None
    assert second.changes == {"points": [[30, 28, 34, 28], [25.0, 25.0, 30.5, 20.0]]}


def test_two_clicks_move_the_object(values: dict[str, Any]) -> None:
    page, click = read_page("move", values), TOOLS["move"].click
    assert click is not None
    assert click(page, (25.0, 25.0), None).start == (25.0, 25.0)
    assert click(page, (30.5, 20.0), (25.0, 25.0)).changes == {"dx": 5.5, "dy": -5.0}


def test_one_click_places_the_pasted_objects_centre(values: dict[str, Any]) -> None:
    page, click = read_page("paste", values), TOOLS["paste"].click
    assert click is not None
    assert click(page, (50.0, 40.0), None).changes == {"dx": 20.0, "dy": 12.0}
    values["reference"]["layers"] = []
    assert click(read_page("paste", values), (50.0, 40.0), None).changes == {}


def test_arrows_show_what_was_entered(values: dict[str, Any]) -> None:
    drag, move = TOOLS["drag"].arrows, TOOLS["move"].arrows
    assert drag is not None and move is not None
    values["drag.points"].append([1, None, 2, 3])
    assert drag(read_page("drag", values)) == [((30, 28), (34, 28))]
    assert move(read_page("move", values)) == [((30, 28), (38, 30))]
    for nothing in (None, float("nan"), float("inf")):
        assert move(read_page("move", values | {"move.dx": nothing})) == []
        values["drag.points"] = [[30, 28, nothing, 28]]
        assert drag(read_page("drag", values)) == []
