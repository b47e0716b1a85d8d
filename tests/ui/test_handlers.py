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
from tests.ui.conftest import on_canvas
from tests.ui.fakes import FakeEditor
from ui import handlers, results, text
from ui.canvas import Placement
from ui.models import Models
from ui.tabs import TOOLS

DONE = "Done in 2.2 s. It went 86 % of its way."


def models_of(editor: FakeEditor) -> Models:
    return Models.of(editor)  # type: ignore[arg-type]


def run(editor: FakeEditor, values: dict[str, Any]) -> list[dict[str, Any]]:
    asked = {**values, "turn": values["turns"].ask()}
    return list(handlers.edit(models_of(editor), asked))


def statuses(editor: FakeEditor, values: dict[str, Any]) -> list[str]:
    return [updates["status"] for updates in run(editor, values)]


def advise(values: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return handlers.advise(models_of(FakeEditor()), on_canvas(values, **changes))


@pytest.mark.parametrize("name", ["edit", "stream", "find_landmarks"])
def test_the_fake_editor_has_the_interface_of_the_real_one(name: str) -> None:
    real, fake = (inspect.signature(getattr(owner, name)) for owner in (Editor, FakeEditor))
    assert list(real.parameters) == list(fake.parameters)
    for parameter in real.parameters.keys() - {"stopped"}:
        assert real.parameters[parameter].default == fake.parameters[parameter].default


# Edit


@pytest.mark.parametrize("tool", TOOLS)
def test_an_edit_tells_every_step_and_ends_with_the_result(
    tool: str, values: dict[str, Any]
) -> None:
    editor = FakeEditor(steps=2)
    assert statuses(editor, on_canvas(values, tool=tool)) == [
        text.STARTING,
        "Inverting 1/2",
        "Inverting 2/2",
        "Editing 1/2",
        "Editing 2/2",
        DONE,
    ]
    assert [task.name for task, *_ in editor.runs] == [tool]


def test_an_edit_runs_the_preset_and_the_seed_of_the_page(values: dict[str, Any]) -> None:
    editor = FakeEditor()
    chosen = {"settings.preset": "release", "settings.steps": 12, "settings.seed": 7}
    statuses(editor, values | chosen)
    _, preset, seed = editor.runs[0]
    assert (preset.steps, seed) == (12, 7)
    assert preset.description == PRESETS["release"].description


def test_every_variation_has_a_seed_of_its_own(values: dict[str, Any]) -> None:
    editor = FakeEditor(steps=1)
    four = {"settings.variations": 3, "settings.seed": 5}
    told = statuses(editor, values | four)
    assert [seed for *_, seed in editor.runs] == [5, 6, 7]
    assert told[0] == text.STARTING
    assert told[1:4] == [
        "Picture 1 of 3: Inverting 1/1",
        "Picture 1 of 3: Editing 1/1",
        f"Picture 1 of 3: {DONE}",
    ]
    assert told[-1] == f"Picture 3 of 3: {DONE}"
    seeds = [entry.seed for entry in values["results.history"].entries]
    assert seeds == [5, 6, 7]


def test_pictures_come_while_it_runs(values: dict[str, Any], image: Image.Image) -> None:
    seen = run(FakeEditor(steps=2 * handlers.LOOK_EVERY), values)
    looks = [updates for updates in seen[:-1] if "results.slider" in updates]
    assert len(looks) == 2
    for path in looks[0]["results.slider"]["value"]:
        with Image.open(path) as picture:
            assert picture.size == image.size


def test_a_result_is_kept_with_its_recipe(values: dict[str, Any]) -> None:
    run(FakeEditor(), values | {"settings.seed": 5})
    [entry] = values["results.history"].entries
    assert Recipe.load(Path(entry.recipe)).seed == 5


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
    ("wrong", "words"),
    [
        ({"canvas": None}, text.NO_PICTURE),
        ({"settings.seed": None}, "must be a whole number"),
        ({"settings.steps": 1.5}, "must be a whole number"),
        ({"settings.preset": "best"}, "There is no preset 'best'"),
        ({"settings.variations": 9}, "must be"),
        ({"model": "another"}, "There is no model 'another'"),
    ],
)
def test_wrong_input_never_reaches_the_engine(
    wrong: dict[str, Any], words: str, values: dict[str, Any]
) -> None:
    editor = FakeEditor()
    assert words in statuses(editor, values | wrong)[-1]
    assert editor.runs == []


@pytest.mark.parametrize("after", range(1, 7))
def test_a_run_that_is_given_up_frees_the_device(after: int, values: dict[str, Any]) -> None:
    editor = FakeEditor(steps=3)
    steps = handlers.edit(models_of(editor), values | {"settings.variations": 4})
    for _ in range(after):
        next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert editor.closed == len(editor.runs) == (1 if after > 1 else 0)


def test_an_edit_changes_nothing_that_was_entered(values: dict[str, Any]) -> None:
    before = {**values}
    for editor in (FakeEditor(), FakeEditor(error=OutOfMemory("Full."))):
        for updates in run(editor, values):
            assert updates.keys() <= {"status", *results.OUTPUTS}
    assert values == before


def test_a_message_is_text_and_stays_as_it_is(values: dict[str, Any]) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    assert statuses(FakeEditor(error=InvalidEdit(hostile)), values)[-1] == hostile


@pytest.mark.parametrize("after", range(1, 6))
def test_a_run_that_is_stopped_says_nothing_more(after: int, values: dict[str, Any]) -> None:
    editor = FakeEditor(steps=3)
    steps = handlers.edit(models_of(editor), values | {"settings.variations": 4})
    for _ in range(after):
        next(steps)
    assert handlers.stop(values["turns"]) == text.STOPPED
    assert list(steps) == []
    assert editor.closed == len(editor.runs) <= 1
    assert after_all(values) == {"status": text.STOPPED}


def test_an_error_of_a_run_that_was_stopped_is_not_told(values: dict[str, Any]) -> None:
    steps = handlers.edit(models_of(FakeEditor(error=OutOfMemory("Full."))), values)
    next(steps)
    handlers.stop(values["turns"])
    assert list(steps) == []


def test_a_stop_reaches_the_engine_within_a_step(values: dict[str, Any]) -> None:
    asked: list[bool] = []

    class Stopping(FakeEditor):
        def stream(self, *_: Any, stopped: Any, **__: Any) -> Any:
            asked.append(stopped())
            handlers.stop(values["turns"])
            asked.append(stopped())
            yield from ()

    statuses(Stopping(), values)
    assert asked == [False, True]


def test_who_asks_again_gets_the_later_edit_only(values: dict[str, Any]) -> None:
    turns, editor = values["turns"], FakeEditor()
    first, second = ({**values, "turn": turns.ask(), "prompt": word} for word in ("one", "two"))
    before = handlers.edit(models_of(editor), first)
    assert list(before) == []
    after = handlers.edit(models_of(editor), second)
    assert [updates["status"] for updates in after][-1] == DONE
    assert [task.prompt for task, *_ in editor.runs] == ["two"]
    assert after_all(values) == {}


def after_all(values: dict[str, Any], token: str = "") -> dict[str, Any]:
    """What the page shows once the edit has ended."""
    return handlers.ended(values["turns"], values["results.history"], token)


def a_look(values: dict[str, Any]) -> Any:
    """An edit that has just given a picture of itself, after one with a result."""
    run(FakeEditor(), values)
    asked = {**values, "turn": values["turns"].ask()}
    steps = handlers.edit(models_of(FakeEditor(steps=handlers.LOOK_EVERY)), asked)
    while "results.slider" not in next(steps):
        pass
    return steps


@pytest.mark.parametrize("how", ["cancelled", "given up", "replaced"])
def test_after_an_edit_without_a_result_the_one_before_is_back(
    how: str, values: dict[str, Any]
) -> None:
    steps, [entry] = a_look(values), values["results.history"].entries
    if how == "cancelled":
        handlers.stop(values["turns"])
        list(steps)
    elif how == "given up":
        steps.close()
    else:
        wrong = {**values, "turn": values["turns"].ask(), "settings.seed": None}
        assert after_all(values) == {}  # the next one is waiting
        list(steps)
        list(handlers.edit(models_of(FakeEditor()), wrong))
    back = after_all(values, entry.token)
    assert back["results.slider"]["value"] == (entry.before, entry.after)
    assert back["results.use"]["interactive"] is True
    assert ("status" in back) == (how == "cancelled")
    assert after_all(values, entry.token).keys() <= {"status"}


def test_after_an_error_the_result_before_is_back(values: dict[str, Any]) -> None:
    class Failing(FakeEditor):
        def stream(self, *task: Any, **how: Any) -> Any:
            yield from list(super().stream(*task, **how))[:-1]
            raise OutOfMemory("Full.")

    run(FakeEditor(), values)
    [entry] = values["results.history"].entries
    assert run(Failing(steps=handlers.LOOK_EVERY), values)[-1] == {"status": "Full."}
    back = after_all(values, entry.token)
    assert back["results.shown"] == entry.token and "status" not in back


def test_after_a_result_it_stays_as_it_is(values: dict[str, Any]) -> None:
    run(FakeEditor(steps=handlers.LOOK_EVERY), values)
    [entry] = values["results.history"].entries
    assert after_all(values, entry.token) == {}


def test_an_edit_that_was_refused_is_told(values: dict[str, Any]) -> None:
    a_look(values)
    turns, history = values["turns"], values["results.history"]
    turns.ask()
    [entry] = history.entries
    told = handlers.failed(turns, history, entry.token)
    assert told["status"] == text.NOT_MADE
    assert told["results.shown"] == entry.token
    turns.stop()  # which Gradio takes for a failure too
    assert handlers.failed(turns, history, entry.token) == {"status": text.STOPPED}


# The advice and the preview

EVERYTHING = np.ones((64, 80), np.bool_)
AWAY = Placement(dx=500)
NOTHING: dict[str, Any] = {"source": None, "mask": None, "arrows": ()}
MISSING: list[tuple[str, dict[str, Any], str]] = [
    ("drag", NOTHING, text.NO_PICTURE),
    ("drag", {"mask": None}, "The mask is empty"),
    ("drag", {"arrows": ()}, "There are no points"),
    ("drag", {"arrows": [((2, 2), (30, 28))]}, "Point 1 starts outside the mask"),
    ("drag", {"arrows": [((30, 28), (30, 28))]}, "Point 1 starts and ends at the same place"),
    ("move", {"mask": None}, "The mask is empty"),
    ("move", {"move": Placement()}, "The object stays where it is"),
    ("move", {"move": AWAY}, "The object leaves the picture entirely"),
    ("paste", {"reference": None, "reference_mask": None}, text.NO_REFERENCE),
    ("paste", {"reference_mask": None}, "The reference mask is empty"),
    ("paste", {"paste": AWAY}, "The object leaves the picture entirely"),
    ("appearance", {"reference": None, "reference_mask": None}, text.NO_REFERENCE),
    ("appearance", {"mask": None}, "The mask is empty"),
    ("appearance", {"reference_mask": None}, "The reference mask is empty"),
    ("face", {"reference": None, "reference_mask": None}, text.NO_REFERENCE),
]


@pytest.mark.parametrize(("tool", "drawn", "words"), MISSING)
def test_the_advice_says_what_is_missing(
    tool: str, drawn: dict[str, Any], words: str, values: dict[str, Any]
) -> None:
    told = advise(values, tool=tool, **drawn)
    assert told["status"].startswith(words)
    assert told["canvas"].wire()["patch"] == {"preview": None}
    editor = FakeEditor()
    assert statuses(editor, on_canvas(values, tool=tool, **drawn)) == [told["status"]]
    assert editor.runs == []


def test_no_part_of_a_face_is_told(values: dict[str, Any]) -> None:
    assert "groups must be" in advise(values | {"face.groups": []}, tool="face")["status"]


def test_a_picture_without_a_face_is_told(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> Any:
        raise NoFaceFound("There is no face.")

    monkeypatch.setattr(FakeEditor, "find_landmarks", none)
    assert advise(values, tool="face")["status"] == "There is no face."


def test_an_untouched_canvas_is_told(values: dict[str, Any]) -> None:
    told = handlers.advise(models_of(FakeEditor()), {**values, "canvas": None})
    assert told["status"] == text.NO_PICTURE


@pytest.mark.parametrize(
    ("tool", "drawn", "words"),
    [
        ("drag", {"arrows": [((30, 28), (79, 60))]}, "Point 1 ends outside the mask"),
        ("move", {"move": Placement(dx=45)}, "Part of the object leaves the picture"),
        ("paste", {"paste": Placement(dx=45)}, "Part of the object leaves the picture"),
    ],
)
def test_the_advice_warns(
    tool: str, drawn: dict[str, Any], words: str, values: dict[str, Any]
) -> None:
    told = advise(values, tool=tool, **drawn)
    assert told["status"].startswith(f"{text.READY} {words}")
    assert told["canvas"].preview is not None


def test_late_advice_on_what_was_edited_leaves_the_edits_own_words(values: dict[str, Any]) -> None:
    shown = {}
    for updates in (*run(FakeEditor(), values), advise(values)):
        shown |= updates
    assert shown["status"] == DONE
    assert shown["canvas"].preview is not None
    before = {**values, "canvas": values["canvas"].model_copy(update={"rev": 6, "arrows": []})}
    assert "status" not in advise(before)


def test_advice_on_what_was_marked_after_an_edit_is_told(values: dict[str, Any]) -> None:
    values = on_canvas(values, tool="face")
    run(FakeEditor(), values)
    assert "groups must be" in advise(values | {"face.groups": []})["status"]
    assert advise(values)["status"] == text.READY  # the same as was edited, but set anew
    run(FakeEditor(), values)
    later = {**values, "canvas": values["canvas"].model_copy(update={"rev": 8})}
    assert advise(later)["status"] == text.READY


def test_an_edit_that_does_not_begin_does_not_silence_advice(values: dict[str, Any]) -> None:
    list(handlers.edit(models_of(FakeEditor()), {**values, "turn": -5}))
    assert advise(values)["status"] == text.READY


@pytest.mark.parametrize("tool", TOOLS)
def test_the_preview_is_of_the_state_that_was_sent(
    tool: str, values: dict[str, Any], image: Image.Image
) -> None:
    laughing = FakeEditor().find_landmarks(image)
    laughing[55:60, 1] += 6
    told = advise(values, tool=tool, reference_landmarks=laughing)
    assert told["status"] == text.READY
    assert told["canvas"].rev == values["canvas"].rev
    assert not np.array_equal(np.asarray(told["canvas"].preview), np.asarray(image))


def test_the_preview_of_a_large_picture_is_small(values: dict[str, Any]) -> None:
    large = Image.effect_noise((1600, 1200), 40).convert("RGB")
    inside = np.zeros((1200, 1600), np.bool_)
    inside[400:800, 500:900] = True
    told = advise(values, source=large, mask=inside, arrows=[((600, 600), (650, 600))])
    assert told["canvas"].preview.size == (512, 384)


def test_words_for_a_second_picture_are_asked_for_where_they_are_used(
    values: dict[str, Any],
) -> None:
    asked = {tool: advise(values, tool=tool)["reference_prompt"]["visible"] for tool in TOOLS}
    assert [tool for tool, visible in asked.items() if visible is True] == ["paste", "appearance"]
    assert set(asked.values()) == {True, "hidden"}


# Recipes


@pytest.fixture
def recipe(values: dict[str, Any]) -> str:
    """The recipe of a move."""
    run(FakeEditor(), on_canvas(values, tool="move") | {"settings.seed": 9})
    return values["results.history"].entries[0].recipe


def test_a_recipe_is_put_back(recipe: str, values: dict[str, Any]) -> None:
    back = handlers.restore(models_of(FakeEditor()), recipe)
    assert back["tabs"]["selected"] == "move"
    assert back["canvas"].move == Placement(dx=8, dy=2)
    assert (back["prompt"], back["settings.seed"], back["model"]) == ("a cup", 9, "fake")
    assert back.keys() <= {*values, "tabs"}


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the page warns of."""
    told: list[str] = []
    monkeypatch.setattr(handlers.gr, "Warning", told.append)
    return told


def test_the_model_of_a_stranger_is_not_taken(recipe: str, warned: list[str]) -> None:
    other = FakeEditor(model_name="mine")
    assert "model" not in handlers.restore(models_of(other), recipe)
    assert len(warned) == 1 and "the model fake, which is not offered here" in warned[0]


def changed(recipe: str, folder: Path, **changes: Any) -> str:
    """A recipe with other fields."""
    data = json.loads(Path(recipe).read_text("utf-8"))
    (folder / "changed.json").write_text(json.dumps({**data, **changes}), "utf-8")
    return str(folder / "changed.json")


def test_another_vae_and_other_lora_files_are_told(
    recipe: str, warned: list[str], tmp_path: Path
) -> None:
    parts: dict[str, Any] = {"vae": "sharp", "loras": ["a:0.5", "b"]}
    other = changed(recipe, tmp_path, **parts)
    assert handlers.restore(models_of(FakeEditor()), other)["model"] == "fake"
    assert len(warned) == 1
    assert "with sharp and the LoRA files a:0.5, b" in warned[0]
    assert "here with its own VAE and no LoRA files" in warned[0]
    same = FakeEditor(vae="sharp", loras=("a:0.5", "b"))
    handlers.restore(models_of(same), other)
    handlers.restore(models_of(FakeEditor()), recipe)
    assert len(warned) == 1


def test_a_warning_is_never_markup_and_never_long(
    recipe: str, warned: list[str], tmp_path: Path
) -> None:
    hostile = changed(recipe, tmp_path, model="<img src=x onerror=alert(1)>" * 1000)
    handlers.restore(models_of(FakeEditor()), hostile)
    assert "<" not in warned[0] and "&lt;img" in warned[0] and len(warned[0]) < 400


def test_a_picture_from_the_page_is_said_to_hold_no_recipe(
    values: dict[str, Any],
) -> None:
    run(FakeEditor(), values)
    [entry] = values["results.history"].entries
    told = handlers.restore(models_of(FakeEditor()), entry.picture)
    assert told.keys() == {"status"} and "no picture downloaded from the page" in told["status"]


@pytest.mark.parametrize("content", ["", "{}", "[1, 2", "\0"])
def test_what_is_no_recipe_is_told(content: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(content)
    back = handlers.restore(models_of(FakeEditor()), str(tmp_path / "recipe.json"))
    assert back.keys() == {"status"} and back["status"].endswith(".")
