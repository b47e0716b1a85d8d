from typing import Any

import gradio as gr
import pytest

from diffeditor.errors import InvalidEdit
from tests.ui.conftest import on_canvas
from tests.ui.fakes import FakeEditor
from ui import text
from ui.state import by_component, read

FOUND = FakeEditor().find_landmarks


def test_the_inputs_of_a_tool_have_its_own_controls_only(values: dict[str, Any]) -> None:
    inputs = read(on_canvas(values, tool="face"), FOUND)
    assert inputs.controls == {"groups": ["mouth", "eyes"], "strength": 100}
    assert (inputs.prompt, inputs.reference_prompt) == ("a cup", "a jug")
    assert read(values, FOUND).controls == {}


def test_a_limit_reduces_the_pictures(values: dict[str, Any]) -> None:
    inputs = read(values, FOUND, limit=40)
    assert inputs.source.image.size == (40, 32)
    assert inputs.edit.arrows == (((15, 14), (17, 14)),)


@pytest.mark.parametrize("empty", [None, {}])
def test_without_a_picture_there_is_nothing_to_edit(empty: Any, values: dict[str, Any]) -> None:
    nothing = {"source": None, "mask": None, "arrows": ()}
    untouched = {**values, "canvas": None} if empty is None else on_canvas(values, **nothing)
    with pytest.raises(InvalidEdit, match=text.NO_PICTURE):
        _ = read(untouched, FOUND).source


def test_a_missing_second_picture_is_told_when_it_is_asked_for(values: dict[str, Any]) -> None:
    inputs = read(on_canvas(values, reference=None, reference_mask=None), FOUND)
    with pytest.raises(InvalidEdit, match=text.NO_REFERENCE):
        _ = inputs.reference


def test_empty_boxes_are_empty_words(values: dict[str, Any]) -> None:
    inputs = read({**values, "prompt": None, "reference_prompt": None}, FOUND)
    assert (inputs.prompt, inputs.reference_prompt) == ("", "")


def test_updates_go_to_their_components_and_none_skip_all() -> None:
    assert by_component({"a": 1, "b": 2}, {"b": "new"}) == {2: "new"}
    assert by_component({"a": 1, "b": 2}, {}) == gr.skip()
