import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffeditor import PRESETS, Editor, Recipe
from diffeditor.errors import (
    Cancelled,
    DiffEditorError,
    EmptyMask,
    InvalidEdit,
    ModelUnavailable,
    NoFaceFound,
    OutOfMemory,
)
from tests.ui.fakes import PAINT, FakeEditor
from ui import handlers, text
from ui.tabs import TOOLS

RESULTS = {"status", "result", "numbers", "save_picture", "save_recipe"}


def statuses(editor: FakeEditor, values: dict[str, Any]) -> list[str]:
    return [updates["status"] for updates in handlers.edit(editor, values)]  # type: ignore[arg-type]


def size_of(path: str) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def drawn(values: dict[str, Any]) -> np.ndarray:
    """The picture to click on."""
    with Image.open(handlers.refresh(values)["board"]["value"]) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("name", ["edit", "stream"])
def test_the_fake_editor_has_the_interface_of_the_real_one(name: str) -> None:
    real, fake = (inspect.signature(getattr(owner, name)) for owner in (Editor, FakeEditor))
    assert list(real.parameters) == list(fake.parameters)
    for parameter in real.parameters:
        assert real.parameters[parameter].default == fake.parameters[parameter].default


# Edit


@pytest.mark.parametrize("tool", TOOLS)
def test_an_edit_tells_every_step_and_ends_with_the_result(
    tool: str, values: dict[str, Any]
) -> None:
    editor = FakeEditor(steps=2)
    assert statuses(editor, values | {"tool": tool}) == [
        text.STARTING,
        "Inverting 1/2",
        "Inverting 2/2",
        "Editing 1/2",
        "Editing 2/2",
        "Done in 2.2 s. It went 86 % of its way.",
    ]
    assert [task.name for task, *_ in editor.runs] == [tool]


def test_an_edit_runs_the_preset_and_the_seed_of_the_page(values: dict[str, Any]) -> None:
    editor = FakeEditor()
    chosen = values | {"preset": "release", "steps": 12, "seed": 7.0, "preset.eta_in": 0.1}
    statuses(editor, chosen)
    _, preset, seed = editor.runs[0]
    assert (preset.steps, preset.eta_in, seed) == (12, 0.1, 7)
    assert preset.description == PRESETS["release"].description


def test_previews_come_while_it_runs(values: dict[str, Any], image: Image.Image) -> None:
    every = handlers.PREVIEW_EVERY
    seen = list(handlers.edit(FakeEditor(steps=2 * every), values))  # type: ignore[arg-type]
    previews = [updates for updates in seen[:-1] if "result" in updates]
    assert len(previews) == 2
    assert [size_of(picture) for picture in previews[0]["result"]] == [image.size] * 2


def test_files_are_there_for_the_page_and_gone_after(
    values: dict[str, Any], image: Image.Image
) -> None:
    run = handlers.edit(FakeEditor(), values | {"seed": 5})  # type: ignore[arg-type]
    last = next(updates for updates in run if "save_picture" in updates)
    picture, recipe = (Path(last[name]["value"]) for name in ("save_picture", "save_recipe"))
    assert (picture.name, recipe.name) == ("drag-5.png", "drag-5.json")
    with Image.open(picture) as saved:
        assert saved.size == image.size
        assert saved.convert("RGB").getpixel((0, 0)) == PAINT
    assert Recipe.load(recipe).seed == 5
    assert json.loads(recipe.read_text())["task"] == "drag"
    assert list(run) == []
    assert not picture.exists() and not recipe.exists()


def test_a_large_result_is_shown_smaller_and_downloaded_whole(values: dict[str, Any]) -> None:
    large = Image.new("RGB", (2 * handlers.SHOWN_SIDE, 100))
    values["source"] = {"background": large, "layers": [], "composite": None}
    values["tool"] = "face"
    for updates in handlers.edit(FakeEditor(), values):  # type: ignore[arg-type]
        if "save_picture" in updates:
            assert size_of(updates["result"][1]) == (handlers.SHOWN_SIDE, 50)
            assert size_of(updates["save_picture"]["value"]) == large.size


@pytest.mark.parametrize(
    "error",
    [
        DiffEditorError("One."),
        InvalidEdit("Two."),
        EmptyMask("Three."),
        NoFaceFound("Four."),
        ModelUnavailable("Five."),
        OutOfMemory("Six."),
        Cancelled("Seven."),
    ],
)
def test_every_error_of_the_engine_is_a_status(error: Exception, values: dict[str, Any]) -> None:
    editor = FakeEditor(error=error)
    assert statuses(editor, values) == [text.STARTING, str(error)]
    assert editor.closed == 1


def test_a_fault_is_told_and_logged(
    values: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert statuses(FakeEditor(error=RuntimeError("boom")), values)[-1] == text.UNEXPECTED
    assert "boom" in caplog.text


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"source": None}, text.NO_PICTURE),
        ({"tool": "paste", "reference": None}, text.NO_REFERENCE),
        ({"tool": "<b>"}, text.NO_TOOL),
        ({"seed": None}, text.whole_number(text.SEED, None)),
        ({"steps": 1.5}, text.whole_number(text.STEPS, 1.5)),
        (
            {"preset": "best"},
            "There is no preset 'best'; choose one of " + ", ".join(PRESETS) + ".",
        ),
    ],
)
def test_wrong_input_never_reaches_the_engine(
    wrong: dict[str, Any], sentence: str, values: dict[str, Any]
) -> None:
    editor = FakeEditor()
    assert statuses(editor, values | wrong) == [sentence]
    assert editor.runs == []


@pytest.mark.parametrize("after", range(1, 7))
def test_a_run_that_is_given_up_frees_the_device(after: int, values: dict[str, Any]) -> None:
    editor = FakeEditor(steps=3)
    run = handlers.edit(editor, values)  # type: ignore[arg-type]
    for _ in range(after):
        next(run)
    run.close()  # type: ignore[attr-defined]
    assert editor.closed == (1 if after > 1 else 0)
    assert len(editor.runs) == editor.closed


def test_an_edit_changes_nothing_that_was_entered(values: dict[str, Any]) -> None:
    before = {**values}
    for editor in (FakeEditor(), FakeEditor(error=OutOfMemory("Full."))):
        for updates in handlers.edit(editor, values):  # type: ignore[arg-type]
            assert updates.keys() <= RESULTS
    assert values == before


def test_a_message_is_text_and_stays_as_it_is(values: dict[str, Any]) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    assert statuses(FakeEditor(error=InvalidEdit(hostile)), values)[-1] == hostile


# The drawn picture and the advice


def test_the_advice_says_what_is_missing(values: dict[str, Any]) -> None:
    assert handlers.refresh(values | {"source": None})["advice"] == text.NO_PICTURE
    assert handlers.refresh(values | {"source": None})["board"] is None
    assert "no points" in handlers.refresh(values | {"drag.points": []})["advice"]
    assert handlers.refresh(values | {"tool": "?"}) == {"advice": text.NO_TOOL}
    assert handlers.refresh(values)["advice"] == text.READY


def test_the_advice_warns(values: dict[str, Any]) -> None:
    leaving = handlers.refresh(values | {"drag.points": [[30, 28, 79, 60]]})
    assert (
        leaving["advice"]
        == f"{text.READY} Point 1 ends outside the mask, where nothing may change."
    )


def test_the_second_picture_shows_only_where_it_is_needed(values: dict[str, Any]) -> None:
    shown = {name: handlers.refresh(values | {"tool": name})["second"]["visible"] for name in TOOLS}
    assert shown == {
        "drag": "hidden",
        "move": "hidden",
        "paste": True,
        "appearance": True,
        "face": True,
    }


@pytest.mark.parametrize(
    ("tool", "control", "value"),
    [
        ("drag", "drag.points", [[30, 28, 22, 22]]),
        ("move", "move.dx", 20),
        ("move", "move.scale", 2.0),
        ("paste", "paste.dy", 10),
        ("drag", "start", (60.0, 50.0)),
    ],
)
def test_the_drawn_picture_follows_the_controls(
    tool: str, control: str, value: Any, values: dict[str, Any]
) -> None:
    values["tool"] = tool
    assert not np.array_equal(drawn(values), drawn(values | {control: value}))


def test_arrows_stay_drawn_while_something_else_is_missing(values: dict[str, Any]) -> None:
    values["source"]["layers"] = []
    assert not np.array_equal(drawn(values), drawn(values | {"drag.points": []}))


# Clicks


def test_two_clicks_make_an_arrow(values: dict[str, Any]) -> None:
    first = handlers.click(values, (270, 252))
    assert first.keys() == {"start"}
    waiting = values | first
    assert handlers.refresh(waiting)["advice"] == text.WHERE_TO
    second = handlers.click(waiting, (315, 252))
    assert second["start"] is None
    assert second["drag.points"] == [[30, 28, 34, 28], [30.1, 28.1, 35.1, 28.1]]


def test_the_drawn_picture_asks_for_clicks_only_where_they_mean_something(
    values: dict[str, Any],
) -> None:
    asks = {
        name: handlers.refresh(values | {"tool": name})["board"]["label"] == text.BOARD
        for name in TOOLS
    }
    assert asks == {name: tool.click is not None for name, tool in TOOLS.items()}


@pytest.mark.parametrize("tool", ["appearance", "face"])
def test_clicks_mean_nothing_where_nothing_is_placed(tool: str, values: dict[str, Any]) -> None:
    assert handlers.click(values | {"tool": tool}, (1, 1)) == {}


def test_a_click_without_a_picture_says_so(values: dict[str, Any]) -> None:
    assert handlers.click(values | {"source": None}, (1, 1)) == {"advice": text.NO_PICTURE}
