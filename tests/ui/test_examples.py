from typing import Any

import pytest
from PIL import Image

from ui import examples
from ui.state import read_page
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
    filled = dict(zip(examples.names(tool), examples.fill(tool, index), strict=True))
    assert filled.keys() <= values.keys()
    for name in ("source", "reference"):
        if filled[name] is not None:
            filled[name] = {**filled[name], "background": Image.open(filled[name]["background"])}
    task = TOOLS[tool].task(read_page(tool, values | filled))
    assert task.prompt == filled["prompt"]
    assert task.warnings() == ()


@pytest.mark.parametrize("tool", TOOLS)
def test_an_example_fills_all_that_belongs_to_its_tool(tool: str, values: dict[str, Any]) -> None:
    own = {name for name in values if name.startswith(f"{tool}.")}
    pictures = {"source", "source_mask", "reference", "reference_mask", "prompt", "start"}
    assert set(examples.names(tool)) == own | pictures


def test_example_files_are_small_and_all_used() -> None:
    used = set[str]()
    for tool in TOOLS:
        for example in examples.load(tool):
            names = (example.image, example.thumb, example.mask, example.reference)
            used |= {name for name in (*names, example.reference_mask) if name is not None}
    files = {file.name for file in examples.folder().glob("*.png")}
    assert files == used
    assert max(file.stat().st_size for file in examples.folder().iterdir()) <= LARGEST
