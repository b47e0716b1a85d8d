"""Recipes: what a result says of itself, put back on the page, leads to the same edit."""

import copy
import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from diffeditor import PRESETS, TASKS, DiffEditorError, Face, Recipe
from diffeditor.errors import InvalidSetting
from diffeditor.worlds import make_case
from tests.ui.conftest import on_canvas
from ui import recipes, settings
from ui.canvas.value import MAX_ARROWS
from ui.state import read
from ui.tabs import TOOLS

SIZE = 96
PRESET = replace(PRESETS["release"], steps=20, eta_in=0.5)


def task_of(name: str) -> Any:
    """A task with every field set."""
    task = make_case(name, seed=3, size=SIZE).task
    given: dict[str, Any] = {"prompt": "a <b>cup</b>"}
    if hasattr(task, "reference_prompt"):
        given["reference_prompt"] = "a jug"
    if name == "move":
        given |= {"fill_mask": np.eye(SIZE, dtype=bool), "scale": 1.25}
    if name == "face":
        given |= {"groups": ("mouth", "eyes"), "strength": 1.2}
    return replace(task, **given)


@pytest.fixture
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return Recipe.from_task(task_of(request.param), PRESET, seed=11, model="mine")


UNMARKED: dict[str, Any] = {
    **dict.fromkeys(("mask", "fill_mask", "reference", "reference_mask")),
    **dict.fromkeys(("landmarks", "reference_landmarks")),
    "arrows": (),
}
"""What the browser makes of new pictures, but for what is told of them."""


def stored(recipe: Recipe, folder: Path) -> str:
    recipe.save(folder / "recipe.json")
    return str(folder / "recipe.json")


def on_page(restored: recipes.Restored, values: dict[str, Any]) -> dict[str, Any]:
    """The page's values after everything was put back."""
    plain = {
        name: update["value"] if isinstance(update, dict) else update
        for name, update in restored.updates.items()
    }
    marks = {name: getattr(restored.patch, name) for name in restored.patch.model_fields_set}
    return on_canvas({**values, **plain}, **{**UNMARKED, **marks})


def found(_portrait: Image.Image) -> np.ndarray:
    pytest.fail("The recipe had landmarks.")


@pytest.mark.parametrize("recipe", TASKS, indirect=True)
def test_a_restored_edit_is_the_same(
    recipe: Recipe, values: dict[str, Any], tmp_path: Path
) -> None:
    restored = recipes.restore(stored(recipe, tmp_path))
    page = on_page(restored, values)
    assert settings.read(page) == settings.Chosen(preset=PRESET, seed=11, variations=1)
    assert (restored.tool, restored.model) == (recipe.task_name, "mine")
    before, after = recipe.task(), TOOLS[restored.tool].task(read(page, found, None))
    assert type(before) is type(after)
    for field in fields(before):
        old, new = getattr(before, field.name), getattr(after, field.name)
        if isinstance(old, Image.Image):
            assert old.tobytes() == new.tobytes()
        elif field.name == "points" or field.name.endswith("landmarks"):
            np.testing.assert_allclose(old, new, atol=0.01)
        else:
            assert np.array_equal(old, new), field.name


def test_a_result_with_its_recipe_inside_will_do(tmp_path: Path) -> None:
    from diffeditor.recipe import save_result

    recipe = Recipe.from_task(task_of("move"))
    image = Image.new("RGB", (SIZE, SIZE))
    result = type("Edited", (), {"image": image, "recipe": recipe})()
    save_result(result, tmp_path / "result.png")
    assert recipes.restore(str(tmp_path / "result.png")).tool == "move"


def test_a_reference_portrait_is_put_back(tmp_path: Path) -> None:
    task = task_of("face")
    portrait = task.image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    recipe = Recipe.from_task(Face(image=task.image, reference=portrait))
    patch = recipes.restore(stored(recipe, tmp_path)).patch
    assert isinstance(patch.reference, Image.Image)
    assert patch.reference.tobytes() == portrait.tobytes()
    assert not {"landmarks", "reference_landmarks"} & patch.model_fields_set


def refused(tmp_path: Path, content: str | bytes) -> str:
    """The sentence about a file with this content."""
    path = tmp_path / "recipe.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DiffEditorError) as caught:
        recipes.restore(str(path))
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence
    return sentence


MOVE = Recipe.from_task(task_of("move")).to_dict()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "must be an object"),
        ("{}", "version None"),
        (json.dumps({**MOVE, "more": 1}), "cannot have 'more'"),
        (json.dumps({**MOVE, "task": "steal"}), "no task 'steal'"),
        (json.dumps({**MOVE, "seed": 2**60}), "Seed must be a whole number"),
        (json.dumps({**MOVE, "preset": {"guide": [{}] * 9}}), "room for 3 windows"),
    ],
)
def test_what_is_no_recipe_is_said(content: Any, words: str, tmp_path: Path) -> None:
    assert words in refused(tmp_path, content)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image": "/etc/passwd"}, "must lie in the recipe's own folder"),
        ({"image": "../../secret.png"}, "must lie in the recipe's own folder"),
        ({"image": "https://example.org/a.png"}, "is not there"),
        ({"image": "data:image/png;base64,AAAA"}, "not a picture that can be read"),
        ({"mask": None}, "lack 'mask'"),
        ({"shift": [1e9, 0]}, "."),
        ({"shift": "far"}, "shift must be two numbers"),
        ({"prompt": {"<b>": 1}}, "prompt"),
    ],
)
def test_hostile_inputs_are_refused(changes: Any, words: str, tmp_path: Path) -> None:
    inputs = {name: value for name, value in {**MOVE["inputs"], **changes}.items() if value}
    assert words in refused(tmp_path, json.dumps({**MOVE, "inputs": inputs}))


def test_as_many_arrows_as_the_engine_takes_are_drawn(tmp_path: Path) -> None:
    drag = task_of("drag")
    full = replace(drag, points=[drag.points[0]] * MAX_ARROWS)
    patch = recipes.restore(stored(Recipe.from_task(full), tmp_path)).patch
    assert len(patch.arrows) == MAX_ARROWS
    data = Recipe.from_task(full).to_dict()
    data["inputs"]["points"].append(data["inputs"]["points"][0])
    assert "at most 100" in refused(tmp_path, json.dumps(data))


def test_no_file_is_no_recipe() -> None:
    with pytest.raises(InvalidSetting, match="Choose the file of a recipe"):
        recipes.restore(None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
PLACES = [
    *((key,) for key in MOVE),
    *(("inputs", key) for key in MOVE["inputs"]),
    *(("preset", key) for key in ("base", "steps", "sde", "guide", "detail", "w_edit")),
]


@given(place=st.sampled_from(PLACES), value=JSON)
def test_whatever_a_recipe_holds_is_shown_or_refused(
    place: tuple[str, ...], value: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    hostile = copy.deepcopy({**MOVE, "preset": {"base": "diffeditor"}})
    inner = hostile[place[0]] if len(place) == 2 else hostile
    inner[place[-1]] = value
    path = tmp_path_factory.mktemp("hostile") / "recipe.json"
    path.write_text(json.dumps(hostile), encoding="utf-8")
    try:
        assert recipes.restore(str(path)).tool == "move"
    except DiffEditorError as error:
        assert str(error).endswith(".")
