"""Tables: which cases they are over, and what is in their cells."""

from dataclasses import replace

import numpy as np
import pytest

from diffeditor.bench.store import Record
from diffeditor.bench.tables import Table, as_markdown, as_text, cell_text, number, table


def record(column: str, seed: int, task: str = "face", **values: float) -> Record:
    features = np.random.default_rng(seed).normal(size=3) + (column != "ground-truth")
    return Record(
        task=task,
        column=column,
        seed=seed,
        version=1,
        values=values,
        features=features.tolist(),
        seconds=2.0,
        unet_samples=100,
        feather=0.0,
        picture=f"{column}/{seed}.png",
    )


def cell(one: Table, label: str, column: str):  # type: ignore[no-untyped-def]
    line = next(line for line in one.lines if line.label == label)
    return line.cells[one.columns.index(column)]


def test_only_cases_of_all_columns_count() -> None:
    records = [record("no-edit", s, psnr_region=10.0 * s) for s in (1, 2, 3)]
    records += [record("diffeditor", s, psnr_region=40.0) for s in (2, 3, 4)]
    one = table("face", ["no-edit", "diffeditor", "copy-paste"], records)
    assert one.columns == ("no-edit", "diffeditor")
    assert one.seeds == (2, 3)
    assert cell(one, "PSNR region, dB", "no-edit").value == 25
    assert cell(one, "PSNR region, dB", "no-edit").count == 2


def test_ratios_are_of_sums_over_cases() -> None:
    records = [
        record("diffeditor", 1, mse_after_17=1.0, mse_before_17=10.0),
        record("diffeditor", 2, mse_after_17=5.0, mse_before_17=10.0),
        record("dragondiffusion", 1, mse_after_17=2.0, mse_before_17=10.0),
        record("dragondiffusion", 2, mse_after_17=10.0, mse_before_17=10.0),
    ]
    one = table("face", ["diffeditor", "dragondiffusion"], records)
    assert cell(one, "MSE after/before, 17 points", "diffeditor").value == 0.3
    against = "MSE after/dragondiffusion's, 17 points"
    assert cell(one, against, "diffeditor").value == 0.5
    assert cell(one, against, "dragondiffusion").value == 1


def test_the_share_of_the_way_is_that_of_all_cases_together() -> None:
    records = [
        record("diffeditor", 1, progress_17=9.0, mse_before_17=9.0),
        record("diffeditor", 2, progress_17=0.0, mse_before_17=1.0),
    ]
    one = table("face", ["diffeditor"], records)
    assert cell(one, "share of the way, 17 points", "diffeditor").value == 0.9


def test_cases_without_a_metric_are_left_out_of_its_line() -> None:
    records = [record("no-edit", 1, mse_after_17=4.0), record("no-edit", 2)]
    one = table("face", ["no-edit"], records)
    assert cell(one, "MSE after, 17 points, px^2", "no-edit").count == 1
    assert all(line.label != "MSE after, 68 points, px^2" for line in one.lines)


def test_a_line_of_few_cases_tells_how_many_and_no_interval() -> None:
    records = [record("no-edit", s, psnr_region=float(s)) for s in range(9)]
    few = [replace(r, values={} if r.seed > 3 else r.values) for r in records]
    all_, some = (table("face", ["no-edit"], rows) for rows in (records, few))
    assert "| 4.00 ±" in as_markdown(all_) and "(9)" not in as_markdown(all_)
    assert "| PSNR region, dB | 1.50 (4) |" in as_markdown(some)


def test_gains_over_copying_are_taken_case_by_case() -> None:
    values = {"copy-paste": (10.0, 20.0, 30.0), "diffeditor": (11.0, 21.0, 32.0)}
    records = [
        record(name, seed, psnr_region=value)
        for name, row in values.items()
        for seed, value in enumerate(row)
    ]
    found = cell(
        table("face", list(values), records), "PSNR region over copy-paste's, dB", "diffeditor"
    )
    assert found.value == pytest.approx(4 / 3)
    assert 1 <= found.low <= found.high <= 2  # far narrower than the spread of either column


def test_the_frechet_distance_is_to_the_truth() -> None:
    records = [record(name, s) for name in ("ground-truth", "no-edit") for s in range(12)]
    one = table("face", ["ground-truth", "no-edit"], records)
    assert cell(one, "Fréchet distance", "ground-truth").value == pytest.approx(0, abs=1e-9)
    assert cell(one, "Fréchet distance", "no-edit").value == pytest.approx(3)


def test_no_results_make_an_empty_table() -> None:
    one = table("move", ["no-edit"], [])
    assert (one.columns, one.seeds, one.lines) == ((), (), ())
    assert as_text(one) == "move, 0 cases\n  "


def test_text_and_markdown_say_the_same() -> None:
    records = [record(name, 1, psnr_region=20.0) for name in ("no-edit", "diffeditor")]
    one = table("face", ["no-edit", "diffeditor"], records)
    text, markdown = as_text(one), as_markdown(one)
    assert "20.0" in text and "| PSNR region, dB | 20.0 | 20.0 |" in markdown
    assert markdown.splitlines()[1] == "|---|---:|---:|"


@pytest.mark.parametrize(
    ("value", "text"), [(123.4, "123"), (-45.67, "-45.7"), (1.234, "1.23"), (0.3047, "0.305")]
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_an_empty_cell_is_empty() -> None:
    assert cell_text(None, 9) == ""
