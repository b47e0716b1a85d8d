from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from diffeditor import instant_preview
from tests.ui.conftest import on_canvas
from tests.ui.fakes import FakeEditor
from ui import examples
from ui.state import read
from ui.tabs import TOOLS

EXAMPLES = [(tool, index) for tool in TOOLS for index in range(len(examples.load(tool)))]
LARGEST = 64 * 1024
"""Bytes of a file that ships with the project for show only."""


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_has_two_examples_or_more(tool: str) -> None:
    assert len(examples.load(tool)) >= 2
    assert {example.tool for example in examples.load(tool)} == {tool}


@pytest.mark.parametrize(("tool", "index"), EXAMPLES)
def test_an_example_is_an_edit_that_can_be_run(
    tool: str, index: int, values: dict[str, Any]
) -> None:
    filled = examples.fill(tool, index)
    patch = filled["canvas"]
    drawn = {name: served(getattr(patch, name)) for name in patch.model_fields_set}
    inputs = read(on_canvas(values | filled | {"canvas": values["canvas"]}, **drawn), finder())
    assert inputs.edit.tool == tool
    task = TOOLS[tool].task(inputs).prepared(finder())
    assert task.prompt == filled["prompt"]
    assert task.warnings() == ()
    assert instant_preview(task).size == task.source.size


def finder() -> Any:
    return FakeEditor().find_landmarks


def served(value: Any) -> Any:
    """Gradio copies the files that it serves to where uploads are."""
    return Image.open(value) if isinstance(value, Path) else value


@pytest.mark.parametrize("tool", TOOLS)
def test_an_example_fills_all_that_belongs_to_its_tool(tool: str, values: dict[str, Any]) -> None:
    own = {name for name in values if name.startswith(f"{tool}.")}
    assert set(examples.filled(tool)) == own | {"tabs", "canvas", "prompt", "reference_prompt"}
    for index in range(len(examples.load(tool))):
        assert list(examples.fill(tool, index)) == examples.filled(tool)
        assert examples.fill(tool, index)["tabs"]["selected"] == tool


def test_example_files_are_small_and_all_used() -> None:
    used = set[str]()
    for tool in TOOLS:
        for example in examples.load(tool):
            names = (example.image, example.thumb, example.mask, example.reference)
            used |= {name for name in (*names, example.reference_mask) if name is not None}
    files = {file.name for file in examples.folder().glob("*.png")}
    assert files == used
    assert max(file.stat().st_size for file in examples.folder().iterdir()) <= LARGEST
