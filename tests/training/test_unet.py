"""Noise, weights and timesteps of the denoiser's training."""

import numpy as np
import pytest
import torch

from diffeditor.schedule import scaled_linear
from diffeditor.training.draw import Draw
from diffeditor.training.unet import (
    add_noise,
    dropped,
    level_weights,
    noise_errors,
    scheduler,
    stratified_timesteps,
)

CPU = torch.device("cpu")


def test_the_schedule_is_that_of_the_engine() -> None:
    made = scheduler()
    torch.testing.assert_close(made.alphas_cumprod, torch.tensor(scaled_linear()))
    assert made.config.steps_offset == 1
    assert not made.config.set_alpha_to_one
    assert not made.config.clip_sample


def test_noise_is_added_as_the_library_does() -> None:
    generator = torch.Generator().manual_seed(0)
    z_0, eps = torch.randn(2, 3, 4, 8, 8, generator=generator)
    t = torch.tensor([0, 500, 999])
    made = scheduler()
    torch.testing.assert_close(
        add_noise(z_0, eps, t, made.alphas_cumprod), made.add_noise(z_0, eps, t)
    )


def test_timesteps_fall_into_every_stratum() -> None:
    draw = Draw.of(0, 0, 0, 0.0, CPU)
    t = stratified_timesteps(10, draw, CPU)
    assert sorted((t // 100).tolist()) == list(range(10))


def test_weights_are_a_power_of_the_signal_to_noise_ratio() -> None:
    alphas_cumprod = scheduler().alphas_cumprod
    weights = level_weights(alphas_cumprod, 0.5)
    snr = alphas_cumprod / (1 - alphas_cumprod)
    assert float(weights.mean()) == pytest.approx(1.0, abs=1e-5)
    assert float(weights[0] / weights[900]) == pytest.approx(
        float((snr[900] / snr[0]).sqrt()), rel=1e-4
    )
    assert torch.equal(level_weights(alphas_cumprod, 0.0), torch.ones(1000))


def test_the_wanted_share_of_captions_is_dropped() -> None:
    rng = np.random.default_rng(0)
    texts = dropped(["a face with tan skin, smiling"] * 2000, 0.1, rng)
    assert 0.07 < texts.count("") / len(texts) < 0.13


def test_an_oracle_has_no_error_and_silence_has_all() -> None:
    z_0 = torch.zeros(2, 4, 8, 8)
    alphas_cumprod = scheduler().alphas_cumprod

    def oracle(z_t: torch.Tensor, t: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return z_t / (1 - alphas_cumprod[t]).sqrt().view(-1, 1, 1, 1)

    assert max(noise_errors(oracle, z_0, z_0).values()) < 1e-6
    silent = noise_errors(lambda z_t, t, _: torch.zeros_like(z_t), z_0, z_0)
    assert all(0.7 < value < 1.4 for value in silent.values())


def test_draws_depend_on_seed_process_and_step_alone() -> None:
    def numbers(*where: int) -> tuple[float, float]:
        draw = Draw.of(*where, 0.5, CPU)
        return draw.rng.random(), float(torch.rand((), generator=draw.generator))

    assert numbers(1, 0, 7) == numbers(1, 0, 7)
    assert len({numbers(1, 0, 7), numbers(2, 0, 7), numbers(1, 1, 7), numbers(1, 0, 8)}) == 4
