"""A job: what of an edit can be told before a network runs."""

import numpy as np
import pytest
import torch

from diffeditor.backbones import StableDiffusion
from diffeditor.job import Job
from diffeditor.tasks import Move
from tests.tiny import picture, quick


def job(model: StableDiffusion, width: int, height: int, **changes: object) -> Job:
    mask = np.zeros((height, width), np.bool_)
    mask[height // 8 : height // 4, width // 8 : width // 4] = True
    task = Move(image=picture(height, width), mask=mask, shift=(width / 8, 0))
    return Job.prepared(task, quick(**changes), model, lambda _: np.zeros((68, 2)))


@pytest.mark.parametrize(("width", "height"), [(64, 64), (200, 80), (30, 90)])
def test_what_is_free_covers_the_feathered_region(
    tiny_model: StableDiffusion, width: int, height: int
) -> None:
    made = job(tiny_model, width, height, resolution=128)
    free, latent = made.free, made.grid.latent
    assert free is not None and free.shape == (1, 1, latent.height, latent.width)
    assert 0 < free.sum() < free.numel()
    rows, columns = np.nonzero(made.task.region())
    size = made.grid.source
    cells = free[0, 0, rows * latent.height // size.height, columns * latent.width // size.width]
    assert bool((cells == 1).all())
    # The masks of the plan lie inside, with a cell to spare.
    inner = -torch.nn.functional.max_pool2d(-free, 3, stride=1, padding=1)
    assert bool((made.plan.m_sde <= inner).all())


def test_the_release_frees_all(tiny_model: StableDiffusion) -> None:
    assert job(tiny_model, 64, 64, hold_outside=False).free is None


@pytest.mark.parametrize(
    ("steps", "until", "first"), [(50, 0.0, 0), (50, 0.4, 20), (20, 0.31, 7), (4, 1.0, 3)]
)
def test_the_edit_begins_beyond_its_sketch(
    steps: int, until: float, first: int, tiny_model: StableDiffusion
) -> None:
    assert job(tiny_model, 64, 64, steps=steps, sketch_until=until).first == first
