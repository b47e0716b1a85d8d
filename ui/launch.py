"""Serving the page on this machine."""

from typing import Any

import gradio as gr

from diffeditor import Editor
from diffeditor.errors import InvalidSetting
from ui import examples, text
from ui.layout import CSS, build_page

MAX_FILE_SIZE = "100mb"
QUEUE_LENGTH = 16


def launch(
    editor: Editor, host: str = "127.0.0.1", port: int | None = 7860, **kwargs: Any
) -> gr.Blocks:
    """Builds the page and serves it; blocks until it is stopped, unless told otherwise.

    port: None takes a free one. kwargs: of `gr.Blocks.launch`.

    Raises:
        InvalidSetting: the port is taken, or the host is not this machine's.
    """
    page = build_page(editor).queue(max_size=QUEUE_LENGTH)
    theme = gr.themes.Default(
        spacing_size="sm",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    try:
        page.launch(
            server_name=host,
            server_port=port,
            ssr_mode=False,
            share=False,
            max_file_size=MAX_FILE_SIZE,
            allowed_paths=[str(examples.folder())],
            theme=theme,
            css=CSS,
            footer_links=["api", "settings"],
            **kwargs,
        )
    except OSError as error:
        raise InvalidSetting(text.cannot_listen(host, port)) from error
    return page
