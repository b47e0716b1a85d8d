"""Read named tensors from a file: safetensors, or a pickle whose reader agreed to it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from diffeditor.errors import ModelUnavailable

PICKLE_SUFFIXES = (".bin", ".ckpt", ".pt", ".pth")
SUFFIXES = (".safetensors", *PICKLE_SUFFIXES)

_WRAPPER = "state_dict"
"""Under this key training programs store what they trained, beside counters and settings."""


@dataclass(frozen=True, kw_only=True)
class TensorFile:
    """The tensors of a file by name, on the CPU, and the text that a safetensors file carries."""

    tensors: dict[str, Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


def read_tensors(path: Path, *, allow_pickle: bool = False) -> TensorFile:
    """The tensors of a file; nested groups of a pickle become dotted names.

    Args:
        allow_pickle: also read PyTorch's own format, with weights_only: no code in it can run.

    Raises:
        ModelUnavailable: the file is damaged, a pickle that was not allowed, or holds no finite
            tensors.
    """
    pickled = path.suffix.lower() != ".safetensors"
    if pickled and not allow_pickle:
        raise ModelUnavailable(
            f"{path} is a pickle file; convert it to safetensors, or allow it explicitly."
        )
    try:
        read = _from_pickle(path) if pickled else _from_safetensors(path)
    except Exception as error:
        raise ModelUnavailable(
            f"{path} is damaged or not a weights file; download it again."
        ) from error
    check_finite(read.tensors, path)
    return read


def check_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raises ModelUnavailable where there is no tensor, or one that is not all numbers."""
    if not tensors:
        raise ModelUnavailable(f"{path} holds no tensors; get the file again.")
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ModelUnavailable(
                f"{path} is damaged: {name} holds values that are no numbers; get the file again."
            )


def _from_safetensors(path: Path) -> TensorFile:
    with safe_open(str(path), framework="pt") as file:  # type: ignore[no-untyped-call]
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        return TensorFile(tensors=tensors, metadata=file.metadata() or {})


def _from_pickle(path: Path) -> TensorFile:
    held = torch.load(path, map_location="cpu", weights_only=True)
    while _WRAPPER in held:
        held = held[_WRAPPER]
    return TensorFile(tensors=dict(_named(held, "")))


def _named(held: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in held.items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(value, Mapping):
            yield from _named(value, f"{prefix}{name}.")
