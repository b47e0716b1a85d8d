"""Jobs done one after the other by several processes of one thread each.

Two processes of one thread finish more edits than one process of two threads, which wait for each
other in every operation.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

import torch

from diffeditor.errors import DiffEditorError
from diffeditor.processes import end_with_parent

JobT = TypeVar("JobT")
DoneT = TypeVar("DoneT")


class WorkerFailed(DiffEditorError):
    """A process ended before its work was done."""


def run_jobs(
    make_worker: Callable[[], Callable[[JobT], DoneT]], jobs: Sequence[JobT], processes: int
) -> Iterator[DoneT]:
    """Results of a worker on all jobs, in the order in which they are finished.

    make_worker: makes one worker a process; it is sent to each, so it must be picklable.

    Raises:
        WorkerFailed: a process ended; what was finished before is kept by the worker.
    """
    if processes == 1 or len(jobs) < 2:
        yield from map(make_worker(), jobs)
        return
    context = get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, _start, (make_worker,))
    try:
        for future in as_completed([pool.submit(_work, job) for job in jobs]):
            yield future.result()
    except BrokenProcessPool as error:
        raise WorkerFailed(
            "A process of the benchmark ended early, perhaps for lack of memory; run it again "
            "with fewer --processes to go on."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_worker: list[Callable[..., Any]] = []
"""The worker of this process."""


def _start(make_worker: Callable[[], Callable[..., Any]]) -> None:
    end_with_parent()
    torch.set_num_threads(1)
    _worker.append(make_worker())


def _work(job: Any) -> Any:
    return _worker[0](job)


def told(done: Iterator[DoneT], total: int, what: str) -> Iterator[DoneT]:
    """The same results; each is counted on stderr, with an estimate of the time left."""
    began = time.monotonic()
    for count, one in enumerate(done, start=1):
        left = (time.monotonic() - began) / count * (total - count) / 60
        print(f"{what} {count}/{total}, {left:.1f} min left", file=sys.stderr, flush=True)
        yield one
