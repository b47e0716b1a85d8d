from pathlib import Path

import numpy as np
from PIL import Image

from ui.files import cached


def test_a_cached_picture_is_the_picture(image: Image.Image, cache: Path) -> None:
    path = Path(cached(image))
    assert path.is_relative_to(cache)
    with Image.open(path) as saved:
        assert np.array_equal(np.asarray(saved), np.asarray(image))


def test_an_equal_picture_is_not_written_again(image: Image.Image) -> None:
    path = Path(cached(image))
    written = path.stat().st_mtime_ns, path.stat().st_ino
    assert cached(image.copy()) == str(path)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == written
    assert cached(image.transpose(Image.Transpose.ROTATE_180)) != str(path)


def test_nothing_but_whole_pictures_is_left(image: Image.Image) -> None:
    folder = Path(cached(image)).parent
    assert [file.name for file in folder.iterdir()] == ["picture.png"]
