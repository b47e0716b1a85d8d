"""Make the trimmed recordings of this folder from the complete ones.

    python tests/golden/trim.py SOURCE TARGET

SOURCE holds `model/`, `traces/` and `energy.{json,safetensors}`; what is kept of them, and in which
form, is said in README.md.
"""

import json
import shutil
import sys
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

Tensors = dict[str, Tensor]

STEPS = (0, 11, 22, 36)
"""Steps that are kept, with all their rounds: guided; stochastic and with the image prompt; time
travel; past the bank's window for two of the tasks."""

GUIDED = (0, 22)
"""Steps whose guidance is kept, in their first round."""

INVERSION = (1, 10, 25, 50)
"""Numbers of inversion steps after which the latents are kept."""

FREE_RUNS = ("move", "paste")
"""Traces that keep what a whole run needs: all draws, the result and its picture."""

CASES = (
    "move.128x128.rs1.0",
    "move.128x128.rs1.0.ref",
    "move.128x128.rs0.8",
    "move.128x128.rs1.25",
    "move.128x192.rs1.0",
    "move.noshift_NaN",
    "drag.128x128",
    "landmark.128x128",
    "appearance.128x128",
    "paste.128x128.rs1",
    "paste.128x192.rs1.25",
)
"""Cases of the energies that are kept."""


def main() -> None:
    source, target = (Path(folder) for folder in sys.argv[1:])
    for path in (p for p in (source / "model").rglob("*") if p.is_file()):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    for path in sorted((source / "traces").glob("*.json")):
        meta, tensors = _read(path)
        kept = trimmed(tensors, free_run=path.stem in FREE_RUNS)
        _write(target / path.name, {"task": meta["task"], "args": meta["args"]}, kept)
    (target / "energies").mkdir(exist_ok=True)
    meta, tensors = _read(source / "energy.json")
    facts = {name: {k: meta[name][k] for k in ("mode", "H", "W", "loss")} for name in CASES}
    _write(target / "energies" / "energy.json", facts, dict(energy_cases(tensors)))


def trimmed(tensors: Tensors, *, free_run: bool) -> Tensors:
    """What the comparison reads of a trace."""
    rows = _rows(tensors["steps/i"], STEPS)
    first = tensors["steps/ri"] == 0
    guided = [r for r in _rows(tensors["steps/i"], GUIDED) if first[r]]
    drawn = torch.tensor([free_run or int(i) in STEPS for i in tensors["sde/i"]])
    kept = {k: v for k, v in tensors.items() if _whole(k, free_run)}
    for key in ("i", "ri", "latent", "eps_uncond", "eps_text", "latent_prev"):
        kept[f"steps/{key}"] = tensors[f"steps/{key}"][rows]
    kept |= _group(tensors, "guid", guided, rows) | _group(tensors, "roll", rows, rows)
    kept["inv/index"] = torch.tensor(INVERSION)
    kept["inv/latents"] = tensors["inv/latents"][kept["inv/index"]]
    return kept | {f"sde/{key}": tensors[f"sde/{key}"][drawn] for key in ("i", "noise")}


def _whole(key: str, free_run: bool) -> bool:
    if key in ("edit/z_0", "out/image_rgb"):
        return free_run
    if key.startswith(("in/reference_image", "masks/mask_overlap", "masks/mask_x0")):
        return False  # not compared
    return key.startswith(("in/", "pre/", "masks/")) or key in ("inv/context", "edit/z_T")


def _rows(steps: Tensor, wanted: Iterable[int]) -> list[int]:
    return [row for row, i in enumerate(steps.tolist()) if i in wanted]


def _group(tensors: Tensors, group: str, wanted: list[int], rows: list[int]) -> Tensors:
    """The tensors of a group for the wanted rows, its rows counted anew among `rows`."""
    theirs = tensors[f"{group}/row"].tolist()
    kept = [k for k, row in enumerate(theirs) if row in wanted]
    picked = {k: v[kept] for k, v in tensors.items() if k.startswith(f"{group}/")}
    return picked | {f"{group}/row": torch.tensor([rows.index(theirs[k]) for k in kept])}


def energy_cases(tensors: Tensors) -> Iterable[tuple[str, Tensor]]:
    """Features, feature gradients and masks of the kept cases."""
    for key, value in tensors.items():
        case, name = key.split("/", 1)
        if case not in CASES or not name.startswith(("cur_", "tar", "grad_feat", "masks/mask_")):
            continue
        if name.startswith("masks/") and value.dtype is torch.bool and value.ndim == 3:
            yield key, torch.stack([mask.nonzero()[4] for mask in value])  # middle of 3 x 3 cells
        elif name.endswith("mask_x0_ref"):
            yield key, value > 0.5
        elif value.dtype is torch.bool or bool(value.isfinite().all()) and "masks/" not in name:
            yield key, value


def _read(path: Path) -> tuple[dict[str, Any], Tensors]:
    return json.loads(path.read_text("utf-8")), load_file(path.with_suffix(".safetensors"))


def _write(path: Path, meta: dict[str, Any], tensors: Tensors) -> None:
    """Outputs as int16 times a unit, pictures and masks as PNG bytes, the rest as it is."""
    units = {k: _unit(v) for k, v in tensors.items() if _is_output(k)}
    packed = {k: _packed(v) for k, v in tensors.items()}
    packed |= {k: (tensors[k] / unit).round().to(torch.int16) for k, unit in units.items()}
    save_file({k: packed[k].contiguous() for k in sorted(packed)}, path.with_suffix(".safetensors"))
    path.write_text(json.dumps({**meta, "units": units}, indent=1, sort_keys=True) + "\n", "utf-8")


def _is_output(key: str) -> bool:
    if "/grad_feat" in key:
        return True
    exact = ("steps/latent", "pre/latent0.0", "pre/latent0.1", "sde/noise")
    outputs = ("steps/", "guid/grad", "guid/guid", "roll/roll_eps", "inv/", "edit/", "pre/")
    discrete = ("steps/i", "steps/ri", "inv/index")
    return key.startswith(outputs) and key not in (*exact, *discrete)


def _unit(values: Tensor) -> float:
    return float(values.abs().max()) / torch.iinfo(torch.int16).max or 1.0


def _packed(values: Tensor) -> Tensor:
    if values.dtype not in (torch.uint8, torch.bool) or values.ndim < 2:
        return values
    pixels = values if values.shape[-1] == 3 else values.flatten(0, -2)
    file = BytesIO()
    Image.fromarray(pixels.to(torch.uint8).numpy()).save(file, "PNG", optimize=True)
    return torch.from_numpy(np.frombuffer(file.getvalue(), np.uint8).copy())


if __name__ == "__main__":
    main()
