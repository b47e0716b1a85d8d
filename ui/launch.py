"""Serving the page on this machine."""

from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from diffeditor.errors import InvalidSetting
from ui import examples, look, text
from ui.canvas.leaving import AsksBeforeLeaving
from ui.files import MAX_UPLOAD
from ui.layout import build_page
from ui.models import Models

QUEUE_LENGTH = 16
SESSIONS = 500
"""Whose state is kept, the last ones to ask; a program's requests may each be a session."""


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
            max_file_size=MAX_UPLOAD,
            state_session_capacity=SESSIONS,
            allowed_paths=[str(examples.folder())],
            theme=look.theme(),
            css=look.css(),
            footer_links=["api", "settings"],
            app_kwargs={"middleware": [Middleware(AsksBeforeLeaving)]},
            **kwargs,
        )
    except OSError as error:
        raise InvalidSetting(text.cannot_listen(host, port)) from error
    return page
