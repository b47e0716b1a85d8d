"""The components of the page and where they are."""

import gradio as gr

from diffeditor import PRESETS, Editor
from ui import api, events, examples, text
from ui.controls import (
    PICTURE_HEIGHT,
    file_picture,
    painter,
    preset_controls,
    prompt_box,
    steps_slider,
)
from ui.events import Blocks
from ui.tabs import TOOLS, Tool

KEEP_UPLOADS = 86400
"""Seconds after which uploads and results are deleted."""

CSS = """
.gradio-container { max-width: 1680px !important; }
#heading .prose { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 1rem; }
#heading h1, #heading p { margin: 0; }
.examples .gallery-item .container { width: auto; height: auto; max-width: none; }
.examples img { height: 60px; width: auto; max-width: none; }
#tabs button[role="tab"] { padding: 4px 7px; }
#board img { cursor: crosshair; }
"""


def build_page(editor: Editor) -> gr.Blocks:
    """The page that edits with this editor."""
    with gr.Blocks(title=text.TITLE, fill_width=True, delete_cache=(3600, KEEP_UPLOADS)) as page:
        gr.Markdown(f"# {text.TITLE}\n{text.SUBTITLE}", elem_id="heading")
        blocks: Blocks = {"start": gr.State(None)}
        examples_of = _tabs(blocks)
        with gr.Row():
            with gr.Column(min_width=320):
                _pictures(blocks)
            with gr.Column(min_width=320):
                _board(blocks)
            with gr.Column(min_width=320):
                _outcome(blocks)
                _settings(blocks, editor)
        events.connect(editor, blocks, examples_of)
        api.add_endpoints(editor)
    return page


def _tabs(blocks: Blocks) -> dict[str, gr.Dataset]:
    """A tab for each tool with its controls; returns the examples by tool."""
    blocks["tool"] = gr.Textbox(next(iter(TOOLS)), visible="hidden")
    examples_of: dict[str, gr.Dataset] = {}
    with gr.Tabs(elem_id="tabs", overflow_behavior="wrap"):
        for tool in TOOLS.values():
            with gr.Tab(tool.title, id=tool.name) as tab, gr.Row():
                with gr.Column(min_width=320):
                    gr.Markdown(tool.hint)
                    examples_of[tool.name] = _examples(tool)
                with gr.Column(min_width=320, scale=2):
                    controls = tool.build()
            blocks.update({f"{tool.name}.{name}": control for name, control in controls.items()})
            tab.select(
                None, None, blocks["tool"], js=f"() => '{tool.name}'", api_visibility="private"
            )
    return examples_of


def _examples(tool: Tool) -> gr.Dataset:
    """Thumbnails of the tool's examples."""
    return gr.Dataset(
        label=text.EXAMPLES,
        components=["image"],
        samples=[[str(examples.folder() / one.thumb)] for one in examples.load(tool.name)],
        type="index",
        layout="gallery",
        elem_classes="examples",
    )


def _pictures(blocks: Blocks) -> None:
    """The picture to edit, and a second one for the tools that need it."""
    blocks["source"] = painter(text.PICTURE, text.PICTURE_HINT, "source")
    with gr.Row():
        blocks["prompt"] = prompt_box(text.PROMPT, placeholder=text.PROMPT_EXAMPLE)
        blocks["source_mask"] = file_picture(text.MASK_FILE)
    with gr.Column(visible="hidden") as blocks["second"]:
        blocks["reference"] = painter(text.REFERENCE, text.REFERENCE_HINT, "reference")
        blocks["reference_mask"] = file_picture(text.MASK_FILE)


def _board(blocks: Blocks) -> None:
    """The picture to click on, what is missing, and the buttons that start and stop."""
    blocks["board"] = gr.Image(
        label=text.BOARD,
        interactive=False,
        buttons=[],
        height=PICTURE_HEIGHT,
        elem_id="board",
    )
    blocks["advice"] = gr.Textbox(label=text.ADVICE, interactive=False, lines=1, max_lines=3)
    with gr.Row():
        blocks["edit"] = gr.Button(text.EDIT, variant="primary", min_width=120)
        blocks["cancel"] = gr.Button(text.CANCEL, min_width=80)
    blocks["status"] = gr.Textbox(label=text.STATUS, interactive=False, lines=1, max_lines=4)


def _outcome(blocks: Blocks) -> None:
    """The result, its files and its numbers."""
    blocks["result"] = gr.ImageSlider(
        label=text.RESULT,
        interactive=False,
        buttons=["fullscreen"],
        height=PICTURE_HEIGHT,
    )
    with gr.Row():
        blocks["save_picture"] = gr.DownloadButton(text.SAVE_PICTURE, interactive=False, size="sm")
        blocks["save_recipe"] = gr.DownloadButton(text.SAVE_RECIPE, interactive=False, size="sm")
    with gr.Accordion(text.NUMBERS, open=False):
        blocks["numbers"] = gr.JSON(show_label=False)


def _settings(blocks: Blocks, editor: Editor) -> None:
    """Which preset, with which changes."""
    with gr.Row():
        blocks["preset"] = gr.Dropdown(list(PRESETS), value=next(iter(PRESETS)), label=text.PRESET)
        blocks["seed"] = gr.Number(0, label=text.SEED, min_width=80, step=1)
    blocks["steps"] = steps_slider()
    blocks.update(preset_controls(editor.native_size))
    gr.Markdown(text.model(editor.model_name, editor.native_size))
