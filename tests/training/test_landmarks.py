"""Augmentation and targets of the landmark finder's training."""

import numpy as np
import pytest
import torch

from diffeditor.faces import CELL, positions
from diffeditor.training.draw import Draw
from diffeditor.training.landmarks import bumps, moved, spoiled


def test_points_move_with_the_picture() -> None:
    """A white dot on black is found where its moved point is."""
    points = torch.full((6, 68, 2), 64.0)
    images = torch.full((6, 3, 128, 128), -1.0)
    for picture, (x, y) in enumerate([(40, 50), (80, 64), (64, 90), (50, 50), (70, 40), (64, 64)]):
        images[picture, :, y - 2 : y + 2, x - 2 : x + 2] = 1.0
        points[picture] = torch.tensor([x, y], dtype=torch.float32)
    taken, where = moved(images, points, np.random.default_rng(0))
    grid = torch.arange(128) + 0.5
    light = (taken[:, 0] + 1).clamp_min(0)
    for picture in range(6):
        mass = light[picture].sum()
        x = float((light[picture].sum(0) * grid).sum() / mass)
        y = float((light[picture].sum(1) * grid).sum() / mass)
        assert (x, y) == pytest.approx(tuple(where[picture, 0].tolist()), abs=0.3)


def test_bumps_show_their_points_to_a_fraction_of_a_pixel() -> None:
    generator = torch.Generator().manual_seed(0)
    points = 20 + 88 * torch.rand(2, 68, 2, generator=generator)
    maps = bumps(points, 32)
    torch.testing.assert_close(maps.sum(-1), torch.ones(2, 68))
    logits = maps.clamp_min(1e-20).log().view(2, 68, 32, 32)
    torch.testing.assert_close(positions(logits), points, atol=0.02, rtol=0)
    assert CELL * 32 == 128


def test_spoiled_pictures_stay_in_range_and_repeat() -> None:
    images = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    kept = images.clone()
    one, two = (spoiled(images, Draw.of(1, 0, 0, 0.0, torch.device("cpu"))) for _ in range(2))
    assert torch.equal(one, two)
    assert torch.equal(images, kept)
    assert float(one.abs().max()) <= 1
    assert not torch.equal(one, images)
