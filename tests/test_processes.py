"""Processes do not outlive the one that started them."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

STARTER = """
import os, time
from diffeditor.bench.pool import run_jobs

def make_worker():
    return work

def work(job):
    print(os.getpid(), flush=True)
    time.sleep(600)

if __name__ == "__main__":
    list(run_jobs(make_worker, [1, 2], 2))
"""
PATIENCE = 120.0
"""Seconds for processes to start, or to be gone, on a busy machine."""


def test_workers_of_a_benchmark_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "starter.py"
    script.write_text(STARTER)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        workers = [int(starter.stdout.readline()) for _ in range(2)]
        assert len(set(workers)) == 2
        starter.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while any(_lives(worker) for worker in workers):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.1)


def _lives(pid: int) -> bool:
    """Whether there is such a process; one that has ended and that nobody waited for is none."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
