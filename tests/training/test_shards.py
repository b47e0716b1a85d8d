"""Shards as img2dataset writes them: which files are found, what is read, what is skipped."""

import io
import json
import logging
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diffeditor.errors import InvalidSetting
from diffeditor.training import shards
from diffeditor.training.draw import Draw
from diffeditor.training.shards import ShardPictures, centred_square, find_shards
from diffeditor.worlds import random_scene, render

SIDE = 32
CPU = torch.device("cpu")


def encoded(picture: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


def write_tar(path: Path, members: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def plain(number: int, level: int) -> dict[str, bytes]:
    """A sample of one gray level, whose caption is the level."""
    key, gray = f"{number:09d}", Image.new("RGB", (40, 40), (level, level, level))
    return {
        f"{key}.jpg": encoded(gray, "JPEG"),
        f"{key}.json": json.dumps({"caption": str(level), "key": key}).encode(),
        f"{key}.txt": str(level).encode(),
    }


def plains(path: Path, levels: range) -> Path:
    members = [plain(number, level) for number, level in enumerate(levels)]
    return write_tar(path, {name: data for one in members for name, data in one.items()})


def levels_of(pictures: ShardPictures, count: int, seed: int) -> list[str]:
    drawn = pictures.draw(count, Draw.of(seed, 0, 0, 0.0, CPU))
    shown = ((drawn.images.mean((1, 2, 3)) + 1) * 127.5).round().int().tolist()
    told = [int(caption) for caption in drawn.captions]
    assert np.abs(np.array(shown) - told).max() <= 1  # picture and caption belong together
    return drawn.captions


def test_worlds_in_a_shard_are_read_back(tmp_path: Path) -> None:
    drawn = [render(random_scene(seed), SIDE) for seed in range(4)]
    members: dict[str, bytes] = {}
    for number, one in enumerate(drawn):
        members[f"{number:09d}.png"] = encoded(Image.fromarray(one.image))
        members[f"{number:09d}.txt"] = one.caption.encode()
    pictures = ShardPictures([write_tar(tmp_path / "00000.tar", members)], SIDE)
    batch = pictures.draw(8, Draw.of(0, 0, 0, 0.0, CPU))
    assert batch.images.shape == (8, 3, SIDE, SIDE) and batch.landmarks.isnan().all()
    known = {one.caption: one.image for one in drawn}
    for image, caption in zip(batch.images, batch.captions, strict=True):
        pixels = ((image + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
        assert np.array_equal(pixels, known[caption])


def test_draws_hang_on_the_random_numbers_alone(tmp_path: Path) -> None:
    paths = [plains(tmp_path / f"{n}.tar", range(40 * n, 40 * n + 40)) for n in range(3)]
    first = ShardPictures(paths, SIDE)
    levels_of(first, 5, seed=9)  # what came before does not matter
    drawn = levels_of(first, 30, seed=1)
    assert levels_of(ShardPictures(paths, SIDE), 30, seed=1) == drawn
    assert levels_of(first, 30, seed=2) != drawn
    assert len({int(level) // 40 for level in drawn}) == 3


def test_the_held_out_samples_are_never_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "HELD_OUT", 6)
    pictures = ShardPictures([plains(tmp_path / "0.tar", range(20))], SIDE)
    assert pictures.held_out().captions == [str(level) for level in range(6)]
    assert set(levels_of(pictures, 200, seed=0)) == {str(level) for level in range(6, 20)}


def test_half_of_a_small_shard_is_held_out(tmp_path: Path) -> None:
    pictures = ShardPictures([plains(tmp_path / "0.tar", range(5))], SIDE)
    assert pictures.held_out().captions == ["0", "1"]


def test_captions_come_from_text_or_facts_and_may_be_missing(tmp_path: Path) -> None:
    gray = encoded(Image.new("RGB", (40, 40), "gray"), "WEBP")
    members = {
        "a/0.webp": gray,
        "a/0.json": json.dumps({"caption": "  from the facts\n"}).encode(),
        "a/1.webp": gray,
        "a/1.json": b'{"caption": "not this"}',
        "a/1.txt": "the text, naïve".encode(),
        "a/2.webp": gray,
        "a/2.json": b'{"caption": null}',
        "a/3.webp": gray,
        "4.txt": b"no picture",
    }
    shard = shards.Shard(write_tar(tmp_path / "0.tar", members))
    read = [shard.read(place, 8) for place in range(len(shard))]
    captions = [one.caption for one in read if one is not None]
    assert captions == ["from the facts", "the text, naïve", ""]


def test_corrupt_samples_are_skipped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    members = plain(0, 10) | plain(1, 20) | plain(2, 30) | plain(3, 40)
    members["000000002.jpg"] = b"no picture at all"
    del members["000000003.txt"]
    members["000000003.json"] = b"{broken"
    path = write_tar(tmp_path / "0.tar", plain(9, 99) | plain(8, 98) | members)
    pictures = ShardPictures([path], SIDE)
    with caplog.at_level(logging.WARNING):
        drawn = levels_of(pictures, 40, seed=0)
    assert set(drawn) <= {"10", "20", "99", "98"} and len(drawn) == 40
    assert pictures.skipped > 10
    told = [record.getMessage() for record in caplog.records]
    assert len(told) < pictures.skipped
    assert told[-1].endswith("corrupt samples skipped so far")
    assert levels_of(ShardPictures([path], SIDE), 40, seed=0) == drawn


def test_shards_without_readable_samples_are_given_up(tmp_path: Path) -> None:
    broken = {f"{n}.{end}": b"x" for n in range(4) for end in ("jpg", "txt")}
    for members in (broken, {"readme.md": b"nothing"}):
        pictures = ShardPictures([write_tar(tmp_path / "0.tar", members)], SIDE)
        with pytest.raises(InvalidSetting, match="as img2dataset writes them"):
            pictures.draw(2, Draw.of(0, 0, 0, 0.0, CPU))
        with pytest.raises(InvalidSetting, match="as img2dataset writes them"):
            pictures.held_out()


def test_what_comes_before_the_damage_of_a_shard_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = plains(tmp_path / "0.tar", range(20))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 700])
    with caplog.at_level(logging.WARNING):
        drawn = levels_of(ShardPictures([path], SIDE), 40, seed=0)
    assert set(drawn) <= {str(level) for level in range(12)}


def test_no_tar_file_at_all_is_given_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "0.tar"
    path.write_bytes(b"not a tar file" * 100)
    with pytest.raises(InvalidSetting), caplog.at_level(logging.WARNING):
        ShardPictures([path], SIDE).draw(1, Draw.of(0, 0, 0, 0.0, CPU))
    assert "is damaged" in caplog.text


def test_pictures_are_cropped_in_the_middle() -> None:
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 20:40] = 255
    assert (np.asarray(centred_square(Image.fromarray(pixels), 8)) == 255).all()
    tall = Image.fromarray(pixels.transpose(1, 0, 2).copy())
    assert (np.asarray(centred_square(tall, 50)) == 255).all()


def test_shards_are_found_by_folder_file_glob_and_range(tmp_path: Path) -> None:
    made = [plains(tmp_path / f"{number:05d}.tar", range(1)) for number in (8, 9, 10)]
    assert find_shards(str(tmp_path)) == made
    assert find_shards(str(made[1])) == made[1:2]
    assert find_shards(f"{tmp_path}/0000*.tar") == made[:2]
    assert find_shards(f"{tmp_path}/{{00008..00010}}.tar") == made
    assert find_shards(f"{tmp_path}/000{{0..0}}{{8..9}}.tar") == made[:2]


@pytest.mark.parametrize(
    "data", ["", "/*.tar", "/nothing.tar", "/{00000..00001}.tar", "/{00005..00002}.tar"]
)
def test_missing_shards_are_named(tmp_path: Path, data: str) -> None:
    with pytest.raises(InvalidSetting, match="give a folder of .tar files"):
        find_shards(f"{tmp_path}{data}")


def test_pictures_are_signed_floats(tmp_path: Path) -> None:
    drawn = ShardPictures([plains(tmp_path / "0.tar", range(250, 256))], SIDE).draw(
        3, Draw.of(0, 0, 0, 0.0, CPU)
    )
    assert drawn.images.dtype == torch.float32
    assert float(drawn.images.max()) <= 1.0 and float(drawn.images.min()) > 0.9
