"""Which handler each event of the page calls."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from diffeditor import Editor
from ui import examples, handlers, text
from ui.handlers import Updates
from ui.state import Values

Blocks: TypeAlias = dict[str, Any]
"""Components and groups of them, by the names that handlers use."""

OUTPUTS_ONLY = ("board", "advice", "status", "result", "numbers", "save_picture", "save_recipe")
RESULTS = ("status", "result", "numbers", "save_picture", "save_recipe")
DRAWN = ("board", "advice", "second")
NOT_DRAWN = ("preset", "seed", "steps", "prompt", "reference_prompt")
"""Inputs, by the first or the last part of their names, that the drawn picture does not follow."""

ON_DEVICE: dict[str, Any] = {"concurrency_id": "gpu", "concurrency_limit": 1}
"""One device, one job: for every event that edits."""
PAGE_ONLY: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


@dataclass(frozen=True)
class Names:
    """Translates between components, as Gradio passes them, and their names."""

    blocks: Blocks

    def inputs(self) -> Blocks:
        """The components whose values handlers see."""
        return {
            name: block
            for name, block in self.blocks.items()
            if name not in OUTPUTS_ONLY
            and isinstance(block, Component)
            and not isinstance(block, gr.Button)
        }

    def some(self, names: Iterable[str]) -> list[Any]:
        return [self.blocks[name] for name in names]

    def values(self, data: dict[Block, Any]) -> Values:
        return {name: data[block] for name, block in self.blocks.items() if block in data}

    def updates(self, updates: Updates) -> dict[Block, Any]:
        return {self.blocks[name]: value for name, value in updates.items()}


def connect(editor: Editor, blocks: Blocks, examples_of: dict[str, gr.Dataset]) -> None:
    """Ties every event of the page to its handler."""
    names = Names(blocks)
    _connect_edit(editor, names)
    _connect_board(names, examples_of)


def _connect_edit(editor: Editor, names: Names) -> None:
    def run(data: dict[Block, Any]) -> Iterator[dict[Block, Any]]:
        for updates in handlers.edit(editor, names.values(data)):
            yield names.updates(updates)

    edit, cancel, status = names.some(("edit", "cancel", "status"))
    inputs = set(names.inputs().values())
    running = edit.click(run, inputs, names.some(RESULTS), **PAGE_ONLY, **ON_DEVICE)
    cancel.click(lambda: text.STOPPED, None, status, cancels=running, queue=False, **PAGE_ONLY)


def _connect_board(names: Names, examples_of: dict[str, gr.Dataset]) -> None:
    """Clicks, and everything that the drawn picture follows."""

    def refresh(data: dict[Block, Any]) -> dict[Block, Any]:
        return names.updates(handlers.refresh(names.values(data)))

    def click(data: dict[Block, Any], event: gr.SelectData) -> dict[Block, Any]:
        return names.updates(handlers.click(names.values(data), event.index))

    board, advice, tool, start = names.some(("board", "advice", "tool", "start"))
    inputs = set(names.inputs().values())
    board.select(click, inputs, [*inputs, advice], **PAGE_ONLY)
    tool.change(lambda: None, None, start, queue=False, **PAGE_ONLY)
    drawn = names.some(DRAWN)
    followed = [block.change for name, block in names.inputs().items() if _is_drawn(name)]
    gr.on(followed, refresh, inputs, drawn, trigger_mode="always_last", **PAGE_ONLY)
    for shown, pictures in examples_of.items():
        filled = names.some(examples.names(shown))
        filling = pictures.click(partial(examples.fill, shown), pictures, filled, **PAGE_ONLY)
        filling.then(refresh, inputs, drawn, **PAGE_ONLY)


def _is_drawn(name: str) -> bool:
    first, _, last = name.partition(".")
    return first not in NOT_DRAWN and last not in NOT_DRAWN
