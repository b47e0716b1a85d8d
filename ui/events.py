"""Which handler each event of the page calls."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import FormComponent

from ui import examples, handlers, results, speech, text
from ui.canvas import Canvas
from ui.history import History
from ui.models import Models
from ui.state import Blocks, Updates, Values, by_component
from ui.tabs import TOOLS
from ui.turns import Turns

ADVICE = ("canvas", "status", "reference_prompt")
"""What `handlers.advise` changes."""
RESTORED = ("canvas", "tabs", "status", "model", "prompt", "reference_prompt")
"""What a recipe changes beside the settings and the tools' own controls."""

ON_DEVICE: dict[str, Any] = {"concurrency_id": "gpu", "concurrency_limit": 1}
"""One device, one job: for every event that edits."""
PAGE_ONLY: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
SKETCHES_AT_ONCE = 2
"""Previews that are made at the same time, for everybody together."""


@dataclass(frozen=True)
class Names:
    """Translates between components, as Gradio passes them, and their names."""

    blocks: Blocks

    def inputs(self) -> Blocks:
        """The components whose values handlers see."""
        read = (Canvas, gr.State, FormComponent)
        own = {name for name in self.blocks if not name.startswith("results.")}
        return {
            name: self.blocks[name]
            for name in (own - {"status"}) | set(results.INPUTS)
            if isinstance(self.blocks[name], read)
        }

    def under(self, *prefixes: str) -> list[str]:
        """The names that begin with one of the prefixes."""
        return [name for name in self.blocks if name.startswith(prefixes)]

    def some(self, names: Iterable[str]) -> list[Any]:
        return [self.blocks[name] for name in names]

    def values(self, data: dict[Block, Any]) -> Values:
        return {name: data[block] for name, block in self.blocks.items() if block in data}

    def updates(self, updates: Updates) -> dict[Block, Any]:
        return by_component(self.blocks, updates)


def connect(models: Models, blocks: Blocks) -> None:
    """Ties every event of the page to its handler."""
    names = Names(blocks)
    _connect_edit(models, names)
    _connect_advice(models, names)
    _connect_tabs(names)
    _connect_recipe(models, names)
    results.connect(blocks, blocks["canvas"])


def _connect_edit(models: Models, names: Names) -> None:
    def run(data: dict[Block, Any]) -> Iterator[dict[Block, Any]]:
        for updates in handlers.edit(models, names.values(data)):
            yield names.updates(updates)

    def over(
        handler: Callable[[Turns, History, str], Updates],
    ) -> Callable[[Turns, History, str], dict[Block, Any]]:
        return lambda *values: names.updates(handler(*values))

    edit, cancel, status = names.some(("edit", "cancel", "status"))
    turns, turn = names.some(("turns", "turn"))
    shown = [turns, *names.some(("results.history", "results.shown"))]
    seen = names.some(("status", *results.SHOWN))
    at_once = {"queue": False, **PAGE_ONLY}
    told = f"() => {json.dumps(text.WAITING)}"
    edit.click(None, None, status, js=told, api_visibility="private")
    edit.click(Turns.ask, turns, turn, **at_once)
    running = edit.click(
        run,
        set(names.inputs().values()),
        names.some(("status", *results.OUTPUTS)),
        show_progress="minimal",
        show_progress_on=status,
        trigger_mode="multiple",  # "once" ignores a click until a cancelled run has wound up
        api_visibility="private",
        **ON_DEVICE,
    )
    every = {"trigger_mode": "multiple", **at_once}
    running.then(over(handlers.ended), shown, seen, **every)
    running.failure(over(handlers.failed), shown, seen, **every)
    cancel.click(handlers.stop, turns, status, cancels=running, **at_once)
    speech.connect(status)


def _connect_advice(models: Models, names: Names) -> None:
    """The preview and the advice follow the canvas and what the user sets beside it.

    An example or a recipe sets controls too, and changes the canvas, which is followed by then.
    """

    def advise(data: dict[Block, Any]) -> dict[Block, Any]:
        return names.updates(handlers.advise(models, names.values(data)))

    controls = names.some(names.under(*(f"{tool}." for tool in TOOLS)))
    gr.on(
        [names.blocks["canvas"].edit, *(control.input for control in controls)],
        advise,
        set(names.inputs().values()),
        names.some(ADVICE),
        trigger_mode="always_last",
        concurrency_limit=SKETCHES_AT_ONCE,
        **PAGE_ONLY,
    )


def _connect_tabs(names: Names) -> None:
    """An open tab is the canvas's tool; a click on an example fills the page."""
    for tool in TOOLS:
        tab, shelf, canvas = names.some((f"tab.{tool}", f"examples.{tool}", "canvas"))
        tab.select(
            None,
            None,
            canvas,
            js=f"() => ({{patch: {{tool: '{tool}'}}}})",
            api_visibility="private",
        )

        def fill(index: int, tool: str = tool) -> dict[Block, Any]:
            return names.updates(examples.fill(tool, index))

        shelf.click(fill, shelf, names.some(examples.filled(tool)), **PAGE_ONLY)


def _connect_recipe(models: Models, names: Names) -> None:
    def restore(path: str | None) -> dict[Block, Any]:
        return names.updates(handlers.restore(models, path))

    changed = names.under("settings.", *(f"{tool}." for tool in TOOLS))
    recipe = names.blocks["recipe"]
    recipe.upload(restore, recipe, names.some((*RESTORED, *changed)), **PAGE_ONLY)
