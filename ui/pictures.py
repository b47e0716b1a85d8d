"""Components that take uploads to this page and nothing else."""

from pathlib import Path

import gradio as gr
from gradio.data_classes import FileData, ImageData, ListFiles

from ui import text
from ui.files import uploaded


def local(path: str | Path | None) -> str | Path | None:
    """The path, unless it is an address, from which Gradio would download.

    Raises:
        gr.Error: it is one.
    """
    if path is not None and "://" in str(path):
        raise gr.Error(text.NOT_UPLOADED, print_exception=False)
    return path


class Picture(gr.Image):
    """An uploaded picture; its value is the path of the upload, to be read by the engine.

    Gradio's own reads any path on this machine that comes without the mark of an upload.
    """

    is_template = True

    async def async_move_resource_to_block_cache(
        self, url_or_file_path: str | Path | None
    ) -> str | None:
        return await super().async_move_resource_to_block_cache(local(url_or_file_path))

    def preprocess(self, payload: ImageData | None) -> str | None:
        if payload is None:
            return None
        return str(uploaded(payload.path))


class Upload(gr.UploadButton):
    """A button that loads a file; its value is the path of the upload."""

    is_template = True

    async def async_move_resource_to_block_cache(
        self, url_or_file_path: str | Path | None
    ) -> str | None:
        return await super().async_move_resource_to_block_cache(local(url_or_file_path))

    def preprocess(self, payload: ListFiles | FileData | None) -> str | None:
        if payload is None:
            return None
        if isinstance(payload, ListFiles):
            raise gr.Error(text.RELOAD, print_exception=False)
        return str(uploaded(payload.path))


# Gradio writes a stub of these classes beside this file, which type checkers would then believe.
Path(__file__).with_suffix(".pyi").unlink(missing_ok=True)
