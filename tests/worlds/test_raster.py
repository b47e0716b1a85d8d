"""Shapes against closed forms: areas, distances, and crops that go back where they came from."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffeditor.worlds.raster import (
    Canvas,
    Window,
    coarse_polygon_distance,
    coverage,
    gaussians,
    polygon_distance,
    soft,
    stroke_distance,
)

CPU = torch.device("cpu")


def disc(x: float, y: float, radius: float, corners: int = 64) -> torch.Tensor:
    angle = torch.arange(corners) * (2 * math.pi / corners)
    return torch.stack([x + radius * angle.cos(), y + radius * angle.sin()], dim=-1)[None]


@settings(max_examples=15)
@given(st.floats(0.3, 0.7), st.floats(0.3, 0.7), st.floats(0.05, 0.25))
def test_distance_to_a_disc_is_that_of_the_circle(x: float, y: float, radius: float) -> None:
    window = Window.full(1, 40, CPU)
    truth = torch.hypot(window.x - x, window.y - y) - radius
    sagitta = radius * (1 - math.cos(math.pi / 64))
    for distance in (polygon_distance, lambda x, y, p: coarse_polygon_distance(window, p)):
        found = distance(window.x, window.y, disc(x, y, radius))
        near = truth.abs() < 0.03
        assert (found - truth)[near].abs().max() < sagitta + 0.002


@given(st.floats(0.1, 0.4), st.floats(0.1, 0.4), st.floats(0.6, 0.9), st.floats(0.6, 0.9))
def test_covered_area_is_the_area_of_a_rectangle(
    left: float, top: float, right: float, bottom: float
) -> None:
    corners = torch.tensor([[[left, top], [right, top], [right, bottom], [left, bottom]]])
    window = Window.full(1, 50, CPU)
    covered = coverage(polygon_distance(window.x, window.y, corners), window.pixel)
    area = (right - left) * (bottom - top)
    assert covered.mean().item() == pytest.approx(area, abs=8e-4)


def test_crossing_outlines_follow_the_even_odd_rule() -> None:
    bow = torch.tensor([[[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]])
    window = Window.full(1, 9, CPU)
    inside = polygon_distance(window.x, window.y, bow)[0] < 0
    assert inside[4, 1] and inside[4, 7] and not inside[1, 4] and not inside[7, 4]


def test_a_polygon_without_area_covers_nothing_once_inset() -> None:
    line = torch.tensor([[[0.2, 0.5], [0.8, 0.5], [0.5, 0.5]]])
    window = Window.full(1, 33, CPU)
    distance = polygon_distance(window.x, window.y, line)
    assert coverage(distance, window.pixel, inset=0.5).max() == 0
    assert coverage(distance, window.pixel).max() == 0.5


def test_a_stroke_tapers_between_its_ends() -> None:
    line, radius = torch.tensor([[[0.2, 0.5], [0.8, 0.5]]]), torch.tensor([[0.1, 0.2]])
    x, y = torch.tensor([[[0.2, 0.5, 0.8]]]), torch.tensor([[[0.75]]])
    found = stroke_distance(x, y, line, radius)
    torch.testing.assert_close(found, torch.tensor([[[0.15, 0.10, 0.05]]]))


def test_soft_edges_fall_from_one_to_zero_and_pass_one_half_on_the_outline() -> None:
    steps = soft(torch.tensor([-0.2, -0.05, 0.0, 0.05, 0.2]), 0.2)
    assert steps[0] == 1 and steps[2] == 0.5 and steps[4] == 0
    assert (steps.diff() < 0).all()


def test_gaussians_are_separable_bumps() -> None:
    window = Window.full(1, 10, CPU)
    across, down = gaussians(window, torch.tensor([[[0.4, 0.6]]]), torch.tensor([[[0.2, 0.1]]]))
    truth = torch.exp(-(((window.x - 0.4) / 0.2) ** 2) - ((window.y - 0.6) / 0.1) ** 2)
    torch.testing.assert_close(down.transpose(1, 2) @ across, truth)


@given(st.floats(-0.2, 1.2), st.floats(-0.2, 1.2), st.floats(0.1, 1.5), st.floats(0.1, 1.5))
def test_windows_stay_inside_and_crops_go_back_where_they_were(
    x: float, y: float, width: float, height: float
) -> None:
    size = 24
    image = torch.arange(2 * 3 * size * size, dtype=torch.float32).reshape(2, 3, size, size)
    canvas = Canvas(image=image.clone(), owner=torch.zeros(2, size, size, dtype=torch.uint8))
    window = Window.around(torch.tensor([[x, y], [0.5, 0.5]]), width, height, size)
    assert window.rows.min() >= 0 and window.rows.max() < size
    assert window.columns.min() >= 0 and window.columns.max() < size
    crop = canvas.crop(window)
    canvas.image[:] = -1
    canvas.paste(window, crop)
    written = canvas.image != -1
    assert torch.equal(canvas.image[written], image[written])
    assert written.sum() == crop.image.numel()


def test_paint_blends_and_hands_over_pixels_covered_by_more_than_half() -> None:
    canvas = Canvas(image=torch.zeros(1, 3, 1, 3), owner=torch.zeros(1, 1, 3, dtype=torch.uint8))
    canvas.paint(torch.tensor([[[0.2, 0.6, 1.0]]]), torch.ones(1, 3, 1, 1), 5)
    torch.testing.assert_close(canvas.image[0, 0, 0], torch.tensor([0.2, 0.6, 1.0]))
    assert canvas.owner.tolist() == [[[0, 5, 5]]]
