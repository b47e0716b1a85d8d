"""Serving the page on this machine."""

from typing import Any

import gradio as gr

from diffeditor.errors import InvalidSetting
from ui import examples, results, text
from ui.layout import CSS, build_page
from ui.models import Models

MAX_FILE_SIZE = "100mb"
QUEUE_LENGTH = 16


ACCENT, DARKER_ACCENT = "#0a5ce0", "#084ab5"
"""Of what is to be pressed next, as on the canvas; white is read well on both."""


def theme() -> gr.themes.Base:
    """Small spaces, fonts that every machine has, and one accent in light and dark."""
    fills = {
        f"button_primary_background_fill{state}{mode}": colour
        for state, colour in (("", ACCENT), ("_hover", DARKER_ACCENT))
        for mode in ("", "_dark")
    }
    return gr.themes.Default(
        primary_hue="blue",
        spacing_size="sm",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(**fills)


def launch(
    models: Models, host: str = "127.0.0.1", port: int | None = 7860, **kwargs: Any
) -> gr.Blocks:
    """Builds the page and serves it; blocks until it is stopped, unless told otherwise.

    port: None takes a free one. kwargs: of `gr.Blocks.launch`.

    Raises:
        InvalidSetting: the port is taken, or the host is not this machine's.
        ModelUnavailable: the model to begin with cannot be loaded.
    """
    page = build_page(models).queue(max_size=QUEUE_LENGTH)
    try:
        page.launch(
            server_name=host,
            server_port=port,
            ssr_mode=False,
            share=False,
            max_file_size=MAX_FILE_SIZE,
            allowed_paths=[str(examples.folder())],
            theme=theme(),
            css=CSS + results.CSS,
            footer_links=["api", "settings"],
            **kwargs,
        )
    except OSError as error:
        raise InvalidSetting(text.cannot_listen(host, port)) from error
    return page
