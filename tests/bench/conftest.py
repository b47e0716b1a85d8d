"""A tiny model with the landmark finder of the embedded one, which judges landmarks."""

import shutil
from pathlib import Path

import pytest

from diffeditor.backbones.embedded import embedded_folder
from diffeditor.bench.runner import Setup
from diffeditor.editor import LANDMARKS_FILE


@pytest.fixture(scope="session")
def judged_folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's folder; not to be written to."""
    folder = tmp_path_factory.mktemp("judged") / "tiny"
    shutil.copytree(tiny_folder, folder)
    shutil.copy(embedded_folder() / LANDMARKS_FILE, folder)
    return folder


@pytest.fixture
def setup(judged_folder: Path, tmp_path: Path) -> Setup:
    """Two baselines on one case of two tasks."""
    return Setup(
        output=tmp_path,
        tasks=("move", "face"),
        columns=("ground-truth", "no-edit"),
        seeds=(0,),
        model=str(judged_folder),
        device="cpu",
    )
