"""Convert image-prompt files between the layouts in use, without changing a bit of their tensors.

    ours             .safetensors, `image_proj.*` and `ip_adapter.*`; the metadata tell the width of
                     the encoder's heads
    released         .bin, a pickle of {"image_proj": {...}, "ip_adapter": {...}}: DiffEditor's
                     `ip_sd15_64.bin`
    ip-adapter-plus  .bin of the same groups, or .safetensors with dotted names: IP-Adapter's
                     `ip-adapter-plus_sd15`

The tensors' names are the same in all of them: IP-Adapter's. What others read knows no metadata, so
that programs for the released layouts take some sizes for granted.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from safetensors.torch import save
from torch import Tensor

from diffeditor.errors import InvalidSetting
from diffeditor.image_prompt import HEAD_WIDTH, ImagePrompt, ImagePromptConfig
from diffeditor.tensorfile import read_tensors

Write = Callable[[Mapping[str, Tensor], int, Path], None]
"""(tensors by dotted name, width of a head, file): write a file."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How files of a kind are written, by suffix, and what their readers take for granted.

    heads: channels of a head of the encoder; depth: its blocks; None where the file tells.
    """

    writers: Mapping[str, Write]
    heads: int | None = None
    depth: int | None = None


def _write_flat(tensors: Mapping[str, Tensor], head_width: int, path: Path) -> None:
    path.write_bytes(save(dict(tensors), {"dim_head": str(head_width)}))


def _write_groups(tensors: Mapping[str, Tensor], _: int, path: Path) -> None:
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        group, _dot, rest = name.partition(".")
        groups.setdefault(group, {})[rest] = tensor
    torch.save(groups, path)


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        "ours": Layout(writers={".safetensors": _write_flat}),
        "released": Layout(writers={".bin": _write_groups}, heads=HEAD_WIDTH),
        "ip-adapter-plus": Layout(
            writers={".safetensors": _write_flat, ".bin": _write_groups},
            heads=HEAD_WIDTH,
            depth=4,
        ),
    }
)
"""What a file can be converted to, by name."""


def convert_image_prompt(source: Path, target: Path, layout: str = "ours") -> None:
    """Write the image prompt of one file, in whatever layout it has, in another one.

    source: a pickle is read with weights_only, so that no code in it can run.

    Raises:
        ModelUnavailable: the source is missing, damaged or no image prompt.
        InvalidSetting: there is no such layout, its files end otherwise, its readers could not
            read this image prompt, or the target cannot be written.
    """
    if layout not in LAYOUTS:
        raise InvalidSetting(f"The layout must be one of {', '.join(LAYOUTS)}, not {layout!r}.")
    chosen = LAYOUTS[layout]
    write = chosen.writers.get(target.suffix)
    if write is None:
        endings = " or ".join(chosen.writers)
        raise InvalidSetting(f"A file of the layout {layout!r} must end in {endings}: {target}.")
    config = ImagePrompt.load(source, allow_pickle=True).image_proj.config
    _check_sizes(config, chosen, layout)
    tensors = read_tensors(source, allow_pickle=True).tensors
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    _write_whole(target, lambda unfinished: write(contiguous, config.dim_head, unfinished))


def _check_sizes(config: ImagePromptConfig, layout: Layout, name: str) -> None:
    needed = {
        "channels a head": (layout.heads, config.dim_head),
        "blocks": (layout.depth, config.depth),
    }
    for what, (taken, has) in needed.items():
        if taken is not None and taken != has:
            raise InvalidSetting(
                f"Readers of the layout {name!r} expect {taken} {what}, and this image prompt has "
                f"{has}; keep it in the layout 'ours'."
            )


def _write_whole(target: Path, write: Callable[[Path], None]) -> None:
    """Write a file that appears whole or not at all."""
    unfinished = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        write(unfinished)
        os.replace(unfinished, target)
    except (OSError, RuntimeError) as error:  # torch.save raises RuntimeError
        unfinished.unlink(missing_ok=True)
        raise InvalidSetting(f"{target} cannot be written; choose another path.") from error
