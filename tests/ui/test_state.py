from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffeditor.errors import InvalidEdit, InvalidImage
from tests.ui.conftest import strokes
from ui import text
from ui.state import BRUSHED, box_centre, read_canvas, read_mask, read_page


def test_strokes_are_the_mask(values: dict[str, Any], mask: np.ndarray) -> None:
    canvas = read_canvas(values["source"], None)
    assert canvas is not None
    assert np.array_equal(canvas.mask, mask)


def test_faint_rims_of_strokes_are_not(values: dict[str, Any], mask: np.ndarray) -> None:
    values["source"]["layers"] = [strokes(mask, alpha=BRUSHED - 1)]
    canvas = read_canvas(values["source"], None)
    assert canvas is not None
    assert not canvas.mask.any()


def test_layers_and_the_mask_file_add_up(
    values: dict[str, Any], mask: np.ndarray, mask_file: str
) -> None:
    values["source"]["layers"].append(strokes(~mask & (np.arange(mask.shape[1]) > 70)))
    canvas = read_canvas(values["source"], mask_file)
    assert canvas is not None
    assert canvas.mask[0, 0] and canvas.mask[20, 20] and canvas.mask[0, 75]
    assert not canvas.mask[0, 20]


def test_without_a_picture_there_is_no_canvas(mask: np.ndarray, mask_file: str) -> None:
    assert read_canvas(None, mask_file) is None
    painted = {"background": None, "layers": [strokes(mask)], "composite": None}
    assert read_canvas(painted, None) is None  # type: ignore[arg-type]


def test_a_mask_file_of_another_size_is_refused_with_both_sizes(
    values: dict[str, Any], tmp_path: Path
) -> None:
    Image.new("L", (10, 12)).save(tmp_path / "mask.png")
    with pytest.raises(InvalidImage, match="10 x 12 pixels and its picture 80 x 64"):
        read_canvas(values["source"], str(tmp_path / "mask.png"))


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n cut short"])
def test_a_damaged_mask_file_is_refused(image: Image.Image, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(content)
    with pytest.raises(InvalidImage, match=text.BAD_MASK):
        read_mask(str(path), image)


def test_the_page_of_a_tool_has_its_own_controls_only(values: dict[str, Any]) -> None:
    page = read_page("move", values)
    assert page.controls == {"dx": 8, "dy": 2, "scale": 1.0, "fill_mask": None}
    assert page.prompt == "a cup"


def test_a_page_needs_a_picture(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidEdit, match=text.NO_PICTURE):
        read_page("move", values | {"source": None})


def test_a_page_without_a_second_picture_says_so_when_asked(values: dict[str, Any]) -> None:
    page = read_page("paste", values | {"reference": None})
    with pytest.raises(InvalidEdit, match=text.NO_REFERENCE):
        page.second()


def test_the_centre_is_that_of_the_box(mask: np.ndarray) -> None:
    assert box_centre(mask) == (30.0, 28.0)
