"""Memory over many mixed edits: tasks, sizes, cancelled runs and devices that run out of memory.

    python -m benchmarks.memory [--model embedded] [--edits 200] [--steps 6] [--side PIXELS]

Twenty photographs come again and again, each with its task. Some edits are closed before their end,
some meet a UNet that raises torch.OutOfMemoryError in the middle of an evaluation, once or as often
as it is tried: a forward hook of this script does that, the product knows nothing of it. What ran
out once must end by a more frugal plan, the others in OutOfMemory, and the edit after must work.
After every round of twenty the inversions are forgotten and the resident memory is printed. The
exit status is 1 if it has grown by 2 % or more since the first round, or if an edit failed.
"""

import argparse
import gc
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import replace

import numpy as np
import psutil
import torch
from torch import nn

from benchmarks.photographs import drawn_size, edit_of, taken
from diffeditor import PRESETS, TASKS, OutOfMemory, Preset
from diffeditor.backbones import load_stable_diffusion
from diffeditor.editor import AGAIN, Editor
from diffeditor.memory_policy import MEMORY_CHOICES, PLANS
from diffeditor.tasks import Task
from diffeditor.weights import find_model

ROUND = 20
MOST = 1500
"""Pixels: the longest side of a photograph."""

LIMIT = 0.02
CANCELS, FAILS = 7, 11
"""Every seventh edit is closed before its end, every eleventh runs out of memory."""


def task_of(number: int) -> Task:
    """One of a round's twenty edits; always the same."""
    rng = np.random.default_rng(number)
    photo = taken(number, drawn_size(rng, MOST), rng)
    return edit_of(photo, list(TASKS)[number % len(TASKS)], rng)


@contextmanager
def out_of_memory(unet: nn.Module, call: int, tries: int) -> Generator[None]:
    """Within the block, evaluation number `call` of the first tries of an edit finds no memory."""
    calls = iter(range(1, sys.maxsize))

    def fail(*_: object) -> None:
        number = next(calls)
        if number % call == 0 and number // call <= tries:
            raise torch.OutOfMemoryError("no memory, says the benchmark")

    hook = unet.get_submodule("mid_block").register_forward_pre_hook(fail)
    try:
        yield
    finally:
        hook.remove()


def run(editor: Editor, unet: nn.Module, number: int, preset: Preset) -> str:
    """One edit of the series; how it ended."""
    task = task_of(number % ROUND)
    if number % FAILS == FAILS - 1:
        tries = 1 + number % 2 * len(PLANS)
        with out_of_memory(unet, 1 + number % (2 * preset.steps), tries):
            try:
                result = editor.edit(task, preset, seed=number)
            except OutOfMemory:
                return "out of memory" if tries > 1 else "not tried again"
        begun_again = AGAIN in result.metadata["warnings"]
        return "done more frugally" if begun_again and tries == 1 else "no lack of memory"
    with closing(editor.stream(task, preset, seed=number)) as steps:
        for step in steps:
            if number % CANCELS == CANCELS - 1 and step.index > number % step.total:
                return "cancelled"
            if step.result is not None:
                return "done"
    return "no result"


def megabytes() -> float:
    """Resident memory of this process, and what tensors hold on an accelerator."""
    gc.collect()
    device = torch.accelerator.memory_allocated() if torch.accelerator.is_available() else 0
    return (psutil.Process().memory_info().rss + device) / 2**20


def main() -> int:
    parser = argparse.ArgumentParser(description="Memory over many mixed edits.")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--edits", type=int, default=200)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--memory", choices=MEMORY_CHOICES, default="auto")
    parser.add_argument("--side", type=int, help="working size; the model's own if not given")
    args = parser.parse_args()
    backbone = load_stable_diffusion(find_model(args.model), name=args.model)
    editor, preset = (
        Editor(backbone, memory=args.memory),
        replace(PRESETS["no-sketch"], steps=args.steps, resolution=args.side),
    )
    endings: list[str] = []
    held: list[float] = []
    for number in range(args.edits):
        endings.append(run(editor, backbone.unet, number, preset))
        if len(endings) % ROUND == 0:
            editor.clear_cache()
            held.append(megabytes())
            print(f"{len(endings):4} edits {held[-1]:9.1f} MB", flush=True)
    print(", ".join(f"{endings.count(kind)} {kind}" for kind in sorted(set(endings))))
    growth = held[-1] / held[0] - 1
    print(f"growth after the first {ROUND}: {growth:.2%} (less than {LIMIT:.0%} wanted)")
    broken = set(endings) - {"done", "cancelled", "out of memory", "done more frugally"}
    return 1 if broken or growth >= LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())
