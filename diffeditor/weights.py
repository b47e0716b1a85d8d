"""Where a model's files are: the embedded model, a folder, or a repository of the model hub."""

import os
from pathlib import Path

from diffeditor.backbones.embedded import embedded_folder
from diffeditor.errors import ModelUnavailable

EMBEDDED = "embedded"

_WANTED = ("*.json", "*.txt", "*.model", "*/diffusion_pytorch_model.safetensors")
_WANTED_ENCODERS = ("*/model.safetensors",)


def find_model(model: str | os.PathLike[str]) -> Path:
    """The diffusers folder of a model.

    Args:
        model: "embedded", a folder, or a hub id "owner/name" (downloaded once, then cached).

    Raises:
        ModelUnavailable: there is no such model, it is of an unsupported kind, or it cannot be
            downloaded.
    """
    if model == EMBEDDED:
        return embedded_folder()
    path = Path(model).expanduser()
    if path.is_dir():
        if not (path / "unet").is_dir():
            raise ModelUnavailable(f"{path} is not a diffusers folder: it has no unet/ in it.")
        return path
    if path.is_file():
        raise ModelUnavailable(_file_problem(path))
    name = os.fspath(model)
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise ModelUnavailable(
            f'There is no model {name!r}; give "embedded", a diffusers folder or a hub id '
            "owner/name."
        )
    return _downloaded(name)


def _file_problem(path: Path) -> str:
    if path.suffix == ".safetensors":
        return f"{path} is a single-file checkpoint; convert it to a diffusers folder first."
    return f"{path} is not a safetensors model; pickle files are not loaded."


def _downloaded(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=[*_WANTED, *_WANTED_ENCODERS]))
    except Exception as error:
        raise ModelUnavailable(
            f"The model {name!r} is neither here nor could it be downloaded; check the name and "
            "the connection, or give a local folder."
        ) from error
