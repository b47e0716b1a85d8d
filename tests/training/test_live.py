"""The path of an accelerator, walked on a CPU: live pictures and compiled models."""

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from diffeditor.errors import Cancelled
from diffeditor.training import loop, stages
from diffeditor.training.checkpoint import read_checkpoint
from diffeditor.training.command import train_embedded
from diffeditor.training.config import TINY, EmbeddedConfig
from diffeditor.training.data import TRAINING
from diffeditor.training.draw import Draw
from diffeditor.training.latents import EncodedWorlds
from diffeditor.training.loop import LOCAL_STEPS
from diffeditor.training.pool import LatentPool
from tests.test_synchronisation import Reads

LIVE = replace(TINY, live=True)
WEIGHTS = Path("unet") / "diffusion_pytorch_model.safetensors"


def train(home: Path, cache: Path, stage: str, config: EmbeddedConfig, steps: int) -> None:
    train_embedded(
        stage,
        output=home / "model",
        runs=home / "runs",
        cache=cache,
        max_steps=steps,
        precision="no",
        device="cpu",
        config=config,
    )


@pytest.fixture
def home(model: Path, tmp_path: Path) -> Path:
    """A folder whose `model` has all parts to train the UNet with."""
    shutil.copytree(model, tmp_path / "model")
    return tmp_path


@pytest.fixture
def judged_only(cache: Path, tmp_path: Path) -> Path:
    """A cache without any picture to learn from."""
    shutil.copytree(cache, tmp_path / "worlds", ignore=lambda _, names: {str(TRAINING)} & {*names})
    return tmp_path / "worlds"


def test_all_stages_train_without_a_cache_and_no_step_reads_a_value(
    judged_only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a step reads makes the host wait for the device, so that it falls idle."""
    read: list[str] = []
    update = loop._update

    def watched(*given: Any) -> Tensor:
        with Reads() as reads:
            loss = update(*given)
        read.extend(reads.found)
        return loss

    monkeypatch.setattr(loop, "_update", watched)
    train_embedded(
        "all",
        output=tmp_path / "model",
        runs=tmp_path / "runs",
        cache=judged_only,
        max_steps=3,
        precision="bf16",
        device="cpu",
        config=LIVE,
    )
    assert read == []
    assert len(list((tmp_path / "model").rglob("*.safetensors"))) == 6
    assert not list(judged_only.rglob(str(TRAINING)))


@pytest.mark.filterwarnings("default")  # compiling warns of what the libraries' models do
def test_a_compiled_model_learns_what_it_learns_as_it_is(cache: Path, tmp_path: Path) -> None:
    made = []
    for compiles in (False, True):
        home = tmp_path / str(compiles)
        train_embedded(
            "vae",
            output=home,
            runs=home / "runs",
            cache=cache,
            max_steps=2,
            precision="bf16",
            device="cpu",
            compile=compiles,
            config=replace(LIVE, compiler="eager"),
        )
        made.append(load_file(home / "vae" / "diffusion_pytorch_model.safetensors"))
        torch.compiler.reset()
    for name, value in made[0].items():
        torch.testing.assert_close(value, made[1][name], atol=2e-3, rtol=1e-2)


def stopped_at(monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """Let the UNet's training get a signal in this call, once."""
    objective = stages.UnetObjective.__call__

    def stopping(self: stages.UnetObjective, model: nn.Module, draw: Draw) -> Tensor:
        if draw.call == call:
            os.kill(os.getpid(), signal.SIGTERM)
        return objective(self, model, draw)

    monkeypatch.setattr(stages.UnetObjective, "__call__", stopping)


def test_a_live_run_goes_on_exactly(
    home: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = home / "whole"
    shutil.copytree(home / "model", whole / "model")
    steps = LOCAL_STEPS + 4
    train(whole, cache, "unet", LIVE, steps)
    with monkeypatch.context() as patched:
        stopped_at(patched, 3)
        with pytest.raises(Cancelled):
            train(home, cache, "unet", LIVE, steps)
    train(home, cache, "unet", LIVE, steps)
    one, other = (load_file(folder / "model" / WEIGHTS) for folder in (whole, home))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("first", "then"), [(TINY, LIVE), (LIVE, TINY)])
def test_a_run_goes_on_where_pictures_come_another_way(
    home: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    first: EmbeddedConfig,
    then: EmbeddedConfig,
) -> None:
    """As from a CPU to an accelerator and back: nothing in a checkpoint is of its device."""
    sources: list[object] = []
    source = stages.latent_source
    monkeypatch.setattr(
        stages, "latent_source", lambda shop: sources.append(made := source(shop)) or made
    )
    steps = LOCAL_STEPS + 4
    with monkeypatch.context() as patched:
        stopped_at(patched, 3)
        with pytest.raises(Cancelled):
            train(home, cache, "unet", first, steps)
    checkpoint = home / "runs" / "unet"
    assert read_checkpoint(checkpoint)["state"]["step"] == LOCAL_STEPS
    assert "cpu" not in (checkpoint / "state.json").read_text()
    train(home, cache, "unet", then, steps)
    assert read_checkpoint(checkpoint)["state"]["step"] == steps
    kinds = {False: EncodedWorlds, True: LatentPool}
    assert [type(one) for one in sources] == [kinds[first.live], kinds[then.live]]


def test_an_accelerator_has_its_own_batches_and_always_renders() -> None:
    config = EmbeddedConfig().on_accelerator()
    assert config.live
    for name in ("vae", "clip", "unet", "image_prompt", "landmarks"):
        here, there = (getattr(one, name).optimisation for one in (EmbeddedConfig(), config))
        assert there.batch == here.accelerator_batch > here.batch
        assert replace(there, batch=here.batch) == here
    assert TINY.on_accelerator().unet == TINY.unet
