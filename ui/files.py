"""Pictures on their way to the browser and back."""

import os
from contextlib import suppress
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from PIL import Image

from ui import text

MAX_UPLOAD = 100 * 2**20
"""Bytes of a file that is loaded on the page."""


def uploaded(path: str | None) -> Path:
    """The path, if a file that was loaded on this page lies there; it is kept for longer then.

    Raises:
        gr.Error: none does; the same sentence whether or not there is a file elsewhere.
    """
    folder = Path(get_upload_folder()).resolve()
    sentence = text.NOT_UPLOADED
    try:
        file = Path(path or "").resolve()
        if file.is_relative_to(folder):
            if file.is_file():
                renew(file)
                return file
            sentence = text.GONE
    except (OSError, ValueError):
        pass  # no file can have such a name
    raise gr.Error(sentence, print_exception=False)


def renew(path: str | Path) -> None:
    """Makes a file young again: Gradio deletes files by their age."""
    with suppress(OSError):
        os.utime(path)


def cached(picture: Image.Image, format: str = "png", **options: Any) -> str:
    """The path of a file with this picture that Gradio may serve.

    Equal pictures share a file, which appears whole or not at all: Gradio itself writes it anew
    each time, also while a browser is reading it. options: of the format, for `Image.save`.
    """
    encoded = BytesIO()
    picture.save(encoded, format, **options)
    folder = Path(get_upload_folder()).resolve() / sha256(encoded.getbuffer()).hexdigest()
    path = folder / f"picture.{format}"
    if path.exists():
        renew(path)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(encoded.getbuffer())
        os.replace(file.name, path)
    return str(path)
