"""One edit the way the published code runs it, beside ours: passes, seconds, memory, pictures.

    python -m benchmarks.release [--model embedded | --size sd15] [--task move] [--steps 50]
        [--resolution 512 768] [--dtype float32 bfloat16] [--device auto] [--repeat 5]
        [--guidance-scale 4] [--only-ends] [--json FILE]

The release's sequence of UNet calls is made again with this engine's own parts and numbers, on the
same weights in the same process (`benchmarks.release_pattern`); then one waste after another is
removed; then the Editor makes the edit, for the first time and once more. The guidance_scale is the
model's own, where it has one, or else the task's. All of it runs in the first dtype, the Editor in
the others too. Each round makes every edit once, in turn forwards and backwards; medians are shown.
How many times faster, and what share of the peak, is told by the seconds of computing on the CPU.
The exit status is 1 if a picture of the first dtype differs from the release's by more than 1 % of
the full scale.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.arithmetic import matmul_peak
from benchmarks.passes import KINDS
from benchmarks.random_model import random_stable_diffusion
from benchmarks.release_comparison import Comparison, Way
from diffeditor import PRESETS, TASKS, Preset
from diffeditor.backbones import StableDiffusion, load_stable_diffusion
from diffeditor.weights import find_model
from diffeditor.worlds import make_case


def release_preset(steps: int, side: int, guidance_scale: float | None) -> Preset:
    """The published code's constants, for whole pictures and without this project's additions."""
    return replace(
        PRESETS["release"],
        steps=steps,
        resolution=side,
        crop="none",
        detail=False,
        guidance_scale=guidance_scale,
    )


def table(comparison: Comparison, peaks: Mapping[str, float]) -> str:
    """The measured ways, one a line, and what follows from them in words."""
    release = comparison.pattern[0]
    heads = [*KINDS, "TFLOP", "seconds", "cpu s", "peak GB", "of peak", "faster", "differs"]
    lines = [f"{'':42}" + "".join(f"{head:>13}" for head in heads)]
    for way in (*comparison.pattern, *comparison.ours):
        lines.append(line(way, release, peaks[way.dtype]))
    first, again = comparison.ours[:2]
    arithmetic = [release.operations / way.operations for way in (first, again)]
    lines += [
        "",
        f"faster than the release's pattern: first edit {ratio(release, first):.2f} x, repeated "
        f"{ratio(release, again):.2f} x; by the arithmetic alone {arithmetic[0]:.2f} x and "
        f"{arithmetic[1]:.2f} x",
        *(
            f"a product of matrices in {dtype}: {peak / 1e12:.3f} TFLOP/s; at that, the first edit "
            f"takes {first.operations / peak:.2f} s, a repeated one {again.operations / peak:.2f} s"
            for dtype, peak in peaks.items()
        ),
    ]
    return "\n".join(lines)


def ratio(release: Way, way: Way) -> float:
    """How many times this way's seconds the release's are."""
    return release.effort() / way.effort()


def line(way: Way, release: Way, peak: float) -> str:
    """One line of the table."""
    cells = [
        *(f"{way.passes[kind]}" for kind in KINDS),
        f"{way.operations / 1e12:.3f}",
        f"{median(way.seconds):.2f}",
        f"{median(way.processor):.2f}",
        f"{way.peak[0] / 1e9:.2f}",
        f"{way.operations / way.effort() / peak:.0%}",
        f"{ratio(release, way):.2f}",
        f"{way.difference:.4f}",
    ]
    return f"{way.name + ', ' + way.dtype:42}" + "".join(f"{cell:>13}" for cell in cells)


def loaded(args: argparse.Namespace) -> dict[str, StableDiffusion]:
    """The model by dtype, on the device."""
    found: dict[str, StableDiffusion] = {}
    device = chosen_device(args.device)
    auto = "float32" if device.type == "cpu" else "float16"
    for dtype in args.dtype or [auto]:
        if args.size == "sd15":
            model = random_stable_diffusion()
        else:
            model = load_stable_diffusion(find_model(args.model), name=args.model)
        found[dtype] = model.to(device, getattr(torch, dtype))
    return found


def chosen_device(name: str) -> torch.device:
    """The device of this name; "auto" is the accelerator, if there is one."""
    if name != "auto":
        return torch.device(name)
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def main() -> int:
    parser = argparse.ArgumentParser(description="The release's way of an edit, beside ours.")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--size", choices=("embedded", "sd15"), default="embedded")
    parser.add_argument("--task", choices=list(TASKS), default="move")
    parser.add_argument("--resolution", type=int, nargs="+", help="sides; the model's own if none")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--dtype", nargs="+", choices=("float32", "float16", "bfloat16"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--guidance-scale", type=float, help="the model's own if none")
    parser.add_argument("--only-ends", action="store_true", help="remove no waste one by one")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    models = loaded(args)
    model = next(iter(models.values()))
    peaks = {dtype: matmul_peak(model.device, getattr(torch, dtype)) for dtype in models}
    facts = {
        "model": model.name,
        "device": str(model.device),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "task": args.task,
        "steps": args.steps,
        "guidance_scale": args.guidance_scale or "the model's own",
        "peaks": peaks,
    }
    tables: list[dict[str, Any]] = []
    same = True
    for side in args.resolution or [model.native_size]:
        task = make_case(args.task, seed=1, size=side).task
        preset = release_preset(args.steps, side, args.guidance_scale)
        comparison = Comparison(models, task, preset, only_ends=args.only_ends)
        load = os.getloadavg()[0]
        comparison.run(args.repeat, lambda text: print(text, file=sys.stderr, flush=True))
        print(f"\n{facts}, side {side}, load {load:.1f} to {os.getloadavg()[0]:.1f}")
        print(table(comparison, peaks), flush=True)
        ways = [way.as_json() for way in (*comparison.pattern, *comparison.ours)]
        tables.append({"side": side, "cost": asdict(comparison.cost()), "ways": ways})
        for way in comparison.differing():
            same = False
            print(f"{way.name}: the picture differs by {way.difference:.3f}")
    if args.json:
        args.json.write_text(json.dumps(facts | {"tables": tables}, indent=1), "utf-8")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
