"""WorldBench itself: every column makes every case, in as many processes as asked for."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path

import torch

from diffeditor.bench.columns import Column, column
from diffeditor.bench.drawing import asked, asked_path
from diffeditor.bench.judges import Judges
from diffeditor.bench.measure import Yardstick
from diffeditor.bench.store import Place, Record
from diffeditor.editor import Editor, load_editor
from diffeditor.tasks import TASKS
from diffeditor.worlds import Case, make_case

Job = tuple[str, int]
"""A task and the seed of a case."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What is run: which columns make which cases with which model, and where results go."""

    output: Path
    tasks: tuple[str, ...]
    columns: tuple[str, ...]
    seeds: range
    model: str = "embedded"
    device: str = "auto"
    processes: int = 1
    again: bool = False


class Bench:
    """Runs and measures cases of a setup in one process."""

    def __init__(self, setup: Setup, editor: Editor | None = None) -> None:
        self.setup = setup
        self.judges = Judges(setup.model)
        self.columns = [column(name) for name in setup.columns]
        self._given = editor

    @cached_property
    def editor(self) -> Editor:
        if self._given is not None:
            return self._given
        quiet_libraries()
        return load_editor(self.setup.model, device=self.setup.device)

    def place(self, task: str, one: Column) -> Place:
        """Where a column's results for a task are."""
        name = one.key(TASKS[task], self.judges.strengths(task))
        folder = Path("cases", self.judges.fingerprint, task, name)
        return Place(root=self.setup.output, folder=folder)

    def missing(self, job: Job) -> list[Column]:
        """The columns that have not made this case yet."""
        task, seed = job
        again = self.setup.again
        return [c for c in self.columns if again or self.place(task, c).read(seed) is None]

    def run(self, job: Job) -> Job:
        """Make and measure what is missing of a case."""
        missing = self.missing(job)
        if missing:
            case = make_case(*job, size=self.native_size)
            path = self.setup.output / asked_path(*job)
            path.parent.mkdir(parents=True, exist_ok=True)
            asked(case).save(path)
            yardstick = Yardstick(case=case, find_landmarks=self.judges.find_landmarks)
            for one in missing:
                self._make(one, case, yardstick)
        return job

    @property
    def native_size(self) -> int:
        return self.editor.native_size

    def _make(self, one: Column, case: Case, yardstick: Yardstick) -> None:
        place = self.place(case.task.name, one)
        made = one.make(case, lambda: self.editor)
        picture = place.save_picture(case.seed, made.picture)
        place.write(
            Record(
                task=case.task.name,
                column=one.name,
                seed=case.seed,
                values=yardstick.measure(place.picture(case.seed)),
                features=self.judges.features([made.picture])[0].round(5).tolist(),
                seconds=made.seconds,
                unet_samples=made.unet_samples,
                picture=picture,
            )
        )

    def records(self) -> list[Record]:
        """Everything of this setup that has been made so far."""
        return [
            record
            for task in self.setup.tasks
            for one in self.columns
            for seed in self.setup.seeds
            if (record := self.place(task, one).read(seed)) is not None
        ]


def run_worlds(setup: Setup, report: Callable[[str], None] = lambda line: None) -> None:
    """Make what is missing, case by case: each case of all tasks before the next seed.

    report: is told of each finished case, in one line.
    """
    bench = Bench(setup)
    jobs = [(task, seed) for seed in setup.seeds for task in setup.tasks]
    jobs = [job for job in jobs if bench.missing(job)]
    began = time.monotonic()
    for count, (task, seed) in enumerate(_finished(bench, jobs), start=1):
        left = (time.monotonic() - began) / count * (len(jobs) - count)
        report(f"{count}/{len(jobs)} {task} {seed}, {left / 60:.1f} min left")


def _finished(bench: Bench, jobs: Sequence[Job]) -> Iterator[Job]:
    """Run the jobs; yields each when it is done."""
    if bench.setup.processes == 1 or len(jobs) < 2:
        yield from map(bench.run, jobs)
        return
    context = get_context("spawn")
    pool = ProcessPoolExecutor(bench.setup.processes, context, _start, (bench.setup,))
    try:
        for future in as_completed([pool.submit(_run, job) for job in jobs]):
            yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_benches: list[Bench] = []
"""The bench of a worker process."""


def _start(setup: Setup) -> None:
    torch.set_num_threads(1)
    _benches.append(Bench(setup))


def _run(job: Job) -> Job:
    return _benches[0].run(job)


def quiet_libraries() -> None:
    """Keep the reports and progress bars of the libraries beneath out of the terminal."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for logging in (diffusers_logging, transformers_logging):
        logging.set_verbosity_error()
        logging.disable_progress_bar()


def to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
