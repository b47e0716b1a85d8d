"""The cache of rendered worlds."""

from pathlib import Path

import numpy as np
import pytest
import torch

from diffeditor.errors import InvalidSetting
from diffeditor.training.data import (
    TRAINING,
    VALIDATION,
    CachedWorlds,
    render_missing,
    rendered,
)
from diffeditor.training.draw import Draw
from diffeditor.worlds import random_face, random_scene, render

SIZE = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = tmp_path_factory.mktemp("cache")
    for kind in ("scene", "face"):
        render_missing(cache, kind, 3, SIZE)
    return cache


def test_cached_pictures_are_those_of_the_renderer(folder: Path) -> None:
    worlds = CachedWorlds.open(folder, SIZE)
    taken = worlds.take(range(6))
    for index, make in ((1, random_scene), (4, random_face)):
        true = render(make(TRAINING + index % 3), SIZE)
        seen = (taken.images[index].permute(1, 2, 0).numpy() + 1) * 127.5
        assert np.abs(seen - true.image).max() <= 1.01
        assert taken.captions[index] == true.caption
        inside = np.logical_or.reduce(true.masks)
        assert (inside <= (taken.detail[index].numpy() > 0)).mean() > 0.99
    np.testing.assert_allclose(taken.landmarks[4].numpy(), true.landmarks, rtol=1e-5)
    assert torch.isnan(taken.landmarks[1]).all()
    assert set(taken.detail[4].unique().tolist()) == {0, 1, 2}


def test_rendering_again_renders_nothing(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.npy")}
    render_missing(folder, "scene", 3, SIZE)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.npy")} == before


def test_a_shard_that_was_cut_short_is_completed(tmp_path: Path) -> None:
    render_missing(tmp_path, "scene", 2, SIZE)
    before = CachedWorlds.open(tmp_path, SIZE).take([0, 1])
    render_missing(tmp_path, "scene", 3, SIZE)
    worlds = CachedWorlds.open(tmp_path, SIZE)
    assert len(worlds) == 3 and [path.name for path in tmp_path.glob("*/*")] == [str(TRAINING)]
    assert torch.equal(worlds.take([0, 1]).images, before.images)


def test_pictures_of_another_renderer_are_refused(tmp_path: Path) -> None:
    render_missing(tmp_path, "face", 2, SIZE)
    file = tmp_path / f"face-{SIZE}" / str(TRAINING) / "images.npy"
    np.save(file, 255 - np.load(file))
    with pytest.raises(InvalidSetting, match="rendered differently now; remove that folder"):
        render_missing(tmp_path, "face", 2, SIZE)


def test_no_half_written_shard_is_left(folder: Path) -> None:
    assert [path.name for path in folder.glob("*/*")] == [str(TRAINING)] * 2


def test_training_and_validation_are_apart(folder: Path) -> None:
    render_missing(folder, "scene", 1, SIZE, first=VALIDATION)
    assert len(CachedWorlds.open(folder, SIZE, kinds=("scene",))) == 3
    assert len(CachedWorlds.open(folder, SIZE, kinds=("scene",), first=VALIDATION)) == 1


def test_an_empty_cache_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="render some first"):
        CachedWorlds.open(tmp_path, SIZE)


def test_draws_repeat_with_their_generator(folder: Path) -> None:
    worlds = CachedWorlds.open(folder, SIZE)
    one, two = (worlds.draw(5, Draw.of(4, 0, 0, 0.0, torch.device("cpu"))) for _ in range(2))
    assert torch.equal(one.images, two.images)
    assert one.captions == two.captions


def test_faces_are_drawn_where_they_are_wanted() -> None:
    """A tensor left on the host would not mix with those of the device."""
    drawn = rendered("face", range(3), SIZE, "meta")
    assert drawn.images.shape == (3, 3, SIZE, SIZE)
    assert {drawn.images.device.type, drawn.detail.device.type} == {"meta"}
    assert np.isfinite(drawn.landmarks).all()
