import os
import time
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from ui import text
from ui.files import cached, uploaded


def test_a_cached_picture_is_the_picture(image: Image.Image, cache: Path) -> None:
    path = Path(cached(image))
    assert path.is_relative_to(cache)
    with Image.open(path) as saved:
        assert np.array_equal(np.asarray(saved), np.asarray(image))


def test_an_equal_picture_is_not_written_again(image: Image.Image) -> None:
    path = Path(cached(image))
    written = path.stat().st_ino
    assert cached(image.copy()) == str(path)
    assert path.stat().st_ino == written
    assert cached(image.transpose(Image.Transpose.ROTATE_180)) != str(path)


def test_nothing_but_whole_pictures_is_left(image: Image.Image) -> None:
    folder = Path(cached(image)).parent
    assert [file.name for file in folder.iterdir()] == ["picture.png"]


def test_a_picture_that_is_used_is_young_again(image: Image.Image) -> None:
    path = Path(cached(image))
    for use in (lambda: cached(image), lambda: uploaded(str(path))):
        os.utime(path, (0, 0))
        before = path.stat().st_ctime_ns
        time.sleep(0.02)  # longer than a tick of the file system's clock
        use()
        assert path.stat().st_ctime_ns > before and path.stat().st_mtime > 0


def test_a_picture_that_was_deleted_is_said_to_be_gone(image: Image.Image, tmp_path: Path) -> None:
    path = Path(cached(image))
    path.unlink()
    with pytest.raises(gr.Error, match=text.GONE):
        uploaded(str(path))
    for elsewhere in (tmp_path / "picture.png", path.parent.parent.parent / "picture.png", "\0"):
        with pytest.raises(gr.Error, match=text.NOT_UPLOADED):
            uploaded(str(elsewhere))
