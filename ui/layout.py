"""The components of the page and where they are."""

import gradio as gr

from diffeditor import fit_template, load_segmenter
from ui import api, events, examples, handlers, results, settings, speech, text
from ui.canvas import Canvas
from ui.models import Models
from ui.pictures import Upload
from ui.state import Blocks, visibility
from ui.tabs import TOOLS, Tool
from ui.turns import Turns

KEEP_UPLOADS = 86400
"""Seconds after which uploads and results are deleted."""
PROMPT_LENGTH = 1000


def build_page(models: Models) -> gr.Blocks:
    """The page that edits with these models; the one to begin with is loaded now.

    Raises:
        ModelUnavailable: it cannot be loaded.
    """
    native_size = models.editor().native_size
    with gr.Blocks(title=text.TITLE, fill_width=True, delete_cache=(3600, KEEP_UPLOADS)) as page:
        blocks: Blocks = _heading(models)
        with gr.Row():
            with gr.Column(min_width=320, scale=3):
                blocks |= _tabs() | _stage(models)
            with gr.Column(min_width=320, scale=2):
                blocks |= results.build()
                blocks |= settings.build(native_size)
        events.connect(models, blocks)
        api.add_endpoints(models)
    return page


def _heading(models: Models) -> Blocks:
    """The name of the page, which model edits, and a way back to an earlier edit."""
    with gr.Row(elem_id="heading"):
        gr.Markdown(f"# {text.TITLE}\n{text.SUBTITLE}")
        model = gr.Dropdown(
            [(text.model(name), name) for name in models.names],
            value=models.current,
            label=text.MODEL,
            show_label=False,
            container=False,
            min_width=200,
            scale=0,
        )
        recipe = Upload(
            text.OPEN_RECIPE, file_types=[".json", ".png"], size="sm", min_width=130, scale=0
        )
    return {"model": model, "recipe": recipe}


def _tabs() -> Blocks:
    """A tab for each tool: its hint, its examples and its own controls."""
    blocks: Blocks = {}
    with gr.Tabs(elem_id="tools", overflow_behavior="wrap") as blocks["tabs"]:
        for name, tool in TOOLS.items():
            with gr.Tab(tool.title, id=name) as blocks[f"tab.{name}"]:
                with gr.Row(elem_classes="shelf"):
                    gr.Markdown(tool.hint)
                    blocks[f"examples.{name}"] = _examples(tool)
                controls = tool.controls()
                blocks |= {f"{name}.{local}": control for local, control in controls.items()}
    return blocks


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


def _stage(models: Models) -> Blocks:
    """The canvas, the line that says what is going on, and what starts and stops an edit."""
    canvas = Canvas(
        segmenter=load_segmenter().segment,
        landmark_finder=lambda portrait: handlers.found(models, portrait),
        landmark_fitter=fit_template,
        elem_id="board",
    )
    speech.build()
    with gr.Row(elem_id="go"):
        status = gr.Textbox(
            text.NO_PICTURE,
            label=text.STATUS,
            show_label=False,
            container=False,
            interactive=False,
            lines=1,
            max_lines=4,
            min_width=300,
            scale=4,
            elem_id="status",
        )
        edit = gr.Button(text.EDIT, variant="primary", min_width=110, scale=1)
        cancel = gr.Button(text.CANCEL, min_width=80, scale=0)
    with gr.Row(elem_classes="prompts"):
        prompt = prompt_box(text.PROMPT, placeholder=text.PROMPT_EXAMPLE)
        reference_prompt = prompt_box(text.REFERENCE_PROMPT, visible=False)
    return {
        "canvas": canvas,
        "status": status,
        "edit": edit,
        "cancel": cancel,
        "turns": gr.State(Turns()),
        "turn": gr.Number(0, precision=0, visible="hidden"),
        "prompt": prompt,
        "reference_prompt": reference_prompt,
    }


def prompt_box(label: str, placeholder: str | None = None, visible: bool = True) -> gr.Textbox:
    """A box for words that say what a picture shows."""
    return gr.Textbox(
        "",
        label=label,
        placeholder=placeholder,
        lines=1,
        max_lines=4,
        max_length=PROMPT_LENGTH,
        min_width=240,
        visible=visibility(visible),
    )
