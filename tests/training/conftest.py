"""A tiny embedded model, trained once for a few steps on a few pictures."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState

from diffeditor.training.command import train_embedded
from diffeditor.training.config import TINY


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the tests share for rendered pictures."""
    return tmp_path_factory.mktemp("worlds")


@pytest.fixture(scope="session")
def model(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model whose stages each took three steps; its runs lie in `../runs`."""
    home = tmp_path_factory.mktemp("tiny")
    train_embedded(
        "all",
        output=home / "model",
        runs=home / "runs",
        cache=cache,
        max_steps=3,
        precision="no",
        device="cpu",
        config=TINY,
    )
    return home / "model"


@pytest.fixture(autouse=True)
def fresh_accelerate() -> Iterator[None]:
    """Let each test choose its own precision; accelerate remembers the first one it saw."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
