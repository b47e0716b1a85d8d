"""`diffeditor bench worlds` and `bench teeth` from the command line."""

import json
from pathlib import Path

import pytest

from diffeditor.cli import WRONG_INPUT, main


def words(command: str, folder: Path, output: Path, *more: str) -> list[str]:
    common = ["--model", str(folder), "--output", str(output), "--processes", "1"]
    return ["bench", command, *common, *more]


def test_a_run_prints_and_writes_its_tables(
    judged_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--tasks", "drag", "--cases", "2", "--columns", "ground-truth", "copy-paste"]
    asked += ["diffeditor:steps=4"]
    assert main(words("worlds", judged_folder, tmp_path, *asked)) == 0
    printed = capsys.readouterr().out
    assert "drag, 2 cases" in printed and "diffeditor:steps=4" in printed
    results = json.loads((tmp_path / "results.json").read_text())
    assert len(results["cases"]) == 6
    assert results["tables"][0]["seeds"] == [2000, 2001]
    assert (tmp_path / "report.html").is_file()
    assert main(words("worlds", judged_folder, tmp_path, *asked, "--report-only")) == 0
    assert capsys.readouterr().out == printed


def test_a_report_of_nothing_is_refused(
    judged_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = words("worlds", judged_folder, tmp_path, "--report-only", "--columns", "no-edit")
    assert main(given) == WRONG_INPUT
    assert "no results" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--cases", "0"], ["--processes", "0"], ["--first-seed", "-1"]])
def test_wrong_numbers_are_refused(judged_folder: Path, tmp_path: Path, wrong: list[str]) -> None:
    assert main(words("worlds", judged_folder, tmp_path, *wrong)) == WRONG_INPUT


def test_teeth_are_counted_by_column(
    judged_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--cases", "2", "--columns", "ground-truth", "no-edit"]
    assert main(words("teeth", judged_folder, tmp_path, *asked)) == 0
    counted = json.loads((tmp_path / "teeth.json").read_text())["columns"]
    assert counted["ground-truth"]["value"] == 1
    assert counted["no-edit"]["value"] == 0
