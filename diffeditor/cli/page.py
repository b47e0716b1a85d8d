"""The command that opens the page."""

import argparse
from typing import TYPE_CHECKING

from diffeditor.cli.carry_out import loaded_editor
from diffeditor.cli.command import leaf
from diffeditor.cli.options import add_editor_options
from diffeditor.errors import DiffEditorError

if TYPE_CHECKING:
    from diffeditor.editor import Editor


def _add_app_arguments(parser: argparse.ArgumentParser) -> None:
    add_editor_options(parser, "embedded")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=7860)


def _run_app(options: argparse.Namespace) -> None:
    try:
        from ui.launch import launch
        from ui.models import Models
    except ModuleNotFoundError as error:
        raise DiffEditorError(
            f"The page needs {error.name!r}, which is not installed; install diffeditor[ui]."
        ) from error

    def load(model: str, device: str) -> "Editor":
        """Another model brings its own VAE and no LoRA files."""
        given = model == options.model
        parts = (options.vae, options.lora) if given else (None, ())
        return loaded_editor(options, model, *parts)

    launch(Models([options.model], options.device, load), options.host, options.port)


APP = leaf("open the page in this machine's browser", _add_app_arguments, _run_app)
