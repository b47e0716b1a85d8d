"""The schedule and the DDIM updates: against the library's scheduler and against closed forms."""

import math
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from diffeditor.errors import InvalidSetting
from diffeditor.schedule import (
    Level,
    RegionalNoise,
    Schedule,
    ddim_invert_step,
    predict_x0,
    regional_ddim_step,
    renoise_step,
    scaled_linear,
)
from tests.tiny import SCHEDULE, random_tensor

SPREAD = 0.5
"""Standard deviation of the data for which the noise is known in closed form."""


def library() -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def noise(
    eta_in: float, eta_out: float, draw: Tensor, region: Tensor | None = None
) -> RegionalNoise:
    everywhere = torch.ones(1, 1, *draw.shape[-2:], dtype=torch.bool)
    chosen = everywhere if region is None else region
    return RegionalNoise(region=chosen, eta_in=eta_in, eta_out=eta_out, noise=draw)


def test_alphas_are_the_librarys() -> None:
    assert scaled_linear() == tuple(library().alphas_cumprod.tolist())


def test_fifty_steps_are_those_of_the_release() -> None:
    levels = SCHEDULE.levels(50)
    assert [level.t for level in levels] == list(range(981, 0, -20))
    assert [level.p for level in levels] == list(range(961, -20, -20))
    assert levels[-1].a_p == SCHEDULE.a(0)


@pytest.mark.parametrize("steps", [4, 10, 50, 100])
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_every_step_is_the_librarys(steps: int, eta: float) -> None:
    theirs = library()
    theirs.set_timesteps(steps)
    levels = SCHEDULE.levels(steps)
    assert [level.t for level in levels] == theirs.timesteps.tolist()
    z = random_tensor(1, 4, 6, 5)
    for i, level in enumerate(levels):
        eps, draw = random_tensor(1, 4, 6, 5, seed=i), random_tensor(1, 4, 6, 5, seed=-i - 1)
        ours = regional_ddim_step(z, eps, level, sde=noise(eta, 0.0, draw))
        drawn = draw if eta else None
        (expected, *_) = theirs.step(
            eps, level.t, z, eta=eta, variance_noise=drawn, return_dict=False
        )
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
        z = expected


@given(steps=st.integers(4, 1000), offset=st.sampled_from([0, 1]))
def test_levels_go_down_strictly_and_join(steps: int, offset: int) -> None:
    levels = Schedule(SCHEDULE.alphas_cumprod, steps_offset=offset).levels(steps)
    times = [level.t for level in levels]
    assert len(times) == steps
    assert all(earlier > later for earlier, later in zip(times, times[1:], strict=False))
    assert 0 <= times[-1] < times[0] <= 999
    assert [level.p for level in levels[:-1]] == times[1:]
    assert levels[-1].p <= 0 and levels[-1].a_p == SCHEDULE.a(0)
    assert all(level.a_p >= level.a_t for level in levels)


def test_all_thousand_steps_are_different_levels() -> None:
    assert [level.t for level in SCHEDULE.levels(1000)] == list(range(999, -1, -1))


@pytest.mark.parametrize("steps", [3, 1001, 0, -50, 12.5, True])
def test_a_wrong_number_of_steps_is_refused(steps: int) -> None:
    with pytest.raises(InvalidSetting, match="whole number from 4 to 1000"):
        SCHEDULE.levels(steps)


@pytest.mark.parametrize("level", [SCHEDULE.levels(50)[i] for i in (0, 15, 49)])
def test_eta_zero_is_plain_ddim_bit_for_bit(level: Level) -> None:
    z, eps, G, draw = (random_tensor(1, 4, 8, 8, seed=k) for k in range(4))
    region = random_tensor(1, 1, 8, 8, seed=5) > 0
    plain = regional_ddim_step(z, eps, level, guidance=G)
    assert torch.equal(
        regional_ddim_step(z, eps, level, guidance=G, sde=noise(0.0, 0.0, draw, region)), plain
    )
    partly = regional_ddim_step(z, eps, level, guidance=G, sde=noise(0.4, 0.0, draw, region))
    outside = ~region.expand_as(z)
    assert torch.equal(partly[outside], plain[outside])
    assert not torch.isclose(partly[~outside], plain[~outside]).all() or level.variance == 0


def test_each_region_has_its_own_eta() -> None:
    level = SCHEDULE.levels(50)[15]
    z, eps, draw = (random_tensor(1, 4, 8, 8, seed=k) for k in range(3))
    region = random_tensor(1, 1, 8, 8, seed=5) > 0
    both = regional_ddim_step(z, eps, level, sde=noise(0.4, 0.2, draw, region))
    for eta, chosen in ((0.4, region), (0.2, ~region)):
        alone = regional_ddim_step(z, eps, level, sde=noise(eta, 0.0, draw))
        assert torch.equal(both[chosen.expand_as(z)], alone[chosen.expand_as(z)])


def test_guidance_moves_the_clean_latents_only() -> None:
    level = SCHEDULE.levels(50)[10]
    z, eps, G = (random_tensor(1, 4, 8, 8, seed=k) for k in range(3))
    moved = regional_ddim_step(z, eps, level, guidance=G) - regional_ddim_step(z, eps, level)
    expected = -math.sqrt(level.a_p * (1 - level.a_t) / level.a_t) * G
    torch.testing.assert_close(moved, expected, rtol=1e-4, atol=1e-4)


@given(i=st.integers(0, 49))
def test_inversion_undoes_a_step_with_the_same_noise(i: int) -> None:
    level = SCHEDULE.levels(50)[i]
    z, eps = random_tensor(1, 4, 8, 8), random_tensor(1, 4, 8, 8, seed=1)
    back = ddim_invert_step(regional_ddim_step(z, eps, level), eps, level)
    torch.testing.assert_close(back, z, rtol=1e-3, atol=1e-3)


@given(i=st.integers(0, 49))
def test_fresh_noise_gives_the_variance_of_the_level(i: int) -> None:
    level = SCHEDULE.levels(50)[i]
    zero, one = torch.zeros(1), torch.ones(1)
    keep, added = renoise_step(one, level, zero).item(), renoise_step(zero, level, one).item()
    assert keep * math.sqrt(level.a_p) == pytest.approx(math.sqrt(level.a_t), rel=1e-5)
    assert keep**2 * (1 - level.a_p) + added**2 == pytest.approx(1 - level.a_t, rel=1e-5)


@pytest.mark.parametrize("t", [1, 500, 999])
def test_v_prediction_is_turned_into_noise(t: int) -> None:
    schedule = Schedule(SCHEDULE.alphas_cumprod, prediction="v_prediction")
    x0, eps = random_tensor(2, 4, 8, 8), random_tensor(2, 4, 8, 8, seed=1)
    time: Any = torch.tensor([t, t])
    z, v = library().add_noise(x0, eps, time), library().get_velocity(x0, eps, time)
    torch.testing.assert_close(schedule.epsilon(v, z, t), eps, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(predict_x0(z, eps, schedule.a(t)), x0, rtol=1e-3, atol=1e-3)
    assert SCHEDULE.epsilon(v, z, t) is v


def test_a_run_that_predicts_v_is_the_librarys() -> None:
    theirs = DDIMScheduler.from_config(library().config, prediction_type="v_prediction")
    theirs.set_timesteps(10)
    schedule = Schedule(SCHEDULE.alphas_cumprod, prediction="v_prediction")
    z = wanted = random_tensor(1, 4, 8, 8)
    for level, t in zip(schedule.levels(10), theirs.timesteps.tolist(), strict=True):
        v = random_tensor(1, 4, 8, 8, seed=t)
        wanted = theirs.step(v, t, wanted, return_dict=False)[0]
        z = regional_ddim_step(z, schedule.epsilon(v, z, t), level)
        assert level.t == t
        torch.testing.assert_close(z, wanted, rtol=1e-5, atol=1e-5)


def gaussian_eps(z: Tensor, a: float) -> Tensor:
    """The noise in z for data from N(0, SPREAD^2), exactly."""
    return math.sqrt(1 - a) * z / (a * SPREAD**2 + 1 - a)


def round_trip_error(steps: int) -> float:
    """How far inverting and sampling leaves z_0 = 1 from where it was."""
    z_0 = z = torch.ones(1, dtype=torch.float64)
    levels = SCHEDULE.levels(steps)
    for level in reversed(levels):
        z = ddim_invert_step(z, gaussian_eps(z, level.a_t), level)
    for level in levels:
        z = regional_ddim_step(z, gaussian_eps(z, level.a_t), level)
    return float((z - z_0).abs())


def sampling_error(steps: int) -> float:
    """How far sampling is from the exact flow, which scales by the ratio of the spreads."""
    levels = SCHEDULE.levels(steps)
    variances = [a * SPREAD**2 + 1 - a for a in (levels[0].a_t, levels[-1].a_p)]
    z = torch.full((1,), math.sqrt(variances[0]), dtype=torch.float64)
    for level in levels:
        z = regional_ddim_step(z, gaussian_eps(z, level.a_t), level)
    return float((z / math.sqrt(variances[1]) - 1).abs())


@pytest.mark.parametrize("error", [round_trip_error, sampling_error])
def test_errors_halve_when_the_steps_double(error) -> None:  # type: ignore[no-untyped-def]
    errors = [error(steps) for steps in (50, 100, 200, 400)]
    ratios = [a / b for a, b in zip(errors, errors[1:], strict=False)]
    assert errors[0] < 0.1
    assert all(1.6 < ratio < 2.5 for ratio in ratios), (errors, ratios)
