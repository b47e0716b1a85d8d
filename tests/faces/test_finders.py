"""A finder's file tells by its suffix what it is for, and an editor can be given one."""

from pathlib import Path

import pytest
from PIL import Image

from diffeditor import load_editor
from diffeditor.backbones.embedded import embedded_folder
from diffeditor.errors import ModelUnavailable, NoFaceFound
from diffeditor.faces import LANDMARKS_FILE, HeatmapLandmarks, load_landmark_finder
from diffeditor.worlds import random_face, render

SHIPPED = embedded_folder() / LANDMARKS_FILE


def test_own_files_are_safetensors() -> None:
    assert isinstance(load_landmark_finder(SHIPPED), HeatmapLandmarks)


def test_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"ends in \.safetensors, \.task, \.dat"):
        load_landmark_finder(tmp_path / "landmarks.onnx")


def test_a_model_without_a_finder_can_be_given_one(tiny_folder: Path) -> None:
    face = Image.fromarray(render(random_face(3), 96).image)
    with pytest.raises(NoFaceFound, match="or a finder"):
        load_editor(tiny_folder, device="cpu").find_landmarks(face)
    found = load_editor(tiny_folder, device="cpu", landmarks=SHIPPED).find_landmarks(face)
    assert found.shape == (68, 2)


def test_a_missing_file_is_told(tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="no landmark file"):
        load_editor(tiny_folder, device="cpu", landmarks=tmp_path / "none.safetensors")
