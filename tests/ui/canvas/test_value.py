"""The canvas's value is read exactly, and nothing else is."""

import base64
import math
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from diffeditor.errors import InvalidEdit, InvalidImage
from tests.ui.canvas.demo import ball_mask
from ui import text
from ui.canvas import Patch
from ui.canvas.pixels import MAX_SIDE, PNG_ADDRESS, decoded_mask, encoded_mask, view_sides
from ui.canvas.value import MAX_ARROWS, Value, clipped, parse


def read(payload: dict[str, Any], **changes: Any) -> Value:
    value = parse({**payload, **changes})
    assert value is not None
    return value


def test_an_edit_holds_what_the_browser_sent(payload: dict[str, Any], photo: Image.Image) -> None:
    edit = read(payload).edit()
    assert (edit.rev, edit.tool) == (7, "drag")
    assert edit.source is not None and edit.reference is not None
    assert np.array_equal(np.asarray(edit.source.image), np.asarray(photo))
    assert np.array_equal(edit.source.mask, ball_mask())
    assert np.array_equal(edit.reference.mask, np.rot90(ball_mask()))
    assert edit.source.fill_mask is None
    assert edit.arrows == (((1.5, 2.0), (3.0, 4.0)),)
    assert (edit.move.dx, edit.move.dy, edit.move.scale) == (10, -4, 1.5)
    assert edit.source.landmarks is not None
    assert edit.source.landmarks[3].tolist() == [3, 1]
    assert edit.reference.landmarks is None


def test_without_marks_there_is_an_empty_mask(payload: dict[str, Any]) -> None:
    edit = read(payload, mask=None, reference=None, reference_mask=None).edit()
    assert edit.source is not None and edit.reference is None
    assert edit.source.mask.shape == (160, 240) and not edit.source.mask.any()


def test_an_untouched_canvas_has_no_value() -> None:
    assert parse(None) is None


def test_a_reduced_edit_is_the_same_edit(payload: dict[str, Any]) -> None:
    edit = read(payload).edit(limit=120)
    assert edit.source is not None and edit.reference is not None
    assert edit.source.image.size == (120, 80) and edit.reference.image.size == (80, 120)
    assert edit.source.mask.shape == (80, 120)
    assert edit.source.mask.sum() == pytest.approx(ball_mask().sum() / 4, rel=0.03)
    assert edit.arrows == (((0.75, 1.0), (1.5, 2.0)),)
    assert (edit.move.dx, edit.move.dy, edit.move.scale) == (5, -2, 1.5)
    assert edit.source.landmarks is not None
    assert edit.source.landmarks[4].tolist() == [2, 0.5]


def test_a_limit_never_enlarges(payload: dict[str, Any]) -> None:
    edit = read(payload).edit(limit=1000)
    assert edit.source is not None and edit.source.image.size == (240, 160)


def test_what_is_at_the_edge_stays_inside_when_reduced(payload: dict[str, Any]) -> None:
    edit = read(payload, arrows=[[239.99, 159.99, 0.0, 0.0]]).edit(limit=101)
    (x, y), _ = edit.arrows[0]
    assert edit.source is not None
    assert x < edit.source.image.width and y < edit.source.image.height


NAN = float("nan")


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"version": 2}, "version"),
        ({"rev": -1}, "rev"),
        ({"rev": 1.5}, "rev"),
        ({"rev": True}, "rev"),
        ({"rev": 2**60}, "rev"),
        ({"tool": "erase everything"}, "tool"),
        ({"arrows": [[0.0, 0.0, 1.0, NAN]]}, "arrows.0.3"),
        ({"arrows": [[0.0, 0.0, 1.0, math.inf]]}, "arrows.0.3"),
        ({"arrows": [[0.0, 0.0, 1.0, 1e9]]}, "arrows.0.3"),
        ({"arrows": [[0.0, 0.0, 1.0, "1"]]}, "arrows.0.3"),
        ({"arrows": [[0.0, 0.0, 1.0]]}, "arrows.0"),
        ({"arrows": [[0.0] * 4] * (MAX_ARROWS + 1)}, "arrows"),
        ({"arrows": None}, "arrows"),
        ({"move": {"dx": NAN, "dy": 0.0, "scale": 1.0}}, "move.dx"),
        ({"move": {"dx": 0.0, "dy": 0.0, "scale": 0.0}}, "move.scale"),
        ({"move": {"dx": 0.0, "dy": 0.0, "scale": 1.0, "turn": 1.0}}, "move.turn"),
        ({"landmarks": [[0.0, 0.0]] * 67}, "landmarks"),
        ({"landmarks": [[0.0, NAN]] * 68}, "landmarks.0.1"),
        ({"mask": 3}, "mask"),
        ({"mask": "x" * 8_000_001}, "mask"),
        ({"source": {"path": "a.png"}}, "source"),
        ({"secret": 1}, "secret"),
        ({"source": None}, "value"),
    ],
)
def test_a_wrong_value_is_refused_in_a_sentence(
    changes: dict[str, Any], where: str, payload: dict[str, Any]
) -> None:
    with pytest.raises(InvalidEdit, match=rf"cannot be used \({where}") as refused:
        parse({**payload, **changes})
    assert len(str(refused.value)) < 250


@pytest.mark.parametrize("payload", ["text", 3, [], {"patch": {}}, {"version": 1}])
def test_what_is_no_value_at_all_is_refused(payload: Any) -> None:
    with pytest.raises(InvalidEdit, match="cannot be used"):
        parse(payload)


@pytest.mark.parametrize("name", ["private.png", "missing.png"])
def test_a_picture_of_the_server_is_refused(
    name: str, payload: dict[str, Any], photo: Image.Image, tmp_path: Path
) -> None:
    photo.save(tmp_path / "private.png")
    path = str(tmp_path / name)
    with pytest.raises(gr.Error, match=text.NOT_UPLOADED):
        parse({**payload, "source": {**payload["source"], "file": {"path": path}}})


def test_a_view_is_never_read(payload: dict[str, Any]) -> None:
    stolen = {**payload["source"], "view": {"path": "/etc/passwd"}}
    assert read(payload, source=stolen).edit().source is not None


def test_a_picture_of_another_size_is_refused(payload: dict[str, Any]) -> None:
    value = read(payload, mask=None, source={**payload["source"], "width": 241})
    with pytest.raises(InvalidEdit, match="not of the size"):
        value.edit()


def test_a_file_that_is_no_picture_is_refused(payload: dict[str, Any]) -> None:
    Path(payload["source"]["file"]["path"]).with_name("x.png").write_text("no picture")
    path = payload["source"]["file"]["path"].replace("picture.png", "x.png")
    value = read(payload, source={**payload["source"], "file": {"path": path}})
    with pytest.raises(InvalidImage):
        value.edit()


def png_address(image: Image.Image) -> str:
    encoded = BytesIO()
    image.save(encoded, "PNG")
    return PNG_ADDRESS + base64.b64encode(encoded.getvalue()).decode()


@pytest.mark.parametrize(
    "mask",
    [
        png_address(Image.new("LA", (240, 161))),
        png_address(Image.new("1", (9000, 9000))),
        "data:image/svg+xml;base64,AAAA",
        PNG_ADDRESS + "no base 64!",
        PNG_ADDRESS + base64.b64encode(b"no picture").decode(),
        png_address(Image.new("LA", (240, 160)))[:-40],
        png_address(Image.effect_noise((240, 160), 9).convert("LA"))[: 4 * 4000],
    ],
)
def test_a_wrong_mask_is_refused(mask: str, payload: dict[str, Any]) -> None:
    with pytest.raises(InvalidEdit, match="mask cannot be read"):
        read(payload, mask=mask).edit()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_a_mask_comes_back(width: int, height: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    sides = (width, height)
    assert np.array_equal(decoded_mask(encoded_mask(mask), sides, sides), mask)


def test_the_mask_of_a_photograph_is_sent_small() -> None:
    mask = np.zeros((3000, 4000), np.bool_)
    mask[600:1500, 1000:2000] = True
    address = encoded_mask(mask)
    assert len(address) < 100_000
    back = decoded_mask(address, (4000, 3000), (4000, 3000))
    assert (back != mask).mean() < 1e-3


@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_a_view_keeps_the_shape_and_is_never_too_large(width: int, height: int) -> None:
    across, down = view_sides((width, height))
    assert 1 <= min(across, down) and max(across, down) <= MAX_SIDE
    if max(width, height) <= MAX_SIDE:
        assert (across, down) == (width, height)
    else:
        assert across * height == pytest.approx(down * width, abs=max(width, height))


@given(st.integers(1, 3000), st.floats(-1e5, 1e5))
def test_clipped_points_lie_in_the_picture(side: int, x: float) -> None:
    [[a, b]] = clipped(np.array([[x, -x]]), side, side)
    assert 0 <= a < side and 0 <= b < side


def test_a_patch_says_only_what_it_was_given(photo: Image.Image) -> None:
    assert Patch(tool="move").wire()["patch"] == {"tool": "move"}
    assert Patch(mask=None).wire()["patch"] == {"mask": None}
    picture = Patch(source=photo).wire()["patch"]["source"]
    assert (picture["width"], picture["height"]) == photo.size
    with Image.open(picture["view"]["path"]) as view:
        assert view.size == photo.size


def test_no_two_patches_are_equal() -> None:
    assert Patch(tool="move").wire() != Patch(tool="move").wire()


def test_a_large_picture_is_shown_reduced(tmp_path: Path) -> None:
    Image.new("RGB", (4000, 3000), "teal").save(tmp_path / "large.jpg")
    picture = Patch(source=tmp_path / "large.jpg").wire()["patch"]["source"]
    assert (picture["width"], picture["height"]) == (4000, 3000)
    with Image.open(picture["view"]["path"]) as view:
        assert (view.size, view.format) == ((2048, 1536), "JPEG")


def test_a_turned_photograph_is_shown_upright(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "turned.jpg", exif=turned)
    picture = Patch(source=tmp_path / "turned.jpg").wire()["patch"]["source"]
    assert (picture["width"], picture["height"]) == (20, 40)
    with Image.open(picture["view"]["path"]) as view:
        assert view.size == (20, 40) and 0x0112 not in view.getexif()


def test_a_preview_names_its_state(photo: Image.Image) -> None:
    preview = Patch(preview=photo, rev=5).wire()["patch"]["preview"]
    assert preview["rev"] == 5
    with Image.open(preview["file"]["path"]) as shown:
        assert shown.size == photo.size
    assert Patch(preview=None).wire()["patch"] == {"preview": None}


def test_a_patch_knows_its_fields() -> None:
    with pytest.raises(ValueError, match="picture"):
        Patch(picture=3)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="arrows"):
        Patch(arrows=[((0, 0), (1, 1))] * (MAX_ARROWS + 1))
