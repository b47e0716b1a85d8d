"""A small page with the settings, the results and the canvas, and an edit that paints."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
from PIL import Image

from diffeditor import Move
from tests.ui.canvas.demo import ball_mask, picture
from tests.ui.fakes import FakeEditor
from ui import results, settings
from ui.canvas import Canvas, Patch


def finished_runs(values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A move of the demo's ball with every chosen seed."""
    chosen, editor = settings.read(values), FakeEditor()
    source = picture()
    task = Move(image=source, mask=ball_mask(), shift=(20, 0))
    for seed in chosen.seeds:
        yield results.intermediate(source, Image.new("RGB", source.size, "gold"))
        result = editor.edit(task, chosen.preset, seed)
        yield results.finished(values, source, result)


def build() -> gr.Blocks:
    """The page."""
    with gr.Blocks(title="Results") as page:
        with gr.Row():
            with gr.Column():
                canvas = Canvas(elem_id="board")
                load = gr.Button("load", elem_id="load")
            with gr.Column():
                run = gr.Button("run", elem_id="run")
                blocks = results.build()
                chosen = settings.build(128)
        named = chosen | {name: blocks[name] for name in results.INPUTS}

        def edit(data: dict[Any, Any]) -> Iterator[dict[Any, Any]]:
            values = {name: data[block] for name, block in named.items() if block in data}
            for updates in finished_runs(values):
                yield {blocks[name]: value for name, value in updates.items()}

        inputs = {block for block in named.values() if not isinstance(block, gr.Button)}
        run.click(edit, inputs, [blocks[name] for name in results.OUTPUTS])
        load.click(lambda: Patch(source=picture(), mask=ball_mask()), None, canvas)
        results.connect(blocks, canvas)
    return page
