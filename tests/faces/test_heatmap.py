"""The landmark finder: heat maps to pixels, files, and pictures without a face."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from diffeditor.backbones.embedded import embedded_folder
from diffeditor.errors import ModelUnavailable, NoFaceFound
from diffeditor.faces import (
    CELL,
    INPUT,
    LANDMARKS_FILE,
    HeatmapLandmarks,
    LandmarkNet,
    peaks,
    positions,
)
from diffeditor.worlds import random_face, random_scene, render


class Fixed(nn.Module):
    """Heat maps that do not depend on the picture."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, _: Tensor) -> Tensor:
        return self.logits


def spikes(row: int, column: int) -> Tensor:
    logits = torch.zeros(1, 68, 32, 32)
    logits[..., row, column] = 50.0
    return logits


def test_a_spike_lies_at_the_centre_of_its_cell() -> None:
    where = positions(spikes(3, 20))[0]
    torch.testing.assert_close(where, torch.tensor([[20.5 * CELL, 3.5 * CELL]]).expand(68, 2))


def test_peaks_tell_flat_maps_from_sharp_ones() -> None:
    assert float(peaks(torch.zeros(1, 68, 32, 32))) == pytest.approx(1 / 1024)
    assert float(peaks(spikes(0, 0))) == pytest.approx(1.0)


def test_landmarks_are_in_pixels_of_the_portrait() -> None:
    find = HeatmapLandmarks(Fixed(spikes(8, 16)))  # type: ignore[arg-type]
    found = find(Image.new("RGB", (256, 64)))
    assert found.shape == (68, 2)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found[0], [16.5 * CELL * 256 / INPUT, 8.5 * CELL * 64 / INPUT])


def test_flat_heat_maps_are_no_face() -> None:
    find = HeatmapLandmarks(Fixed(torch.zeros(1, 68, 32, 32)))  # type: ignore[arg-type]
    with pytest.raises(NoFaceFound, match="one face fills most"):
        find(Image.new("L", (40, 40)))


def test_a_file_holds_the_net(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = LandmarkNet(8).eval()
    net.save(tmp_path / LANDMARKS_FILE)
    loaded = LandmarkNet.load(tmp_path / LANDMARKS_FILE)
    pictures = torch.randn(1, 3, INPUT, INPUT, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(loaded(pictures), net(pictures))
    assert not any(p.requires_grad for p in loaded.parameters())


@pytest.mark.parametrize("content", [b"", b"not a safetensors file at all"])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / LANDMARKS_FILE).write_bytes(content)
    with pytest.raises(ModelUnavailable):
        LandmarkNet.load(tmp_path / LANDMARKS_FILE)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="no landmark file"):
        HeatmapLandmarks.load(tmp_path / "none.safetensors")


@pytest.fixture(scope="module")
def shipped() -> HeatmapLandmarks:
    return HeatmapLandmarks.load(embedded_folder() / LANDMARKS_FILE)


def test_the_shipped_finder_is_right_on_unseen_faces(shipped: HeatmapLandmarks) -> None:
    errors = []
    for seed in range(12):
        true = render(random_face(seed), INPUT)
        found = shipped(Image.fromarray(true.image))
        errors.append(np.linalg.norm(found - true.landmarks, axis=1).mean())
    assert np.mean(errors) < 1.5
    assert max(errors) < 4.0


def test_the_shipped_finder_does_not_depend_on_the_size(shipped: HeatmapLandmarks) -> None:
    true = render(random_face(1), 256)
    found = shipped(Image.fromarray(true.image))
    assert np.linalg.norm(found - true.landmarks, axis=1).mean() < 3.0


def test_the_shipped_finder_sees_no_face_in_a_scene(shipped: HeatmapLandmarks) -> None:
    for seed in range(4):
        with pytest.raises(NoFaceFound):
            shipped(Image.fromarray(render(random_scene(seed), INPUT).image))
