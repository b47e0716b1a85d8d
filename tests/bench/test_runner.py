"""Runs of the benchmark: what is made once is kept, and runs can be stopped and enlarged."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from diffeditor.bench import runner
from diffeditor.bench.columns import Column
from diffeditor.bench.drawing import asked_path
from diffeditor.bench.runner import Bench, Setup, run_bench
from diffeditor.editor import Editor


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Names of the columns and cases that are made, as they are made."""
    names: list[tuple[str, str]] = []
    original = Column.make

    def noted(self: Column, case, editor, **how):  # type: ignore[no-untyped-def]
        names.append((self.name, case.name))
        return original(self, case, editor, **how)

    monkeypatch.setattr(Column, "make", noted)
    return names


def test_every_column_makes_every_case(setup: Setup, made: list[tuple[str, str]]) -> None:
    records = run_bench(setup, 1).records()
    assert len(made) == len(records) == 4
    for record in records:
        with Image.open(setup.output / record.picture) as picture:
            assert picture.size == (96, 96)
        assert (setup.output / asked_path(record.task, record.seed)).is_file()
    assert {r.values["psnr_region"] for r in records if r.column == "ground-truth"} == {60.0}


def test_a_second_run_makes_only_what_is_new(setup: Setup, made: list[tuple[str, str]]) -> None:
    run_bench(setup, 1)
    made.clear()
    run_bench(setup, 1)
    assert made == []
    run_bench(replace(setup, tasks=("move",), seeds=(0, 1)), 1)
    assert sorted(made) == [("ground-truth", "move-1"), ("no-edit", "move-1")]


def test_a_run_that_was_stopped_goes_on(setup: Setup, made: list[tuple[str, str]]) -> None:
    bench = run_bench(replace(setup, tasks=("move",)), 1)
    before = bench.records()
    bench.place("move", bench.columns[1]).file(0, "json").write_text('{"task": "mo')
    made.clear()
    after = run_bench(bench.setup, 1).records()
    assert made == [("no-edit", "move-0")]
    assert [r.values for r in after] == [r.values for r in before]


def test_new_metrics_are_measured_without_making_anything(
    setup: Setup, made: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_bench(setup, 1)
    made.clear()
    monkeypatch.setattr(runner, "VERSION", runner.VERSION + 1)
    assert Bench(setup).records() == []  # a report does not mix old measures with new ones
    records = run_bench(setup, 1).records()
    assert made == []
    assert {record.version for record in records} == {runner.VERSION}


def test_again_makes_everything_anew(setup: Setup, made: list[tuple[str, str]]) -> None:
    run_bench(setup, 1)
    made.clear()
    run_bench(replace(setup, again=True), 1)
    assert len(made) == 4


def test_columns_of_a_case_may_share_its_inversion(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inverted: list[bool] = []
    original = Editor.edit

    def noted(self, *given, **how):  # type: ignore[no-untyped-def]
        result = original(self, *given, **how)
        inverted.append(not result.metadata["inversion_cached"])
        return result

    monkeypatch.setattr(Editor, "edit", noted)
    quick = "no-sketch:steps=4:energy_scale=0.1"
    columns = (f"{quick}:eta_in=0", f"{quick}:eta_in=0.5")
    apart = replace(setup, tasks=("move",), seeds=(0, 1), columns=columns)
    shared = replace(apart, output=tmp_path / "shared", share_inversions=True)
    kept, alike = (run_bench(one, 1).records() for one in (apart, shared))
    assert [r.values for r in kept] == [r.values for r in alike]
    assert all(r.seconds and r.unet_samples == kept[0].unet_samples for r in kept)
    assert all(r.seconds is r.unet_samples is None for r in alike)
    assert inverted == [True] * 4 + [True, False] * 2


def test_equal_columns_share_results_under_their_own_names(
    setup: Setup, made: list[tuple[str, str]]
) -> None:
    names = ("no-sketch:steps=4:eta_in=0.30", "no-sketch:eta_in=0.3:steps=4")
    one = replace(setup, tasks=("move",), columns=(*names, names[0]))
    records = run_bench(one, 1).records()
    assert [record.column for record in records] == list(names)
    assert len(made) == 1 and records[0].values == records[1].values
    alone = Bench(replace(one, columns=names[1:])).records()
    assert [record.column for record in alone] == [names[1]]


def test_another_model_has_other_results(setup: Setup) -> None:
    run_bench(setup, 1)
    folder = Path(setup.model)
    other = setup.output / "other"
    for file in folder.rglob("*.*"):
        target = other / file.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    file = other / "scheduler" / "scheduler_config.json"
    file.write_text(file.read_text().replace("1000", "999"))
    assert Bench(replace(setup, model=str(other))).records() == []
