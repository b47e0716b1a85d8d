"""A small page with the settings, the results and the canvas, and an edit that paints."""

import json
from collections.abc import Iterator
from typing import Any

import gradio as gr
from PIL import Image

from diffeditor import Move
from tests.ui.canvas.demo import ball_mask, picture
from tests.ui.fakes import FakeEditor
from ui import results, settings
from ui.canvas import Canvas, Value


def finished_runs(values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A move of the demo's ball with every chosen seed."""
    chosen, editor = settings.read(values), FakeEditor()
    source = picture()
    task = Move(image=source, mask=ball_mask(), shift=(20, 0))
    for seed in chosen.seeds:
        yield results.intermediate(values, source, Image.new("RGB", source.size, "gold"))
        result = editor.edit(task, chosen.preset, seed)
        yield results.finished(values, source, result)


def described(value: Value | None) -> str:
    """The size of the canvas's source and the colour of its upper left corner, as JSON."""
    edit = value and value.edit()
    if not edit or not edit.source:
        return ""
    image = edit.source.image
    return json.dumps({"size": image.size, "sky": image.getpixel((0, 0))})


def build() -> gr.Blocks:
    """The page."""
    with gr.Blocks(title="Results") as page:
        with gr.Row():
            with gr.Column():
                canvas = Canvas(elem_id="board")
                read = gr.Button("read")
                told = gr.Textbox(elem_id="told")
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
        read.click(described, canvas, told)
        results.connect(blocks, canvas)
    return page
