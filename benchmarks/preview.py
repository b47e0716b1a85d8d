"""Milliseconds of the instant preview of each task, and how near it comes to the right answer.

    python -m benchmarks.preview [--sizes 512 1024] [--runs 15] [--cases 8]

Times are of one case of a task: the median and the shortest of all runs in wall-clock time, and the
median in processor time, which other programs disturb less. PSNR is over the pixels that the edit
may change, of the source as it is and of the preview, means over cases of 128 pixels.
"""

import argparse
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch

from diffeditor import TASKS, instant_preview
from diffeditor.tasks import Task
from diffeditor.worlds import make_case

THREADS = 2
SMALL = 128


def milliseconds(task: Task, runs: int, clock: Callable[[], float]) -> list[float]:
    """Of each run, after one that is not counted."""
    instant_preview(task)
    seconds: list[float] = []
    for _ in range(runs):
        began = clock()
        instant_preview(task)
        seconds.append(clock() - began)
    return [1000 * value for value in seconds]


def psnr(picture: np.ndarray, truth: np.ndarray, region: np.ndarray) -> float:
    """Decibels over the region."""
    error = np.square(picture[region].astype(float) - truth[region]).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def nearness(name: str, cases: int) -> tuple[float, float]:
    """Mean PSNR of the source and of the preview."""
    values: list[tuple[float, float]] = []
    for seed in range(cases):
        case = make_case(name, seed, SMALL)
        pictures = (case.task.source, instant_preview(case.task))
        before, after = (psnr(np.asarray(p), case.truth, case.region) for p in pictures)
        values.append((before, after))
    before, after = np.mean(values, axis=0)
    return before, after


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--cases", type=int, default=8)
    options = parser.parse_args()
    cv2.setNumThreads(THREADS)
    torch.set_num_threads(THREADS)
    print(f"{THREADS} threads; milliseconds, median and shortest of {options.runs} runs")
    print(f"{'task':12}{'pixels':>8}{'median':>9}{'shortest':>9}{'processor':>10}")
    for size in options.sizes:
        for name in TASKS:
            task = make_case(name, 1, size).task
            wall = milliseconds(task, options.runs, time.perf_counter)
            busy = milliseconds(task, options.runs, time.process_time)
            figures = f"{np.median(wall):9.1f}{min(wall):9.1f}{np.median(busy):10.1f}"
            print(f"{name:12}{size:8}{figures}", flush=True)
    print(f"\n{'task':12}{'source, dB':>12}{'preview, dB':>12}")
    for name in TASKS:
        before, after = nearness(name, options.cases)
        print(f"{name:12}{before:12.2f}{after:12.2f}", flush=True)


if __name__ == "__main__":
    main()
