"""Jobs in one and in two processes."""

import os
from functools import partial
from operator import methodcaller

import pytest

from diffeditor.bench.pool import WorkerFailed, run_jobs, told


@pytest.mark.parametrize("processes", [1, 2])
def test_all_jobs_are_done(processes: int) -> None:
    done = run_jobs(partial(methodcaller, "upper"), ["a", "b", "c"], processes)
    assert sorted(done) == ["A", "B", "C"]


def test_a_process_that_ends_is_reported() -> None:
    with pytest.raises(WorkerFailed, match="run it again"):
        list(run_jobs(partial(partial, os._exit), [1, 1], 2))


def test_progress_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(told(iter("xy"), 2, "case")) == ["x", "y"]
    assert capsys.readouterr().err.splitlines()[-1] == "case 2/2, 0.0 min left"
