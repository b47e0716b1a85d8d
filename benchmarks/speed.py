"""Seconds per phase of first and repeated edits, UNet samples, peak memory and start-up.

    python -m benchmarks.speed [--model embedded] [--steps 50] [--size 0] [--tasks move drag ...]

A repeated edit is another edit of the same picture: it finds the inversion and the reference
features in the cache. UNet samples count latents put through the network, so that one pass of
classifier-free guidance counts two. Everything is measured in this one run.
"""

import argparse
import resource
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import torch

from diffeditor import PRESETS, TASKS, Result, load_editor
from diffeditor.worlds import make_case

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = ("prepare", "invert", "sample", "decode", "total")


def peak_megabytes() -> float:
    """Largest resident size of this process so far, plus what tensors held on an accelerator."""
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    there = torch.accelerator.is_available()
    return host + (torch.accelerator.max_memory_allocated() / 2**20 if there else 0.0)


def row(label: str, result: Result) -> str:
    """One line of the table."""
    seconds = result.metadata["seconds"]
    phases = "".join(f"{seconds.get(phase, 0.0):9.2f}" for phase in COLUMNS)
    samples = result.metadata["unet_samples"]
    counts = "".join(f"{samples.get(kind, 0):10d}" for kind in ("eps", "features", "guided"))
    return f"{label:24}{phases}{counts}{peak_megabytes():10.0f}"


def edits(model: str, steps: int, size: int, tasks: list[str]) -> None:
    """The table of edits, two rows a task."""
    began = time.perf_counter()
    editor = load_editor(model)
    print(f"model {model} on {editor.device}, loaded in {time.perf_counter() - began:.1f} s")
    side = size or editor.native_size
    preset = replace(PRESETS["diffeditor"], steps=steps, resolution=side)
    print(f"{steps} steps, working size about {side} x {side}, {torch.get_num_threads()} threads")
    heads = "".join(f"{phase:>9}" for phase in COLUMNS)
    print(f"{'seconds':24}{heads}{'eps':>10}{'features':>10}{'guided':>10}{'peak MB':>10}")
    for name in tasks:
        case = make_case(name, seed=1, size=side)
        print(row(f"{name}, first", editor.edit(case.task, preset, seed=0)), flush=True)
        print(row(f"{name}, repeated", editor.edit(case.task, preset, seed=1)), flush=True)
        editor.clear_cache()


def first_page(port: int) -> float | None:
    """Seconds from starting app.py to its first page; None if it does not come in two minutes."""
    began = time.perf_counter()
    app = subprocess.Popen(
        [sys.executable, str(ROOT / "app.py"), "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while time.perf_counter() - began < 120:
            if _answers(port):
                return time.perf_counter() - began
            time.sleep(0.1)
        return None
    finally:
        app.terminate()
        app.wait()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds per phase, UNet samples and memory.")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--size", type=int, default=0, help="working size; 0: the model's own")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--no-page", action="store_true", help="do not time the page's start")
    args = parser.parse_args()
    edits(args.model, args.steps, args.size, args.tasks)
    if not args.no_page:
        seconds = first_page(port=7868)
        print("first page: not within 120 s" if seconds is None else f"first page: {seconds:.1f} s")


if __name__ == "__main__":
    main()
