"""Pictures from text, with the tiny model."""

import json
from pathlib import Path

import numpy as np
import pytest

from diffeditor.bench.samples import SAMPLES, Painter, Recipe
from diffeditor.cli import main


@pytest.fixture
def painter(judged_folder: Path, tmp_path: Path) -> Painter:
    return Painter(
        Recipe(
            output=tmp_path,
            model=str(judged_folder),
            device="cpu",
            steps=4,
            guidance=2.0,
            bf16=False,
        )
    )


def test_a_picture_depends_on_its_own_seed_alone(painter: Painter) -> None:
    together = painter.sample([SAMPLES, SAMPLES + 1])
    alone = painter.sample([SAMPLES + 1])
    assert np.abs(together[1].astype(int) - alone[0]).max() <= 1
    assert (together[0] != together[1]).any()


def test_the_command_goes_on_where_it_was(judged_folder: Path, tmp_path: Path) -> None:
    words = ["bench", "samples", "--output", str(tmp_path), "--model", str(judged_folder)]
    words += ["--steps", "4", "--processes", "1", "--count"]
    assert main([*words, "6"]) == 0
    first = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("3*.png")}
    assert len(first) == 6
    assert main([*words, "8"]) == 0
    assert all(file.stat().st_mtime_ns == time for file, time in first.items())
    (file,) = tmp_path.rglob("*.json")
    found = json.loads(file.read_text())
    assert found["count"] == 8
    assert set(found["distances"]) >= {"samples to renders", "renders to renders, faces"}
