"""WorldBench itself: every column makes every case, and each result is measured and kept."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from PIL import Image

from diffeditor.backbones.quiet import quiet_libraries
from diffeditor.bench.columns import Column, column
from diffeditor.bench.drawing import asked, asked_path
from diffeditor.bench.judges import Judges
from diffeditor.bench.measure import VERSION, Yardstick
from diffeditor.bench.pool import run_jobs, told
from diffeditor.bench.store import Place, Record
from diffeditor.editor import Editor, load_editor
from diffeditor.tasks import TASKS
from diffeditor.worlds import Case, make_case

Job = tuple[str, int]
"""A task and the seed of a case."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What is run: which columns make which cases with which model, and where results go.

    again: make also what has been made.
    share_inversions: let the columns of a case use each other's inversions. Quicker, with the same
        pictures; what is made so has no costs, since only the first pays for the inversion.
    """

    output: Path
    tasks: tuple[str, ...]
    columns: tuple[str, ...]
    seeds: tuple[int, ...]
    model: str = "embedded"
    device: str = "auto"
    again: bool = False
    share_inversions: bool = False


class Bench:
    """Makes and measures the cases of a setup in one process; call it with a job."""

    def __init__(self, setup: Setup) -> None:
        quiet_libraries()
        self.setup = setup
        self.judges = Judges(setup.model)
        self.columns = [column(name) for name in dict.fromkeys(setup.columns)]

    @cached_property
    def editor(self) -> Editor:
        """The editor, loaded when it is first needed."""
        return load_editor(self.setup.model, device=self.setup.device, dtype="float32")

    def __call__(self, job: Job) -> Job:
        """Make and measure what is missing of a case."""
        due = self.due(job)
        if due:
            case = make_case(*job, size=self.editor.native_size)
            self._draw(case)
            yardstick = Yardstick(case=case, find_landmarks=self.judges.find_landmarks)
            for one in due:
                self._make(one, case, yardstick)
            if self.setup.share_inversions:
                self.editor.clear_cache()
        return job

    def due(self, job: Job) -> list[Column]:
        """The columns that have yet to make a case, or to be measured anew."""
        task, seed = job
        kept = ((one, self.place(task, one).read(seed)) for one in self.columns)
        return [one for one, record in kept if self.setup.again or not _valid(record)]

    def place(self, task: str, one: Column) -> Place:
        """Where a column's results for a task are."""
        name = one.key(TASKS[task], self.judges.strengths(task))
        folder = Path("cases", self.judges.fingerprint, task, name)
        return Place(root=self.setup.output, folder=folder)

    def records(self) -> list[Record]:
        """All that the columns have made of the setup's cases so far."""
        return [record for record, _ in self.kept()]

    def kept(self) -> Iterator[tuple[Record, Place]]:
        """The records with where they, and their pictures, are; not those of other metrics.

        Columns of equal settings, however they are spelled, have the same results.
        """
        for task in self.setup.tasks:
            for one in self.columns:
                place = self.place(task, one)
                for seed in self.setup.seeds:
                    record = place.read(seed)
                    if record is not None and _valid(record):
                        yield replace(record, column=one.name), place

    def _draw(self, case: Case) -> None:
        path = self.setup.output / asked_path(case.task.name, case.seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        asked(case).save(path)

    def _make(self, one: Column, case: Case, yardstick: Yardstick) -> None:
        """Make a result, unless it is there and only its measures are old, and measure it."""
        place = self.place(case.task.name, one)
        record = None if self.setup.again else place.read(case.seed)
        if record is None:
            shares = self.setup.share_inversions
            made = one.make(case, lambda: self.editor, anew=not shares)
            place.save_picture(case.seed, made.picture)
            seconds, unet_samples = (None, None) if shares else (made.seconds, made.unet_samples)
            feather = made.feather
        else:
            seconds, unet_samples = record.seconds, record.unet_samples
            feather = record.feather
        picture = place.picture(case.seed)
        place.write(
            Record(
                task=case.task.name,
                column=one.name,
                seed=case.seed,
                version=VERSION,
                values=yardstick.measure(picture, feather),
                features=self.judges.features([Image.fromarray(picture)])[0].round(5).tolist(),
                seconds=seconds,
                unet_samples=unet_samples,
                feather=feather,
                picture=place.name(case.seed),
            )
        )


def _valid(record: Record | None) -> bool:
    """Whether there is a record, and it was measured as it would be now."""
    return record is not None and record.version == VERSION


def run_bench(setup: Setup, processes: int) -> Bench:
    """Make what is missing, each case of all tasks before the next seed; returns a bench of it.

    Raises:
        WorkerFailed: a process ended; what was made before is kept.
    """
    bench = Bench(setup)
    every = [(task, seed) for seed in setup.seeds for task in setup.tasks]
    jobs = [job for job in every if bench.due(job)]
    for _ in told(run_jobs(partial(Bench, setup), jobs, processes), len(jobs), "case"):
        pass
    return bench
