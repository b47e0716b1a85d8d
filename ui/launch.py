"""Serving the page on this machine."""

from typing import Any

import gradio as gr

from diffeditor import Editor
from ui import examples
from ui.layout import CSS, build_page

MAX_FILE_SIZE = "100mb"
QUEUE_LENGTH = 16


def launch(editor: Editor, host: str = "127.0.0.1", port: int = 7860, **kwargs: Any) -> gr.Blocks:
    """Builds the page and serves it; blocks until it is stopped, unless told otherwise.

    kwargs: of `gr.Blocks.launch`.
    """
    page = build_page(editor)
    page.queue(max_size=QUEUE_LENGTH).launch(
        server_name=host,
        server_port=port,
        ssr_mode=False,
        share=False,
        max_file_size=MAX_FILE_SIZE,
        allowed_paths=[str(examples.folder())],
        theme=gr.themes.Default(
            spacing_size="sm",
            font=["system-ui", "sans-serif"],
            font_mono=["ui-monospace", "monospace"],
        ),
        css=CSS,
        footer_links=["api", "settings"],
        **kwargs,
    )
    return page
