"""Checkpoints as folders of small files, so that they can be carried over any narrow way.

    <folder>/state.json               everything but tensors, and which tensor is where
    <folder>/00000.safetensors ...    tensors, each file at most PIECE bytes, or one larger tensor

A folder appears whole or not at all: a run that is killed while it writes keeps the old one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from diffeditor.errors import DiffEditorError
from diffeditor.training.files import replacing

PIECE = 15_000_000
"""Bytes of tensors in one file; with its header a file stays below 16 MB."""

STATE_FILE = "state.json"
TENSOR = "tensor:"
"""What the JSON holds in the place of a tensor: this and the tensor's name."""


class BrokenCheckpoint(DiffEditorError):
    """A checkpoint lacks a file, or one of its files cannot be read."""


def write_checkpoint(folder: Path, held: Mapping[str, Any]) -> None:
    """Write nested dicts and lists of tensors, numbers and strings; replaces the folder.

    Keys become strings, except those of whole numbers, which `read_checkpoint` restores.
    """
    tensors: dict[str, Tensor] = {}
    state = _without_tensors(held, "", tensors)
    with replacing(folder) as fresh:
        for index, piece in enumerate(_pieces(tensors)):
            save_file(piece, fresh / f"{index:05d}.safetensors")
        (fresh / STATE_FILE).write_text(json.dumps({"held": state}))


def read_checkpoint(folder: Path) -> dict[str, Any] | None:
    """What `write_checkpoint` wrote, with the tensors on the CPU; None where there is nothing.

    Raises:
        BrokenCheckpoint: a file is missing or damaged.
    """
    if not (folder / STATE_FILE).is_file():
        return None
    try:
        read = json.loads((folder / STATE_FILE).read_text())
        tensors = {
            name: value
            for piece in sorted(folder.glob("*.safetensors"))
            for name, value in load_file(piece).items()
        }
        return _with_tensors(read["held"], tensors)
    except Exception as error:
        raise BrokenCheckpoint(
            f"The checkpoint {folder} is damaged; remove it to begin again, or copy it anew."
        ) from error


def _without_tensors(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """`value` with tensors replaced by their names, and put into `tensors`."""
    if isinstance(value, Tensor):
        tensors[name] = value.detach().cpu().contiguous()
        return TENSOR + name
    if isinstance(value, Mapping):
        return {
            str(key): _without_tensors(one, f"{name}/{key}", tensors) for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_tensors(one, f"{name}/{i}", tensors) for i, one in enumerate(value)]
    return value


def _with_tensors(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, str) and value.startswith(TENSOR):
        return tensors[value.removeprefix(TENSOR)]
    if isinstance(value, dict):
        return {_key(key): _with_tensors(one, tensors) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_tensors(one, tensors) for one in value]
    return value


def _key(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _pieces(tensors: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """The tensors in their order, as many at a time as PIECE allows."""
    piece: dict[str, Tensor] = {}
    room = PIECE
    for name, value in tensors.items():
        if piece and value.nbytes > room:
            yield piece
            piece, room = {}, PIECE
        piece[name] = value
        room -= value.nbytes
    if piece:
        yield piece
