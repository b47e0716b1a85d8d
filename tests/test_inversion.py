"""Inversion: the trajectory and the bank that it leaves."""

from itertools import pairwise

import pytest
import torch

from diffeditor.backbones import StableDiffusion
from diffeditor.inversion import ImageCondition, Trajectory, invert
from diffeditor.memory import MemoryBank
from diffeditor.schedule import ddim_invert_step
from tests.tiny import SCHEDULE, TEXT_WIDTH, finished, inverted, random_tensor

STEPS = 6
TEXT = random_tensor(2, 6, TEXT_WIDTH, seed=1)


@pytest.fixture
def z_0() -> torch.Tensor:
    return random_tensor(2, 4, 8, 8)


def test_every_level_follows_from_the_one_before(
    tiny_model: StableDiffusion, z_0: torch.Tensor
) -> None:
    levels = SCHEDULE.levels(STEPS)
    with torch.no_grad(), tiny_model.denoiser() as denoiser:
        trajectory = inverted(denoiser, z_0, STEPS, TEXT)
        assert len(trajectory.latents) == STEPS + 1
        assert torch.equal(trajectory.latents[0], z_0)
        for level, (z, after) in zip(reversed(levels), pairwise(trajectory.latents), strict=True):
            expected = ddim_invert_step(z, denoiser.eps(z, level.t, TEXT), level)
            torch.testing.assert_close(after, expected)
    assert torch.equal(trajectory.z_T, trajectory.at(0))
    assert torch.equal(trajectory.at(STEPS), z_0)


def test_the_plain_unet_gives_the_same(tiny_model: StableDiffusion, z_0: torch.Tensor) -> None:
    """The bank is written beside the UNet's own work."""
    z = z_0
    with torch.no_grad():
        for level in reversed(SCHEDULE.levels(STEPS)):
            eps = tiny_model.unet(z, level.t, TEXT, return_dict=False)[0]
            z = ddim_invert_step(z, eps, level)
        with tiny_model.denoiser() as denoiser:
            trajectory = inverted(denoiser, z_0, STEPS, TEXT)
    torch.testing.assert_close(trajectory.z_T, z, rtol=1e-3, atol=1e-4)


def test_progress_is_told_step_by_step(tiny_model: StableDiffusion, z_0: torch.Tensor) -> None:
    with tiny_model.denoiser() as denoiser:
        run = invert(denoiser, z_0, SCHEDULE.levels(STEPS), TEXT, bank_steps=())
        assert list(run) == list(range(1, STEPS + 1))


def test_the_bank_holds_the_wanted_steps_and_is_frozen(
    tiny_model: StableDiffusion, z_0: torch.Tensor
) -> None:
    with torch.no_grad(), tiny_model.denoiser() as denoiser:
        run = invert(denoiser, z_0, SCHEDULE.levels(STEPS), TEXT, bank_steps=[1, 4])
        trajectory = finished(run)
        everything = inverted(denoiser, z_0, STEPS, TEXT)
    bank = trajectory.bank
    assert bank.steps == {1, 4} and 0 < bank.nbytes < everything.bank.nbytes
    for name, (key, _) in bank.read(4).items():
        assert torch.equal(key, everything.bank.read(4)[name][0]) and len(key) == 2
    with pytest.raises(RuntimeError, match="frozen"):
        bank.write(1, "layer", z_0, z_0)


def test_the_entry_of_a_step_comes_from_the_cleaner_latents(
    tiny_model: StableDiffusion, z_0: torch.Tensor
) -> None:
    """Step 0, the noisiest, is the last one that is inverted: its input is one level below z_T."""
    with torch.no_grad(), tiny_model.denoiser() as denoiser:
        trajectory = inverted(denoiser, z_0, STEPS, TEXT)
        below = trajectory.at(1)
        again = finished(invert(denoiser, below, SCHEDULE.levels(STEPS)[:1], TEXT, bank_steps=[0]))
    for name, (key, _) in trajectory.bank.read(0).items():
        torch.testing.assert_close(again.bank.read(0)[name][0], key)


def test_the_image_prompt_is_used_where_it_is_given(
    tiny_model: StableDiffusion, z_0: torch.Tensor
) -> None:
    tokens, levels = random_tensor(2, 4, TEXT_WIDTH), SCHEDULE.levels(STEPS)
    with torch.no_grad(), tiny_model.denoiser() as denoiser:
        plain = inverted(denoiser, z_0, STEPS, TEXT).z_T

        def with_scale(scale: float) -> torch.Tensor:
            image = ImageCondition(tokens=tokens, scale=scale)
            run = invert(denoiser, z_0, levels, TEXT, bank_steps=(), image=image)
            return finished(run).z_T

        assert torch.equal(with_scale(0.0), plain)
        assert not torch.allclose(with_scale(1.0), plain, atol=1e-3)


def test_nothing_that_goes_in_is_modified(tiny_model: StableDiffusion, z_0: torch.Tensor) -> None:
    kept, text = z_0.clone(), TEXT.clone()
    with tiny_model.denoiser() as denoiser:
        trajectory = inverted(denoiser, z_0, STEPS, TEXT)
    assert torch.equal(z_0, kept) and torch.equal(TEXT, text)
    assert not any(z.requires_grad for z in trajectory.latents)


def test_all_that_a_trajectory_holds_is_counted() -> None:
    z = torch.zeros(1, 4, 2, 2)
    bank = MemoryBank([0])
    bank.write(0, "layer", torch.zeros(1, 3, 5), torch.zeros(1, 3, 5))
    trajectory = Trajectory(latents=(z, z, z), bank=bank)
    assert trajectory.nbytes == 4 * (3 * 16 + 2 * 15)
    trajectory.features[0] = [torch.zeros(1, 2, 4, 4)]
    assert trajectory.nbytes == 4 * (3 * 16 + 2 * 15 + 32)


def test_an_inversion_for_a_later_step_stops_there(
    tiny_model: StableDiffusion, z_0: torch.Tensor
) -> None:
    levels = SCHEDULE.levels(STEPS)
    with torch.no_grad(), tiny_model.denoiser() as denoiser:
        whole, part = (
            finished(invert(denoiser, z_0, levels, TEXT, bank_steps=(), first=first))
            for first in (0, 2)
        )
    assert len(part.latents) == len(whole.latents) - 2
    for step in range(2, STEPS + 1):
        assert torch.equal(part.at(step), whole.at(step))
