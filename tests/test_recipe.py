import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from diffeditor.config import PRESETS, StepWindow
from diffeditor.errors import DiffEditorError, InvalidEdit, InvalidSetting
from diffeditor.images import load_image
from diffeditor.recipe import MAX_CHUNK, Recipe, changed_preset, save_result
from diffeditor.recipe_json import CHUNK
from diffeditor.tasks import TASKS, Appearance, Drag, Face, Move, Paste, Task

HEIGHT, WIDTH = 40, 48


def picture(seed: int = 0) -> Image.Image:
    levels = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return Image.fromarray(levels)


def mask() -> np.ndarray:
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[10:25, 12:30] = True
    return inside


def landmarks() -> np.ndarray:
    return np.random.default_rng(2).uniform(5, 35, (68, 2))


TASK_EXAMPLES = [
    Move(image=picture(), mask=mask(), shift=(4.5, -3), scale=1.2, fill_mask=~mask(), prompt="ö"),
    Move(image=picture(), mask=mask(), shift=(1, 2)),
    Drag(image=picture(), mask=mask(), points=[((14, 12.25), (20, 12)), ((16, 20), (9, 9))]),
    Face(image=picture(), reference=picture(1), groups=("eyes", "mouth"), strength=0.7),
    Face(image=picture(), target_landmarks=landmarks(), source_landmarks=landmarks() + 1),
    Paste(image=picture(), reference=picture(1), reference_mask=mask(), shift=(3, 0), prompt="a"),
    Appearance(image=picture(), mask=mask(), reference=picture(1), reference_mask=mask()),
]


def assert_same(first: Task, second: Task) -> None:
    assert type(first) is type(second)
    for item in fields(first):
        one, other = getattr(first, item.name), getattr(second, item.name)
        if isinstance(one, Image.Image | np.ndarray):
            assert np.array_equal(np.asarray(one), np.asarray(other)), item.name
        else:
            assert one == other, item.name


@dataclass
class Edited:
    image: Image.Image
    recipe: Recipe


@pytest.fixture
def move() -> Move:
    return Move(image=picture(), mask=mask(), shift=(4, 0))


@pytest.fixture
def data(move) -> dict[str, Any]:
    """A valid recipe as parsed JSON, to be spoiled."""
    return Recipe.from_task(move).to_dict()


# There and back


@pytest.mark.parametrize("task", TASK_EXAMPLES, ids=lambda t: t.name)
@pytest.mark.parametrize("embed", [True, False])
def test_a_saved_recipe_gives_the_same_edit(tmp_path, task, embed):
    preset = replace(PRESETS["dragondiffusion"], steps=20, energy_scale=1.5)
    path = tmp_path / "edit.json"
    Recipe.from_task(task, preset, 7, "some/model").save(path, embed=embed)
    loaded = Recipe.load(path)
    assert_same(loaded.task(), task)
    assert loaded.preset() == preset
    assert (loaded.seed, loaded.model) == (7, "some/model")


@pytest.mark.parametrize("task", TASK_EXAMPLES, ids=lambda t: t.name)
def test_a_result_holds_its_recipe(tmp_path, task):
    result = Edited(picture(9), Recipe.from_task(task, "release", 3))
    assert save_result(result, tmp_path / "result.png")
    loaded = Recipe.load(str(tmp_path / "result.png"))
    assert_same(loaded.task(), task)
    assert loaded.preset() == PRESETS["release"]
    assert np.array_equal(np.asarray(load_image(tmp_path / "result.png")), np.asarray(picture(9)))


def test_every_task_has_an_example():
    assert {task.name for task in TASK_EXAMPLES} == TASKS.keys()


def test_json_text_and_objects_are_the_same_recipe(move):
    recipe = Recipe.from_task(move, seed=5)
    assert json.loads(recipe.to_json()) == recipe.to_dict()
    again = Recipe.load(recipe.to_dict())
    assert again.to_json() == recipe.to_json()


@pytest.mark.parametrize("name", PRESETS)
def test_named_presets_stay_names(move, name):
    stored = Recipe.from_task(move, name).to_dict()
    assert stored["preset"] == name
    assert Recipe.load(stored).preset() == PRESETS[name]


def test_own_presets_are_stored_as_changes(move):
    preset = replace(
        PRESETS["no-regional-sde"],
        sde=StepWindow(start=0.25, every=3),
        guide=(StepWindow(stop=0.5),),
        travel_by="noise",
        w_edit=2.0,
    )
    recipe = Recipe.from_task(move, preset)
    stored = json.loads(recipe.to_json())["preset"]
    assert stored["w_edit"] == 2.0
    assert stored["sde"]["every"] == 3
    assert "steps" not in stored
    assert Recipe.load(recipe.to_dict()).preset() == preset


def test_a_recipe_keeps_the_vae_and_the_loras_of_its_model(tmp_path, move):
    loras = ["style.safetensors:0.6", "faces.safetensors"]
    recipe = Recipe.from_task(move, model="some/model", vae="some/vae", loras=loras)
    assert recipe.to_dict()["loras"] == loras
    recipe.save(tmp_path / "edit.json")
    loaded = Recipe.load(tmp_path / "edit.json")
    assert (loaded.model, loaded.vae, list(loaded.loras)) == ("some/model", "some/vae", loras)


def test_recipes_without_a_vae_and_loras_are_as_they_were(data):
    assert not {"vae", "loras"} & data.keys()
    loaded = Recipe.load(data)
    assert (loaded.vae, loaded.loras) == (None, ())


def test_saving_beside_writes_pictures_that_can_be_moved_along(tmp_path, move):
    folder = tmp_path / "a"
    folder.mkdir()
    Recipe.from_task(move).save(folder / "edit.json", embed=False)
    assert {p.name for p in folder.iterdir()} == {
        "edit.json",
        "edit-image.png",
        "edit-mask.png",
    }
    assert json.loads((folder / "edit.json").read_text())["inputs"]["image"] == "edit-image.png"
    folder.rename(tmp_path / "b")
    assert_same(Recipe.load(tmp_path / "b" / "edit.json").task(), move)


def test_saving_beside_overwrites_no_other_picture(tmp_path, move):
    other = Image.new("1", (3, 3))
    other.save(tmp_path / "edit-mask.png")
    for _ in range(2):  # saved again, its own pictures are written over
        Recipe.from_task(move).save(tmp_path / "edit.json", embed=False)
    assert {p.name for p in tmp_path.iterdir()} == {
        "edit.json",
        "edit-image.png",
        "edit-mask.png",
        "edit-mask-2.png",
    }
    with Image.open(tmp_path / "edit-mask.png") as kept:
        assert kept.size == (3, 3)
    assert_same(Recipe.load(tmp_path / "edit.json").task(), move)


def test_a_recipe_may_be_written_by_hand(tmp_path):
    picture().save(tmp_path / "photo.jpg", quality=100)
    (tmp_path / "masks").mkdir()
    Image.fromarray(mask()).save(tmp_path / "masks" / "ball.png")
    inputs = {"image": "photo.jpg", "mask": "masks/ball.png", "shift": [4, 0], "prompt": "data:x"}
    path = tmp_path / "edit.json"
    path.write_text(json.dumps({"version": 1, "task": "move", "inputs": inputs}))
    recipe = Recipe.load(path)
    assert (recipe.seed, recipe.model, recipe.preset()) == (0, "embedded", PRESETS["diffeditor"])
    assert recipe.task().prompt == "data:x"
    assert_same(
        recipe.task(),
        Move(image=tmp_path / "photo.jpg", mask=mask(), shift=(4, 0), prompt="data:x"),
    )


# The PNG of a result


def test_a_result_can_be_saved_without_its_recipe(tmp_path, move):
    result = Edited(picture(), Recipe.from_task(move))
    assert not save_result(result, tmp_path / "a.png", recipe=False)
    with pytest.raises(InvalidSetting, match="holds no recipe"):
        Recipe.load(tmp_path / "a.png")


def test_a_recipe_that_is_too_large_is_left_out(tmp_path, move, monkeypatch):
    monkeypatch.setattr("diffeditor.recipe.MAX_CHUNK", 1000)
    assert not save_result(Edited(picture(), Recipe.from_task(move)), tmp_path / "a.png")
    assert load_image(tmp_path / "a.png").size == (WIDTH, HEIGHT)


def test_a_picture_with_the_largest_recipe_can_still_be_opened(tmp_path):
    class Large:
        image = picture()

        class recipe:
            @staticmethod
            def to_json() -> str:
                return " " * MAX_CHUNK

    assert save_result(Large(), tmp_path / "a.png")
    assert load_image(tmp_path / "a.png").size == (WIDTH, HEIGHT)
    with Image.open(tmp_path / "a.png") as opened:
        assert len(opened.text[CHUNK]) == MAX_CHUNK


@pytest.mark.parametrize(
    "name", ["a.jpg", "a", "missing/a.png", "folder.png", "x" * 300 + ".png", "\0.png"]
)
def test_results_go_to_png_files_in_existing_folders(tmp_path, move, name):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InvalidSetting, match=r"end in \.png|cannot be written"):
        save_result(Edited(picture(), Recipe.from_task(move)), tmp_path / name)


@pytest.mark.parametrize("embed", [True, False])
def test_recipes_go_to_existing_folders(tmp_path, move, embed):
    with pytest.raises(InvalidSetting, match="cannot be written"):
        Recipe.from_task(move).save(tmp_path / "missing" / "a.json", embed=embed)


def test_an_edit_that_is_wrong_is_not_blamed_on_the_path(tmp_path, data):
    spoiled = Recipe.load(data | {"inputs": data["inputs"] | {"shift": [1000, 0]}})
    with pytest.raises(InvalidEdit, match="leaves the picture"):
        spoiled.save(tmp_path / "a.json")


# What is refused


SPOILED = [
    ({"version": 2}, "version 2"),
    ({"version": "1"}, "version '1'"),
    ({"task": "fly"}, "no task 'fly'"),
    ({"task": None}, "no task None"),
    ({"task": ["move"]}, "no task"),
    ({"extra": 1}, "cannot have 'extra'"),
    ({"inputs": None}, "inputs must be an object"),
    ({"inputs": [1]}, "inputs must be an object"),
    ({"inputs": {}}, "lack 'image'"),
    ({"seed": -1}, "seed must be a whole number"),
    ({"seed": 1.5}, "seed must be"),
    ({"seed": True}, "seed must be"),
    ({"seed": 2**63}, "seed must be"),
    ({"seed": "0"}, "seed must be"),
    ({"model": ""}, "model must be"),
    ({"model": 3}, "model must be"),
    ({"vae": ""}, "vae must be the name of a VAE, not ''"),
    ({"vae": 3}, "vae must be"),
    ({"loras": "style.safetensors"}, "loras must be a list of LoRA files"),
    ({"loras": {"style.safetensors": 1}}, "loras must be a list"),
    ({"loras": ["style.safetensors", 3]}, "loras must be a list"),
    ({"loras": [""]}, "loras must be a list"),
    ({"preset": "best"}, "no preset 'best'"),
    ({"preset": 3}, "preset must be an object"),
    ({"preset": {"base": "best"}}, "no preset 'best'"),
    ({"preset": {"base": ["diffeditor"]}}, "as base"),
    ({"preset": {"step": 20}}, "cannot have 'step'"),
    ({"preset": {"steps": 1}}, "steps must be from"),
    ({"preset": {"steps": 20.0}}, "steps must be a whole number"),
    ({"preset": {"steps": True}}, "steps must be a whole number"),
    ({"preset": {"regional_guidance": "yes"}}, "regional_guidance must be true or false"),
    ({"preset": {"energy_scale": "2"}}, "energy_scale must be a number"),
    ({"preset": {"energy_scale": -1}}, "energy_scale must be a number from 0"),
    ({"preset": {"travel_by": "train"}}, "travel_by must be 'inversion' or 'noise'"),
    ({"preset": {"sde": [0, 1]}}, "sde must be an object"),
    ({"preset": {"sde": {"begin": 0}}}, "Sde cannot have 'begin'"),
    ({"preset": {"sde": {"start": 2}}}, "fractions from 0 to 1"),
    ({"preset": {"guide": {"start": 0}}}, "guide must be a list"),
    ({"preset": {"guide": [1]}}, "guide must be an object"),
]


@pytest.mark.parametrize(("change", "message"), SPOILED)
def test_malformed_recipes_are_refused(data, change, message):
    with pytest.raises(InvalidSetting, match=message) as caught:
        Recipe.load(data | change)
    assert str(caught.value).endswith(".")


SPOILED_INPUTS = [
    ({"speed": 3}, "cannot have 'speed'"),
    ({"image": None}, "lack 'image'"),
    ({"image": 3}, "image must be a data URL or a path"),
    ({"image": ["a.png"]}, "image must be a data URL or a path"),
    ({"image": "photo.png"}, "the recipe is not a file"),
    ({"image": "data:image/png;base64,####"}, "image must be embedded as"),
    ({"image": "data:image/png;base64,aaa"}, "image must be embedded as"),
    ({"image": "data:text/html;base64,aaaa"}, "image must be embedded as"),
    ({"image": "data:image/png;base64,aaaa"}, "not a picture"),
    ({"mask": "data:image/png;base64,"}, "not a picture"),
    ({"shift": "far"}, "shift must be two numbers"),
    ({"shift": {"dx": 1}}, "shift must be two numbers"),
    ({"shift": [1, 2, 3]}, "shift must be two numbers"),
    ({"shift": [1e999, 0]}, "finite"),
    ({"shift": [10**400, 0]}, "must be two numbers"),
    ({"shift": [1000, 0]}, "leaves the picture"),
    ({"scale": {}}, "scale must be a number"),
    ({"scale": 0}, "scale must be from"),
    ({"prompt": 5}, "prompt must be text"),
]


@pytest.mark.parametrize(("change", "message"), SPOILED_INPUTS)
def test_malformed_inputs_are_refused(data, change, message):
    with pytest.raises(InvalidEdit, match=message) as caught:
        Recipe.load(data | {"inputs": data["inputs"] | change}).task()
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"3", b"null", b"\xff\xfe", b"[" * 100_000, b'{"version": NaN}']
    + [b'{"version": ' + b"9" * 5000 + b"}", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n\0\0\0"],
    ids=lambda t: repr(t[:20]),
)
def test_files_that_are_no_recipes_are_refused(tmp_path, text):
    path = tmp_path / "edit.json"
    path.write_bytes(text)
    with pytest.raises(InvalidSetting, match=r"\.$"):
        Recipe.load(path)


def test_missing_files_folders_and_huge_files_are_refused(tmp_path, monkeypatch):
    for path in (tmp_path, tmp_path / "missing.json", "nul\0byte"):
        with pytest.raises(InvalidSetting, match="is not there"):
            Recipe.load(path)
    monkeypatch.setattr("diffeditor.recipe_json.MAX_FILE", 10)
    (tmp_path / "a.json").write_text(" " * 11)
    with pytest.raises(InvalidSetting, match="too large"):
        Recipe.load(tmp_path / "a.json")


@pytest.fixture
def hand_written(tmp_path) -> Path:
    """A folder with a recipe inside another folder that holds a secret picture."""
    folder = tmp_path / "recipes"
    folder.mkdir()
    picture().save(tmp_path / "secret.png")
    picture().save(folder / "own.png")
    Image.fromarray(mask()).save(folder / "mask.png")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "up").symlink_to(tmp_path)
    return folder


@pytest.mark.parametrize(
    "place",
    ["../secret.png", "up/secret.png", "link.png", "{outer}/secret.png", "x/../own.png"]
    + ["{outer}/recipes/own.png", "..\\secret.png", "C:\\secret.png", "\\\\host\\a.png"]
    + ["file:///etc/passwd", "~/secret.png", "nul\0byte", "loop.png", "own.png/x", "", "."],
)
def test_pictures_outside_the_folder_are_never_read(hand_written, place):
    inputs = {
        "image": place.format(outer=hand_written.parent),
        "mask": "mask.png",
        "shift": [4, 0],
    }
    path = hand_written / "edit.json"
    path.write_text(json.dumps({"version": 1, "task": "move", "inputs": inputs}))
    with pytest.raises(InvalidSetting, match="own folder|is not there|cannot be read"):
        Recipe.load(path)
    path.write_text(path.read_text().replace(json.dumps(inputs["image"]), '"own.png"'))
    assert Recipe.load(path).task()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(key=st.sampled_from(["version", "task", "model", "preset", "seed"]), value=json_values)
def test_any_value_gives_a_recipe_or_our_own_error(key, value):
    stored = Recipe.from_task(TASK_EXAMPLES[0]).to_dict()
    _load_or_refuse(stored | {key: value})


@given(task=st.sampled_from(TASK_EXAMPLES), data=st.data(), value=json_values)
def test_any_input_gives_a_task_or_our_own_error(task, data, value):
    stored = Recipe.from_task(task).to_dict()
    key = data.draw(st.sampled_from([item.name for item in fields(task)]))
    _load_or_refuse(stored | {"inputs": stored["inputs"] | {key: value}})


@given(key=st.sampled_from([item.name for item in fields(PRESETS["release"])]), value=json_values)
def test_any_preset_value_gives_a_preset_or_our_own_error(key, value):
    try:
        changed_preset(PRESETS["diffeditor"], {key: value})
    except DiffEditorError as error:
        assert str(error).endswith(".")


def _load_or_refuse(stored: dict[str, Any]) -> None:
    try:
        Recipe.load(stored).task()
    except DiffEditorError as error:
        assert str(error).endswith(".")
