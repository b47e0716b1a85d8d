import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ui import overlay
from ui.state import Canvas


@pytest.fixture
def canvas(mask: np.ndarray) -> Canvas:
    height, width = mask.shape
    return Canvas(image=Image.new("RGB", (width, height), (100, 100, 100)), mask=mask)


def changed(canvas: Canvas, **marks: object) -> np.ndarray:
    """Bool, on the drawn picture: where marks differ from no marks."""
    plain = Canvas(image=canvas.image, mask=np.zeros_like(canvas.mask))
    before, after = np.asarray(overlay.draw(plain)), np.asarray(overlay.draw(plain, **marks))
    return (before != after).any(-1)


def at(drawn: np.ndarray, x: float, y: float, scale: float = overlay.SIDE / 80) -> np.ndarray:
    """The drawn pixel at a point of the picture."""
    return drawn[round(y * scale), round(x * scale)]


@given(
    st.integers(16, 5000),
    st.integers(16, 5000),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1, exclude_max=True),
)
def test_a_click_finds_the_pixel_it_was_drawn_at(
    width: int, height: int, right: float, down: float
) -> None:
    image = Image.new("L", (width, height))
    scale = overlay.factor(width, height)
    clicked = int(right * width * scale), int(down * height * scale)
    x, y = overlay.to_picture(clicked, image)
    assert 0 <= x < width and 0 <= y < height
    tolerance = 0.5 / scale + 0.11
    assert abs(x - (clicked[0] + 0.5) / scale) <= tolerance
    assert abs(y - (clicked[1] + 0.5) / scale) <= tolerance


def test_the_longer_side_is_always_the_same(canvas: Canvas) -> None:
    assert overlay.draw(canvas).size == (overlay.SIDE, overlay.SIDE * 64 // 80)


def test_the_mask_is_tinted_and_nothing_else(canvas: Canvas) -> None:
    drawn = np.asarray(overlay.draw(canvas))
    assert tuple(at(drawn, 10, 10)) == (100, 100, 100)
    red, green, _ = at(drawn, 30, 28)
    assert red > 150 and green < 100


def test_an_arrow_is_drawn_from_start_to_end(canvas: Canvas) -> None:
    where = changed(canvas, arrows=[((10.0, 10.0), (60.0, 10.0))])
    assert at(where, 10, 10) and at(where, 35, 10) and at(where, 59.5, 10)
    assert not at(where, 35, 30)


def test_a_region_is_outlined(canvas: Canvas, mask: np.ndarray) -> None:
    where = changed(canvas, region=mask)
    assert at(where, 20, 28) and not at(where, 30, 28) and not at(where, 60, 50)


def test_a_lonely_start_is_a_dot(canvas: Canvas) -> None:
    where = changed(canvas, start=(50.0, 40.0))
    assert at(where, 50, 40) and not at(where, 60, 40)


def test_an_arrow_may_lead_far_out_of_the_picture(canvas: Canvas) -> None:
    where = changed(canvas, arrows=[((10.0, 10.0), (1e9, 10.0))])
    assert at(where, 70, 10) and not at(where, 70, 30)
