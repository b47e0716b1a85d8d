"""Several processes on one machine that train one model together.

On a CPU two processes of one thread each, which meet once a step, keep their pace on a busy
machine; two threads of one process wait for each other in every operation.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator

from diffeditor.device import HOST, multiplies_bfloat16
from diffeditor.errors import Cancelled, DiffEditorError
from diffeditor.processes import end_with_parent


class TrainingFailed(DiffEditorError):
    """One of the processes ended with an error, which it has printed."""


PATIENCE = timedelta(hours=1)
"""How long a process waits for another, which may be drawing sample sheets."""

STOPPED = 3
"""Exit status of a process that a signal ended in good order."""


def best_precision(device: torch.device) -> str:
    """bf16 where the device has instructions for it: its range needs no scaling of the loss."""
    return "bf16" if multiplies_bfloat16(device) else "no"


def accelerator_on(device: torch.device, precision: str) -> Accelerator:
    """Accelerate's door to a device that `find_device` found."""
    if device.type != HOST.type:
        torch.accelerator.set_device_index(device)
    return Accelerator(cpu=device.type == HOST.type, mixed_precision=precision)


def launch(work: Callable[..., None], processes: int, *args: Any) -> None:
    """Run `work(*args)` in this process, or in `processes` new ones joined by gloo.

    SIGTERM and SIGINT are passed on, so that each process can write its checkpoint. The new ones
    stop in the same way when this one is killed.

    Raises:
        TrainingFailed: a process ended with an error; the others are then stopped.
        Cancelled: a signal ended the work.
    """
    if processes == 1:
        work(*args)
        return
    with tempfile.TemporaryDirectory(prefix="diffeditor-train-") as folder:
        meeting = Path(folder) / "meeting"
        context = get_context("spawn")
        parting = context.Barrier(processes, timeout=PATIENCE.total_seconds())
        started = [
            context.Process(target=_join, args=(rank, processes, meeting, parting, work, args))
            for rank in range(processes)
        ]
        for one in started:
            one.start()
        _wait(started)


def _join(
    rank: int,
    processes: int,
    meeting: Path,
    parting: Barrier,
    work: Callable[..., None],
    args: tuple[Any, ...],
) -> None:
    """Meet the others at a file, do the work, and part when all have done theirs.

    A process that closed its connections while another, on a busy machine, had yet to wake up from
    their last meeting would make that one fail with "Connection closed by peer".
    """
    end_with_parent()
    threads = max(1, (os.cpu_count() or 1) // processes)
    torch.set_num_threads(threads)
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "OMP_NUM_THREADS": str(threads),
    }
    dist.init_process_group(
        "gloo", init_method=meeting.as_uri(), rank=rank, world_size=processes, timeout=PATIENCE
    )
    status = 0
    try:
        work(*args)
    except Cancelled:
        status = STOPPED
    parting.wait()
    dist.destroy_process_group()
    raise SystemExit(status)


def _wait(started: list[SpawnProcess]) -> None:
    """Wait for all; pass signals on; when one fails, stop the rest."""

    def stop(*_: Any) -> None:
        for one in started:
            one.terminate()

    signals = (signal.SIGTERM, signal.SIGINT)
    previous = {one: signal.signal(one, stop) for one in signals}
    try:
        while any(one.is_alive() for one in started):
            for one in started:
                one.join(0.5)
            if any(one.exitcode not in (None, 0, STOPPED) for one in started):
                for one in started:
                    one.kill()
    finally:
        for one, handler in previous.items():
            signal.signal(one, handler)
    if all(one.exitcode == STOPPED for one in started):
        raise Cancelled("Training was stopped; run it again to go on from the checkpoint.")
    if any(one.exitcode for one in started):
        raise TrainingFailed("Training stopped because one of its processes failed; see the log.")
