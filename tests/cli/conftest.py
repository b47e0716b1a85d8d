"""What the tests of the command line share: an editor that copies, and pictures to edit."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.fakes import HEIGHT, WIDTH, CopyingEditor


@pytest.fixture
def editor(monkeypatch) -> CopyingEditor:
    fake = CopyingEditor()
    monkeypatch.setattr("diffeditor.editor.load_editor", fake.load)
    return fake


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A current folder with two pictures, a mask and landmarks."""
    monkeypatch.chdir(tmp_path)
    levels = np.random.default_rng(0).integers(0, 256, (2, HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(levels[0]).save("photo.png")
    Image.fromarray(levels[1]).save("other.png")
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[10:25, 12:30] = 255
    Image.fromarray(mask).save("mask.png")
    landmarks = np.random.default_rng(2).uniform(5, 35, (68, 2))
    np.save("landmarks.npy", landmarks)
    Path("landmarks.json").write_text(json.dumps((landmarks + 1).tolist()))
    return tmp_path
