"""The recorded traces of the published release, stage by stage, with the recorded model."""

from pathlib import Path

import pytest

from benchmarks import parity
from benchmarks.parity import Comparison, Row, load_model
from benchmarks.traces import Trace
from diffeditor.backbones import StableDiffusion

GOLDEN = Path(__file__).resolve().parent / "golden"
TRACES = ("appearance", "drag", "face", "move", "move_fill", "move_scale", "paste")
WHOLE = "move"
"""Whole runs are long: one is made here, all that are recorded by `python -m benchmarks.parity`."""


@pytest.fixture(scope="module")
def recorded_model() -> StableDiffusion:
    return load_model(GOLDEN / "model")


def test_every_trace_is_compared() -> None:
    assert tuple(sorted(path.stem for path in GOLDEN.glob("*.json"))) == TRACES


@pytest.mark.parametrize("name", TRACES)
def test_every_stage_agrees_with_the_release(name: str, recorded_model: StableDiffusion) -> None:
    trace = Trace.load(GOLDEN / f"{name}.json")
    rows = list(Comparison(recorded_model, trace).rows(whole_run=name == WHOLE))
    assert [row for row in rows if not row.passed] == []
    stages = {row.stage for row in rows}
    assert {"inversion latents", "z_T", "eps with text", "guidance", "next latent"} <= stages
    assert ("free run z_0" in stages) == (name == WHOLE)


def test_a_changed_recording_is_noticed(recorded_model: StableDiffusion) -> None:
    trace = Trace.load(GOLDEN / "move.json")
    trace.tensors["masks/mask_cur"] = trace.tensors["masks/mask_other"]
    trace.tensors["pre/latent0.0"] = trace.tensors["pre/latent0.0"] + 1e-3
    comparison = Comparison(recorded_model, trace)
    missed = [row.stage for row in (*comparison.inputs(), *comparison.masks()) if not row.passed]
    assert missed == ["latents of picture 0", "masks/mask_cur (cells differing)"]


def test_without_arguments_it_reads_what_lies_in_the_repository(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[Path, Path]] = []
    monkeypatch.setattr(parity, "load_model", lambda folder: folder)
    monkeypatch.setattr(parity, "compare", lambda *folders: asked.append(folders) or True)
    monkeypatch.setattr("sys.argv", ["parity"])
    with pytest.raises(SystemExit) as ended:
        parity.main()
    assert ended.value.code == 0
    assert asked == [(GOLDEN / "model", GOLDEN)]


def test_a_value_that_is_not_a_number_misses_any_tolerance() -> None:
    assert not Row("stage", float("inf"), 1e9).passed
