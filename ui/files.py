"""Pictures on their way to the browser."""

import os
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile

from gradio.utils import get_upload_folder
from PIL import Image


def cached(picture: Image.Image, format: str = "png") -> str:
    """The path of a file with this picture that Gradio may serve.

    Equal pictures share a file, which appears whole or not at all: Gradio itself writes it anew
    each time, also while a browser is reading it.
    """
    encoded = BytesIO()
    picture.save(encoded, format)
    folder = Path(get_upload_folder()).resolve() / sha256(encoded.getbuffer()).hexdigest()
    path = folder / f"picture.{format}"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(encoded.getbuffer())
        os.replace(file.name, path)
    return str(path)
