"""The whole trainer at tiny size: what it exports, what it refuses, how it is called."""

import argparse
import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import CLIPImageProcessorPil, CLIPVisionModelWithProjection

from diffeditor.backbones import load_stable_diffusion
from diffeditor.errors import InvalidSetting, ModelUnavailable
from diffeditor.faces import LandmarkNet
from diffeditor.training import command
from diffeditor.training.command import add_arguments, train_embedded
from diffeditor.training.config import TINY
from diffeditor.training.launch import TrainingFailed, launch
from diffeditor.training.vae import CollapsedColours


def test_the_stock_pipeline_loads_the_folder_and_draws(model: Path) -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(model, image_encoder=None)
    pipeline.to(torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    assert isinstance(pipeline.scheduler, DDIMScheduler)
    drawn = pipeline(
        "a red ball", num_inference_steps=2, generator=torch.Generator().manual_seed(0)
    ).images[0]
    assert drawn.size == (TINY.size, TINY.size)


def test_the_engine_loads_the_folder(model: Path) -> None:
    loaded = load_stable_diffusion(model)
    assert loaded.native_size == TINY.size
    assert loaded.latent_factor == 4
    tokens = loaded.embed_images([Image.new("RGB", (32, 32), "red")])
    assert tokens is not None
    assert tokens[0].shape == (1, TINY.image_prompt.queries, TINY.clip.width)
    assert torch.isfinite(tokens[0]).all()


def test_the_image_encoder_and_its_processor_load(model: Path) -> None:
    tower = CLIPVisionModelWithProjection.from_pretrained(model / "image_encoder")
    processor = CLIPImageProcessorPil.from_pretrained(model / "image_processor")
    pixels = processor(images=Image.new("RGB", (50, 40)), return_tensors="pt").pixel_values
    assert pixels.shape[-1] == tower.config.image_size


def test_the_landmark_finder_loads(model: Path) -> None:
    net = LandmarkNet.load(model / "landmarks.safetensors")
    assert net(torch.zeros(1, 3, 128, 128)).shape == (1, 68, 32, 32)


def test_all_weights_are_half_precision_safetensors(model: Path) -> None:
    files = list(model.rglob("*.safetensors"))
    assert len(files) == 6
    for path in files:
        with safe_open(str(path), framework="pt") as file:
            kinds = {file.get_tensor(key).dtype for key in file.keys()}
        assert kinds <= {torch.float16, torch.int64}, path
    assert not [path for path in model.rglob("*") if path.suffix in (".bin", ".pt", ".ckpt")]


def test_sums_match_all_files(model: Path) -> None:
    lines = (model / "SHA256SUMS").read_text().splitlines()
    named = dict(reversed(line.split("  ")) for line in lines)
    files = [path for path in model.rglob("*") if path.is_file() and path.name != "SHA256SUMS"]
    assert set(named) == {path.relative_to(model).as_posix() for path in files}
    for path in files:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert named[path.relative_to(model).as_posix()] == digest


def test_the_card_tells_what_was_measured(model: Path) -> None:
    card = (model / "README.md").read_text()
    measured = json.loads((model.parent / "runs" / "measured.json").read_text())
    assert card.startswith("---\nlicense: apache-2.0\n")
    assert f"{measured['vae']['face_psnr']:.1f} dB" in card
    assert f"{measured['landmarks']['mean_pixels']:.2f}" in card
    assert "| vae |" in card


def test_every_stage_measures_finite_numbers_and_draws(model: Path) -> None:
    runs = model.parent / "runs"
    measured = json.loads((runs / "measured.json").read_text())
    assert set(measured) == set(command.STAGES)
    assert all(abs(x) < 1e6 for numbers in measured.values() for x in numbers.values())
    for stage in ("vae", "unet", "landmarks"):
        with Image.open(runs / f"{stage}.png") as sheet:
            assert sheet.width >= 2 * TINY.size


def test_two_processes_train_together(cache: Path, tmp_path: Path) -> None:
    train_embedded(
        "vae",
        output=tmp_path / "model",
        runs=tmp_path / "runs",
        cache=cache,
        max_steps=3,
        processes=2,
        precision="no",
        device="cpu",
        config=TINY,
    )
    assert (tmp_path / "model" / "vae" / "diffusion_pytorch_model.safetensors").is_file()


def test_a_failing_process_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TrainingFailed):
        launch(int, 2, "on purpose")
    assert "on purpose" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("stage", "missing"), [("unet", "stage vae"), ("image-prompt", "stage vae")]
)
def test_a_stage_says_which_other_it_needs(
    cache: Path, tmp_path: Path, stage: str, missing: str
) -> None:
    with pytest.raises(ModelUnavailable, match=missing):
        train_embedded(
            stage,
            output=tmp_path / "model",
            runs=tmp_path / "runs",
            cache=cache,
            precision="no",
            device="cpu",
            config=TINY,
        )


WEIGHTS = {
    "vae": "vae/diffusion_pytorch_model.safetensors",
    "unet": "unet/diffusion_pytorch_model.safetensors",
    "image-prompt": "image_prompt.safetensors",
}


@pytest.mark.parametrize("stage", WEIGHTS)
def test_a_new_run_begins_with_the_weights_it_is_told(
    model: Path, cache: Path, tmp_path: Path, stage: str
) -> None:
    """After one step at a vanishing rate the exported weights are those of the start."""
    still = {
        name: replace(part, optimisation=replace(part.optimisation, learning_rate=1e-9))
        for name, part in vars(TINY).items()
        if hasattr(part, "optimisation")
    }
    config = replace(TINY, **still)
    output = tmp_path / "model"
    shutil.copytree(model, output)
    (output / WEIGHTS[stage]).unlink()
    train_embedded(
        stage,
        output=output,
        runs=tmp_path / "runs",
        cache=cache,
        max_steps=1,
        precision="no",
        device="cpu",
        start=model,
        config=config,
        seed=5,
    )
    before, after = load_file(model / WEIGHTS[stage]), load_file(output / WEIGHTS[stage])
    # The autoencoder's latents are standardised anew: only its inner layers stay as they were.
    kept = [key for key in before if "quant_conv" not in key]
    assert all(torch.allclose(before[key], after[key], atol=1e-3) for key in kept)


def test_a_checkpoint_goes_on_with_the_parts_it_learned_from_alone(
    model: Path, cache: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(model.parent, home)
    again: dict[str, Any] = {
        "output": home / "model",
        "runs": home / "runs",
        "cache": cache,
        "precision": "no",
        "device": "cpu",
        "config": TINY,
    }
    train_embedded("unet", max_steps=4, **again)
    train_embedded("vae", max_steps=4, **again)
    with pytest.raises(InvalidSetting, match="unet holds a run with another vae"):
        train_embedded("unet", max_steps=5, **again)
    shutil.rmtree(home / "runs" / "unet")
    train_embedded("unet", max_steps=1, **again)


def test_an_autoencoder_that_lost_its_colours_replaces_none(
    model: Path, cache: Path, tmp_path: Path
) -> None:
    output = tmp_path / "model"
    shutil.copytree(model, output)
    before = (output / WEIGHTS["vae"]).read_bytes()
    with pytest.raises(CollapsedColours):
        train_embedded(
            "vae",
            output=output,
            runs=tmp_path / "runs",
            cache=cache,
            max_steps=2,
            precision="no",
            device="cpu",
            config=replace(TINY, vae=replace(TINY.vae, colour_tolerance=0.0)),
        )
    assert (output / WEIGHTS["vae"]).read_bytes() == before


def test_a_start_of_another_size_is_refused(model: Path, cache: Path, tmp_path: Path) -> None:
    config = replace(TINY, vae=replace(TINY.vae, channels=(8, 8, 16)))
    with pytest.raises(ModelUnavailable, match="begin from the vae"):
        train_embedded(
            "vae",
            output=tmp_path / "model",
            runs=tmp_path / "runs",
            cache=cache,
            precision="no",
            device="cpu",
            start=model,
            config=config,
        )


def test_unknown_stages_and_devices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="vae"):
        train_embedded("gan", output=tmp_path)
    for name in ("tpu", "meta"):
        with pytest.raises(InvalidSetting, match=f"no device '{name}' here"):
            train_embedded("vae", output=tmp_path, device=name)


def test_minutes_are_shared_out_over_all_stages() -> None:
    shares = command._budgets(TINY, "all", 100.0)
    assert sum(shares.values()) == pytest.approx(100.0)
    assert command._budgets(TINY, "vae", 7.0)["vae"] == 7.0


def test_the_command_line_reaches_every_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    called: dict[str, object] = {}
    monkeypatch.setattr(
        command, "train_embedded", lambda stage, **given: called.update(stage=stage, **given)
    )
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    line = (
        "--stage unet --output o --runs r --cache c --minutes 2 --max-steps 3 --pictures 4 "
        "--device cpu --processes 2 --precision no --compile --snapshot-every 5 --seed 6 --start s"
    )
    command.run(parser.parse_args(line.split()))
    assert called == {
        "stage": "unet",
        "output": Path("o"),
        "runs": Path("r"),
        "cache": Path("c"),
        "minutes": 2.0,
        "max_steps": 3,
        "pictures": 4,
        "device": "cpu",
        "processes": 2,
        "precision": "no",
        "compile": True,
        "snapshot_every": 5.0,
        "seed": 6,
        "start": Path("s"),
    }
