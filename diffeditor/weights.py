"""Where a model's files are: with DiffEditor, in a folder or file, or in the hub's cache.

What lies on this machine is used without any connection; only what is missing is downloaded.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from diffeditor.backbones import load_stable_diffusion
from diffeditor.backbones.embedded import embedded_folder
from diffeditor.errors import ModelUnavailable
from diffeditor.hub import IMAGE_ENCODER, IP_ADAPTER, KNOWN, Address, blobs, cached, digest, fetch
from diffeditor.tensorfile import PICKLE_SUFFIXES, SUFFIXES, read_tensors

EMBEDDED = "embedded"
SUMS_FILE = "SHA256SUMS"
"""Optional, in a model's folder: lines of a SHA-256 and the name of a file."""

Source = str | os.PathLike[str]


def find_model(model: Source, *, allow_pickle: bool = False) -> Path:
    """The diffusers folder or the single file of a model.

    Args:
        model: "embedded", a folder, a file, or a hub id "owner/name" or "owner/name@revision"
            (downloaded once, then cached).

    Raises:
        ModelUnavailable: there is no such model, it is of an unsupported kind, or it cannot be
            downloaded.
    """
    if model == EMBEDDED:
        return embedded_folder()
    path = find(model, 'give "embedded", a diffusers folder, a .safetensors file or a hub id')
    if path.is_file():
        return _checked_file(path, allow_pickle)
    if not (path / "unet").is_dir():
        raise ModelUnavailable(f"{path} is not a diffusers folder: it has no unet/ in it.")
    return path


def models_here() -> list[str]:
    """Names for `load_editor` of the models that are on this machine; no connection is made.

    The embedded one and every known one that was fetched; files and folders are not looked for.
    """
    known = [
        (repo, Address(repo=repo, revision=entry.revision))
        for repo, entry in KNOWN.items()
        if entry.kind == "model"
    ]
    return [EMBEDDED, *(repo for repo, address in known if cached(address))]


def find(source: Source, else_give: str, *, allow_pickle: bool = False) -> Path:
    """A file or folder, or the cached or downloaded folder of a hub id.

    Raises:
        ModelUnavailable: there is nothing of that name; the sentence ends with `else_give`.
    """
    path = Path(source).expanduser()
    if path.exists():
        return path
    address = Address.parse(os.fspath(source))
    if address is None:
        raise ModelUnavailable(f"There is no model {os.fspath(source)!r}; {else_give} owner/name.")
    found = cached(address, allow_pickle=allow_pickle)
    return found or fetch(address, allow_pickle=allow_pickle)


def _checked_file(path: Path, allow_pickle: bool) -> Path:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ModelUnavailable(f"{path} is no model file; give a .safetensors file or a folder.")
    if suffix in PICKLE_SUFFIXES and not allow_pickle:
        raise ModelUnavailable(
            f"{path} is a pickle file; convert it to safetensors, or allow it explicitly."
        )
    return path


@dataclass(frozen=True, kw_only=True)
class ImagePromptFiles:
    """An image-prompt file and the folder of its CLIP vision tower."""

    prompt: Path
    encoder: Path


def find_image_prompt(
    image_prompt: Source, image_encoder: Source | None, model: Path, *, allow_pickle: bool = False
) -> ImagePromptFiles:
    """The files of a wanted image prompt.

    Args:
        image_prompt: a file, or the hub id of a known one.
        image_encoder: a folder; None takes the one beside the file or the model, or else the CLIP
            ViT-H of IP-Adapter.

    Raises:
        ModelUnavailable: one of them is not here and cannot be downloaded.
    """
    known = KNOWN.get(os.fspath(image_prompt))
    path = Path(image_prompt).expanduser()
    if known and known.kind == "image prompt":
        found = find(image_prompt, "give a file or", allow_pickle=allow_pickle)
        path = found / known.files[0]
    if not path.is_file():
        raise ModelUnavailable(f"There is no image-prompt file {path}; check the path.")
    encoder = find_image_encoder(image_encoder, (model, path.parent))
    return ImagePromptFiles(prompt=path, encoder=encoder)


def find_image_encoder(image_encoder: Source | None, models: Iterable[Path]) -> Path:
    """The folder of a CLIP vision tower.

    Args:
        image_encoder: a folder; None takes the one in the first of `models` that has one, or else
            the CLIP ViT-H of IP-Adapter.

    Raises:
        ModelUnavailable: it is not here and cannot be downloaded.
    """
    if image_encoder is not None:
        return Path(image_encoder).expanduser()
    places = (model / "image_encoder" for model in models)
    beside = next((folder for folder in places if folder.is_dir()), None)
    return beside or find(IP_ADAPTER, "give a folder or") / IMAGE_ENCODER


def cached_image_prompt() -> ImagePromptFiles | None:
    """IP-Adapter-plus and its encoder, if they were fetched before; no connection is made."""
    address = Address.parse(IP_ADAPTER)
    folder = cached(address) if address else None
    if folder is None:
        return None
    return ImagePromptFiles(
        prompt=folder / KNOWN[IP_ADAPTER].files[0], encoder=folder / IMAGE_ENCODER
    )


@dataclass(frozen=True, kw_only=True)
class CheckedFile:
    """A file whose contents were read: bytes, and whether its hash was known and is right."""

    path: Path
    size: int
    hashed: bool


def verify(model: Source, *, allow_pickle: bool = False) -> Iterator[CheckedFile]:
    """Check the files of a model on this machine, one by one, then load it.

    Hashes are compared where they are known: in the hub's cache and in a `SHA256SUMS` file.

    Raises:
        ModelUnavailable: a file is not here, differs from its hash, is damaged or swapped.
    """
    path = _present(model, allow_pickle)
    for file, expected in _hashes(path).items():
        if expected and digest(file, expected) != expected:
            raise ModelUnavailable(
                f"{file} differs from its published hash; delete {file.resolve()} and fetch the "
                "model again."
            )
        yield CheckedFile(path=file, size=file.stat().st_size, hashed=bool(expected))
    _load(path, allow_pickle)


def _present(model: Source, allow_pickle: bool) -> Path:
    address = Address.parse(os.fspath(model))
    if model == EMBEDDED or address is None or Path(model).expanduser().exists():
        return find_model(model, allow_pickle=allow_pickle)
    found = cached(address, allow_pickle=allow_pickle)
    if found is None:
        raise ModelUnavailable(f"{model} is not whole on this machine; fetch it first.")
    return found


def _hashes(path: Path) -> dict[Path, str]:
    if path.is_file():
        return {path: ""}
    sums = path / SUMS_FILE
    lines = sums.read_text("utf-8").splitlines() if sums.is_file() else []
    listed = {path / name: hashed for hashed, name in (line.split(maxsplit=1) for line in lines)}
    absent = [file for file in listed if not file.is_file()]
    if absent:
        raise ModelUnavailable(f"{absent[0]} is missing; get the whole model.")
    return blobs(path) | listed


def _load(path: Path, allow_pickle: bool) -> None:
    """Load a model, an image prompt or a VAE, whatever is at `path`, and forget it."""
    if path.is_file() or (path / "unet").is_dir():
        load_stable_diffusion(path, allow_pickle=allow_pickle)
        return
    for file in sorted(path.rglob("*")):
        if file.suffix in SUFFIXES:
            read_tensors(file, allow_pickle=allow_pickle)
