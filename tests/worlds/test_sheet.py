"""Sheets and folders of worlds."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffeditor.errors import InvalidSetting
from diffeditor.worlds import (
    FaceSpec,
    SceneSpec,
    contact_sheet,
    random_face,
    random_scene,
    render,
    spec_from_dict,
    write_worlds,
)


def test_a_sheet_shows_its_worlds_row_by_row() -> None:
    specs = [random_scene(0), random_face(1), random_scene(2)]
    sheet = np.asarray(contact_sheet(specs, size=32, columns=2))
    assert sheet.shape == (64, 64, 3)
    np.testing.assert_array_equal(sheet[:32, 32:], render(specs[1], 32).image)
    np.testing.assert_array_equal(sheet[32:, :32], render(specs[2], 32).image)
    assert not sheet[32:, 32:].any()


def test_a_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="at least one world"):
        contact_sheet([], size=32, columns=2)


def test_written_worlds_can_be_rendered_again(tmp_path: Path) -> None:
    write_worlds(tmp_path / "out", n=3, seed=5, size=32)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    pictures = [f"{number:03d}.{kind}" for number in range(3) for kind in ("json", "png")]
    assert names == [*pictures, "sheet.png"]
    kinds = []
    for number in range(3):
        label = json.loads((tmp_path / "out" / f"{number:03d}.json").read_text())
        spec = spec_from_dict(label["spec"])
        again = render(spec, 32)
        with Image.open(tmp_path / "out" / f"{number:03d}.png") as picture:
            np.testing.assert_array_equal(np.asarray(picture), again.image)
        assert label["caption"] == again.caption
        kinds.append(type(spec))
    assert kinds == [SceneSpec, FaceSpec, SceneSpec]
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:
        assert sheet.size == (64, 64)


def test_no_worlds_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="at least 1"):
        write_worlds(tmp_path, n=0, seed=0, size=32)
