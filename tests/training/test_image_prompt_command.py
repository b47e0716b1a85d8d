"""The image prompt's trainer from shards to file: it learns, goes on exactly, refuses in words."""

import argparse
import io
import os
import signal
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor, nn

from diffeditor.backbones import load_stable_diffusion
from diffeditor.errors import Cancelled, InvalidSetting, ModelUnavailable
from diffeditor.image_prompt import ImagePrompt
from diffeditor.training.config import (
    EMBEDDED_IMAGE_PROMPT,
    PAPER_IMAGE_PROMPT,
    Dropout,
    ImagePromptConfig,
    Optimisation,
)
from diffeditor.training.draw import Draw
from diffeditor.training.image_prompt import ImagePromptJudge, ImagePromptObjective, build_learner
from diffeditor.training.image_prompt_command import train_image_prompt
from diffeditor.training.image_prompt_options import add_arguments, chosen_config
from diffeditor.training.loop import LOCAL_STEPS
from diffeditor.training.shards import ShardPictures, find_shards
from diffeditor.worlds import random_scene, render

SIDE = 32
QUICK = ImagePromptConfig(
    resolution=SIDE,
    queries=4,
    depth=1,
    heads=2,
    head=8,
    steps=2 * LOCAL_STEPS,
    optimisation=Optimisation(
        batch=4, learning_rate=1e-2, warmup=1, weight_decay=0.0, moving_average=0.9
    ),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A shard of sixteen worlds as img2dataset writes them: key.jpg, key.txt, key.json."""
    folder = tmp_path_factory.mktemp("shards")
    with tarfile.open(folder / "00000.tar", "w") as tar:
        for number in range(16):
            drawn = render(random_scene(number), 2 * SIDE)
            file = io.BytesIO()
            Image.fromarray(drawn.image).save(file, "JPEG")
            facts = f'{{"caption": "{drawn.caption}", "key": "{number:09d}", "status": "success"}}'
            parts = {"jpg": file.getvalue(), "txt": drawn.caption.encode(), "json": facts.encode()}
            for ending, content in parts.items():
                info = tarfile.TarInfo(f"{number:09d}.{ending}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return str(folder)


def train(folder: Path, data: str, home: Path, config: ImagePromptConfig = QUICK) -> Path:
    home.mkdir(exist_ok=True)
    train_image_prompt(
        folder,
        data,
        home / "prompt.safetensors",
        config=config,
        runs=home / "runs",
        device="cpu",
        precision="no",
    )
    return home / "prompt.safetensors"


def held_out_error(folder: Path, data: str, prompt: ImagePrompt | None) -> float:
    """Mean error over the judged levels, led by the pictures; of an untrained prompt for None."""
    frozen = load_stable_diffusion(folder)
    learner = build_learner(QUICK, frozen)
    if prompt is not None:
        learner.prompt = prompt
    judged = ShardPictures(find_shards(data), SIDE).held_out()
    judge = ImagePromptJudge(frozen, judged, 8, Accelerator(cpu=True).autocast)
    with torch.no_grad():
        measured = judge(learner)
    own = [error for name, error in measured.items() if name.removeprefix("eps_mse_").isdecimal()]
    return sum(own) / len(own)


def test_the_error_on_held_out_pictures_falls(tiny_folder: Path, data: str, tmp_path: Path) -> None:
    long = replace(QUICK, steps=6 * LOCAL_STEPS)
    made = ImagePrompt.load(train(tiny_folder, data, tmp_path / "a", long))
    before = held_out_error(tiny_folder, data, None)
    after = held_out_error(tiny_folder, data, made)
    assert after < 0.97 * before


def test_a_stopped_run_goes_on_bit_for_bit(
    tiny_folder: Path, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(QUICK, optimisation=replace(QUICK.optimisation, accumulate=2))
    whole = train(tiny_folder, data, tmp_path / "whole", config)
    learn = ImagePromptObjective.__call__

    def stopping(self: ImagePromptObjective, model: nn.Module, draw: Draw) -> Tensor:
        if draw.call == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return learn(self, model, draw)

    with monkeypatch.context() as patched, pytest.raises(Cancelled, match="run it again"):
        patched.setattr(ImagePromptObjective, "__call__", stopping)
        train(tiny_folder, data, tmp_path / "cut", config)
    stopped = (tmp_path / "cut" / "prompt.safetensors").read_bytes()
    resumed = train(tiny_folder, data, tmp_path / "cut", config)
    assert resumed.read_bytes() == whole.read_bytes() != stopped


def test_accumulated_batches_are_one_update(
    tiny_folder: Path, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    learn = ImagePromptObjective.__call__

    def counted(self: ImagePromptObjective, model: nn.Module, draw: Draw) -> Tensor:
        calls.append(draw.call)
        return learn(self, model, draw)

    monkeypatch.setattr(ImagePromptObjective, "__call__", counted)
    optimisation = replace(QUICK.optimisation, accumulate=3)
    train(tiny_folder, data, tmp_path / "a", replace(QUICK, steps=2, optimisation=optimisation))
    assert calls == [0, 1, 2, 3, 4, 5]


def test_worlds_need_no_files(tiny_folder: Path, tmp_path: Path) -> None:
    train_image_prompt(
        tiny_folder,
        "worlds",
        tmp_path / "prompt.safetensors",
        config=replace(QUICK, steps=2),
        runs=tmp_path / "runs",
        cache=tmp_path / "cache",
        pictures=8,
        device="cpu",
        precision="no",
    )
    loaded = load_stable_diffusion(tiny_folder, image_prompt=tmp_path / "prompt.safetensors")
    assert loaded.embed_images([Image.new("RGB", (40, 40))]) is not None


def test_a_run_refuses_other_settings(tiny_folder: Path, data: str, tmp_path: Path) -> None:
    short = replace(QUICK, steps=1)
    train(tiny_folder, data, tmp_path / "a", short)
    train(tiny_folder, data, tmp_path / "a", replace(short, steps=2))  # a longer budget may be
    other = replace(short, queries=8, optimisation=replace(short.optimisation, batch=2))
    with pytest.raises(InvalidSetting, match="another queries, batch; give another folder"):
        train(tiny_folder, data, tmp_path / "a", other)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"device": "tpu"}, "no device 'tpu' here"),
        ({"output": Path("nowhere/prompt.safetensors")}, "in a folder that exists"),
        ({"output": Path("prompt.bin")}, "give a .safetensors file"),
        ({"config": replace(QUICK, resolution=40)}, "multiple of 32"),
        ({"config": replace(QUICK, steps=0)}, "--max-steps must be greater than 0"),
        ({"config": replace(QUICK, dropout=Dropout(both=1.1))}, "at most 1"),
    ],
)
def test_wrong_settings_are_refused(
    tiny_folder: Path, data: str, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    given = {"output": tmp_path / "p.safetensors", "config": QUICK, "device": "cpu"} | changes
    with pytest.raises(InvalidSetting, match=told):
        train_image_prompt(tiny_folder, data, runs=tmp_path / "runs", precision="no", **given)


def test_an_image_encoder_that_is_none_is_refused(
    tiny_folder: Path, data: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelUnavailable, match="lacks config.json"):
        train_image_prompt(
            tiny_folder,
            data,
            tmp_path / "p.safetensors",
            image_encoder=tmp_path,
            runs=tmp_path / "runs",
            device="cpu",
            precision="no",
        )


def chosen(line: str) -> ImagePromptConfig:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return chosen_config(parser.parse_args(f"--model m {line}".split()))


def test_the_papers_settings_are_the_defaults() -> None:
    config = chosen("")
    assert config is not EMBEDDED_IMAGE_PROMPT and config == PAPER_IMAGE_PROMPT
    optimisation = config.optimisation
    assert (config.resolution, config.steps, optimisation.batch) == (512, 1_000_000, 16)
    assert (optimisation.learning_rate, optimisation.weight_decay) == (1e-5, 0.0)
    assert chosen("--settings embedded") == EMBEDDED_IMAGE_PROMPT


def test_single_options_change_the_settings() -> None:
    config = chosen(
        "--resolution 64 --batch 2 --accumulate 3 --learning-rate 0.1 --max-steps 5 --minutes 7 "
        "--drop-caption 0.2 --drop-image 0.0 --drop-both 0.4"
    )
    optimisation = replace(
        PAPER_IMAGE_PROMPT.optimisation, batch=2, accumulate=3, learning_rate=0.1
    )
    dropout = Dropout(caption=0.2, image=0.0, both=0.4)
    assert config == replace(
        PAPER_IMAGE_PROMPT,
        resolution=64,
        steps=5,
        minutes=7.0,
        dropout=dropout,
        optimisation=optimisation,
    )
