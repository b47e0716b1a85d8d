"""Inversion and back, with the tiny model."""

import json
from pathlib import Path

import numpy as np
import pytest

from diffeditor.bench.reconstruction import WAYS, WITHOUT, Reconstructor, Shown, batches, summary
from diffeditor.cli import main


def test_batches_hold_one_kind_each() -> None:
    made = list(batches(100, 10))
    assert sorted(seed for batch in made for seed in batch) == list(range(100, 120))
    assert all(len({seed % 2 for seed in batch}) == 1 for batch in made)


def test_more_steps_bring_the_latents_nearer(judged_folder: Path) -> None:
    """Of every way; the tiny model's noise is nearly none, and so is its error."""
    errors: dict[int, float] = {}
    for steps in (4, 16):
        one = Reconstructor(str(judged_folder), "cpu", steps, 0.5)
        shown = one((2, 4))
        assert {s.way for s in shown} == {"source", "autoencoder", *WAYS}
        values = [s.psnr_decoded for s in shown if s.way == "caption, image prompt"]
        errors[steps] = float(np.mean(values))
    assert errors[16] > errors[4]


def test_guidance_changes_what_has_conditions_alone(judged_folder: Path) -> None:
    """Without a caption and an image prompt, both halves of the guidance are one."""
    plain, guided = (
        {
            shown.way: shown.psnr_decoded
            for shown in Reconstructor(str(judged_folder), "cpu", 4, 1.0, scale)((2,))
        }
        for scale in (1.0, 9.0)
    )
    assert guided["nothing"] == pytest.approx(plain["nothing"], abs=1e-3)
    for way in ("caption", "image prompt", "as in an edit"):
        assert guided[way] != pytest.approx(plain[way], abs=1e-3), way


def test_the_summary_takes_medians_by_kind() -> None:
    def shown(kind: str, way: str, psnr: float) -> Shown:
        return Shown(
            kind=kind, way=way, psnr=psnr, psnr_decoded=psnr + 1, picture=np.zeros((1, 1, 3))
        )

    values = {"scene": (1.0, 2.0, 9.0), "face": (5.0, 6.0, 7.0)}
    every = [
        shown(kind, way, value)
        for kind, numbers in values.items()
        for way in ("autoencoder", *WAYS)
        for value in numbers
    ]
    rows = summary(every)
    medians = {(r["kind"], r["way"], r["measure"]): r["value"] for r in rows}
    assert medians["scene", "caption", "dB to the source"] == 2
    assert medians["face", "caption", "dB to the autoencoder's"] == 7
    assert ("face", "autoencoder", "dB to the autoencoder's") not in medians


def test_what_the_image_prompt_adds_is_told_picture_by_picture() -> None:
    with_prompt, without = (4.0, 1.0, 9.0), (1.0, 0.0, 7.0)
    psnrs = {"as in an edit": with_prompt, "caption": without}
    every = [
        Shown(kind=kind, way=way, psnr=psnr, psnr_decoded=0.0, picture=np.zeros((1, 1, 3)))
        for kind in ("scene", "face")
        for way in ("autoencoder", *WAYS)
        for psnr in psnrs.get(way, without)
    ]
    gains = {r["way"]: r["value"] for r in summary(every) if r["measure"].startswith("dB by")}
    assert gains.pop("as in an edit") == 2
    assert set(gains) == set(WITHOUT) - {"as in an edit"} and set(gains.values()) == {0}


def test_the_full_scale_is_that_of_training(judged_folder: Path) -> None:
    """Whatever the task's scale is, and another picture than at that."""
    seen = [
        {
            shown.way: shown.picture
            for shown in Reconstructor(str(judged_folder), "cpu", 4, scale)((2,))
        }
        for scale in (0.1, 1.0)
    ]
    full = "caption, image prompt 1"
    assert np.array_equal(seen[0][full], seen[1][full])
    assert np.array_equal(seen[1]["caption, image prompt"], seen[1][full])
    assert not np.array_equal(seen[0]["caption, image prompt"], seen[0][full])


def test_the_command_writes_a_table_and_a_sheet(
    judged_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["bench", "reconstruction", "--output", str(tmp_path), "--count", "1"]
    words += ["--model", str(judged_folder), "--steps", "4", "--processes", "1"]
    assert main(words) == 0
    assert "autoencoder" in capsys.readouterr().out
    assert json.loads((tmp_path / "reconstruction.json").read_text())["rows"]
    assert (tmp_path / "reconstruction.png").is_file()
