"""Processes do not outlive the one that started them."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

STARTER = """
import os, sys, time
from pathlib import Path
from diffeditor.bench.pool import run_jobs

def make_worker():
    return work

def work(job):
    (Path(__file__).parent / f"{os.getpid()}.pid").touch()
    time.sleep(600)

if __name__ == "__main__":
    list(run_jobs(make_worker, [1, 2], 2))
"""
PATIENCE = 120.0
"""Seconds for processes to start, or to be gone, on a busy machine."""


def test_workers_of_a_benchmark_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "starter.py"
    script.write_text(STARTER)
    starter = subprocess.Popen([sys.executable, str(script)])
    try:
        _wait_until(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
    finally:
        starter.kill()
        starter.wait()
    workers = [int(file.stem) for file in tmp_path.glob("*.pid")]
    _wait_until(lambda: not any(_lives(worker) for worker in workers))


def _wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.1)


def _lives(pid: int) -> bool:
    """Whether there is such a process; one that has ended and that nobody waited for is none."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
