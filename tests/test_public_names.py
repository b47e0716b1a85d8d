"""The public surface is fixed: other people's scripts rely on it."""

import inspect

import pytest

import diffeditor
from diffeditor import errors

ENGINE = {
    "Editor",
    "PRESETS",
    "Preset",
    "Recipe",
    "Result",
    "Segmenter",
    "Step",
    "changed_preset",
    "fit_onto",
    "fit_template",
    "instant_preview",
    "load_editor",
    "load_image",
    "load_landmark_finder",
    "load_segmenter",
    "models_here",
}
TASK_CLASSES = {"Move", "Drag", "Face", "Paste", "Appearance", "TASKS"}
ERRORS = {
    name
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, errors.DiffEditorError)
}
PRESET_NAMES = {
    "diffeditor",
    "dragondiffusion",
    "release",
    "no-sketch",
    "no-image-prompt",
    "no-regional-sde",
    "no-regional-guidance",
    "no-time-travel",
    "random-time-travel",
}


def test_public_names_are_exactly_these() -> None:
    assert set(diffeditor.__all__) - {"__version__"} == ENGINE | TASK_CLASSES | ERRORS


def test_names_are_listed_once_and_exist() -> None:
    assert len(diffeditor.__all__) == len(set(diffeditor.__all__))
    assert [name for name in diffeditor.__all__ if not hasattr(diffeditor, name)] == []


def test_tasks_are_reached_by_name() -> None:
    assert {name: task.__name__.lower() for name, task in diffeditor.TASKS.items()} == {
        name: name for name in ("move", "drag", "face", "paste", "appearance")
    }


def test_presets_of_the_papers_are_there() -> None:
    assert PRESET_NAMES <= diffeditor.PRESETS.keys()


@pytest.mark.parametrize(
    ("task", "fields"),
    [
        ("Move", ["image", "mask", "shift", "scale", "fill_mask", "prompt"]),
        ("Drag", ["image", "mask", "points", "prompt"]),
        (
            "Face",
            [
                "image",
                "reference",
                "target_landmarks",
                "source_landmarks",
                "groups",
                "strength",
                "prompt",
            ],
        ),
        (
            "Paste",
            [
                "image",
                "reference",
                "reference_mask",
                "shift",
                "scale",
                "prompt",
                "reference_prompt",
            ],
        ),
        (
            "Appearance",
            ["image", "mask", "reference", "reference_mask", "prompt", "reference_prompt"],
        ),
    ],
)
def test_fields_of_a_task(task: str, fields: list[str]) -> None:
    parameters = inspect.signature(getattr(diffeditor, task)).parameters
    assert list(parameters) == fields
    assert all(value.kind is value.KEYWORD_ONLY for value in parameters.values())


def test_defaults_of_an_edit() -> None:
    load = inspect.signature(diffeditor.load_editor).parameters
    assert (load["model"].default, load["device"].default) == ("embedded", "auto")
    for call in (diffeditor.Editor.edit, diffeditor.Editor.stream):
        parameters = inspect.signature(call).parameters
        assert (parameters["preset"].default, parameters["seed"].default) == ("diffeditor", 0)
