"""The one loop: its identities, its windows, and what it draws."""

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from diffeditor.attention import PLAIN, AttentionPass
from diffeditor.backbones import Denoiser, StableDiffusion
from diffeditor.config import NOWHERE, Preset, StepWindow
from diffeditor.inversion import ImageCondition
from diffeditor.sampler import Sampler
from diffeditor.schedule import RegionalNoise, predict_x0, regional_ddim_step, renoise_step
from tests.tiny import (
    SCHEDULE,
    finished,
    inverted,
    quick,
    random_tensor,
    sample_task,
    sampler_of,
)

STEPS = 4  # step 1 is stochastic and has the image prompt, step 2 travels in time
ALWAYS = StepWindow()

BARE = quick(
    energy_scale=0.0,
    guidance_scale=1.0,
    guide=(),
    sde=NOWHERE,
    travel=NOWHERE,
    image_prompt=NOWHERE,
    bank_from=1.0,
)
"""Neither guidance nor noise, time travel, image prompt or bank."""


@pytest.fixture
def denoiser(tiny_model: StableDiffusion) -> Iterator[Denoiser]:
    with tiny_model.denoiser() as found:
        yield found


def made(model: StableDiffusion, denoiser: Denoiser, preset: Preset, name: str = "move") -> Sampler:
    return sampler_of(model, denoiser, sample_task(name, 64, 64), preset)


def unmoved(sampler: Sampler) -> Sampler:
    """The sampler, starting from the inversion's end as it is."""
    return replace(sampler, plan=replace(sampler.plan, start=lambda z: z[:1], m_anew=None))


def result(sampler: Sampler) -> Tensor:
    return finished(sampler.run())


class Gaussian(Denoiser):
    """The exact denoiser of data from N(0, 1/4)."""

    def __init__(self) -> None:
        pass

    def eps(self, z: Tensor, t: int, text: Tensor, now: AttentionPass = PLAIN) -> Tensor:
        a = SCHEDULE.a(t)
        return math.sqrt(1 - a) * z / (a / 4 + 1 - a)


def test_reconstruction_of_gaussians_has_the_order_of_the_method(
    tiny_model: StableDiffusion, denoiser: Denoiser
) -> None:
    errors = []
    for steps in (25, 50, 100, 200):
        trajectory = inverted(Gaussian(), random_tensor(1, 4, 8, 8) / 2, steps, torch.zeros(1))
        preset = replace(BARE, steps=steps)
        template = made(tiny_model, denoiser, replace(BARE, steps=STEPS))
        sampler = replace(
            unmoved(template),
            denoiser=Gaussian(),
            trajectory=trajectory,
            levels=SCHEDULE.levels(steps),
            preset=preset,
        )
        errors.append(float((result(sampler) - trajectory.latents[0]).abs().max()))
    assert errors[1] < 0.1
    assert all(1.6 < a / b < 2.5 for a, b in zip(errors, errors[1:], strict=False)), errors


def test_reconstruction_by_a_network_gets_better_with_steps(
    tiny_model: StableDiffusion, denoiser: Denoiser
) -> None:
    errors = []
    for steps in (8, 24, 72):
        sampler = unmoved(made(tiny_model, denoiser, replace(BARE, steps=steps)))
        z_0 = sampler.trajectory.latents[0]
        errors.append(float((result(sampler) - z_0).norm() / z_0.norm()))
    assert errors[0] > 1.3 * errors[1] > 1.3 * 1.8 * errors[2], errors


def test_the_bank_alone_reconstructs_as_well(
    tiny_model: StableDiffusion, denoiser: Denoiser
) -> None:
    bare = made(tiny_model, denoiser, replace(BARE, steps=40))
    errors = []
    for bank_from in (1.0, 0.0):
        preset = replace(BARE, steps=40, bank_from=bank_from)
        window = StepWindow(start=bank_from)
        sampler = unmoved(bare)
        kv = replace(sampler.plan.kv, window=window)
        sampler = replace(sampler, preset=preset, plan=replace(sampler.plan, kv=kv))
        z_0 = sampler.trajectory.latents[0]
        errors.append(float((result(sampler) - z_0).norm() / z_0.norm()))
    assert errors[1] < 1.1 * errors[0]


def test_one_round_is_no_time_travel(tiny_model: StableDiffusion, denoiser: Denoiser) -> None:
    preset = quick(steps=STEPS)
    once = result(made(tiny_model, denoiser, replace(preset, travel_rounds=1)))
    none = result(made(tiny_model, denoiser, replace(preset, travel=NOWHERE)))
    thrice = result(made(tiny_model, denoiser, preset))
    assert torch.equal(once, none) and not torch.equal(thrice, none)


def test_rounds_are_run_and_the_last_does_not_travel_back(
    tiny_model: StableDiffusion, denoiser: Denoiser
) -> None:
    sampler = made(tiny_model, denoiser, quick(steps=STEPS, travel_rounds=3))
    before = denoiser.samples["eps"]
    steps = list(sampler.run())
    assert [step.step for step in steps] == list(range(STEPS))
    assert denoiser.samples["eps"] - before == 2 * (STEPS + 2) + 2


@pytest.mark.parametrize("travel_by", ["inversion", "noise"])
def test_one_draw_a_step_and_one_a_journey(
    tiny_model: StableDiffusion, denoiser: Denoiser, travel_by: str
) -> None:
    drawn: list[int] = []

    def noise(i: int) -> Tensor:
        drawn.append(i)
        return random_tensor(1, 4, 8, 8, seed=i)

    preset = quick(
        steps=STEPS, sde=ALWAYS, travel=StepWindow(start=0.5), travel_rounds=3, travel_by=travel_by
    )
    result(replace(made(tiny_model, denoiser, preset), noise=noise))
    again = 1 if travel_by == "inversion" else 3
    assert drawn == [0, 0, 1, *[2] * again, *[3] * again]


def test_the_place_that_an_object_leaves_starts_from_fresh_noise(
    tiny_model: StableDiffusion, denoiser: Denoiser
) -> None:
    ours = made(tiny_model, denoiser, quick(steps=STEPS))
    theirs = made(tiny_model, denoiser, quick("release", steps=STEPS))
    fresh = random_tensor(1, 4, 8, 8, seed=5)
    anew = ours.plan.m_anew
    assert anew is not None and 0 < anew.sum() < anew.numel()
    assert theirs.plan.m_anew is None
    inside = anew.expand_as(fresh) > 0
    start = theirs.plan.start(theirs.trajectory.z_T)
    z = ours.begun(start, fresh, 0.5)
    assert torch.equal(z[inside], fresh[inside])
    assert torch.equal(z[~inside], start[~inside])
    assert torch.equal(theirs.begun(start, fresh, 0.5), start)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_vacated_place_is_held_on_its_surroundings_at_first(
    share: float, tiny_model: StableDiffusion, denoiser: Denoiser
) -> None:
    sampler = made(tiny_model, denoiser, quick(steps=STEPS, fill_until=share))
    fresh, clean = (random_tensor(1, 4, 8, 8, seed=seed) for seed in (5, 6))
    sampler = replace(sampler, noise=lambda _: fresh, sketch=clean)
    assert sampler.plan.m_anew is not None
    inside = sampler.plan.m_anew.expand_as(fresh) > 0
    held = []
    for step, level in zip(sampler.run(), sampler.levels, strict=True):
        expected = level.a_p**0.5 * clean + (1 - level.a_p) ** 0.5 * fresh
        held.append(torch.allclose(step.z[inside], expected[inside], atol=1e-6))
    assert held == [i < share * STEPS for i in range(STEPS)]


@pytest.mark.parametrize("first", [1, 3])
def test_a_sketch_that_shows_what_the_plan_lays_there_is_the_inversion(
    first: int, tiny_model: StableDiffusion, denoiser: Denoiser
) -> None:
    sampler = made(tiny_model, denoiser, BARE, "paste")
    plan, trajectory = sampler.plan, sampler.trajectory
    sketch = plan.start(trajectory.latents[0])
    start = replace(sampler, first=first, sketch=sketch).start()
    assert torch.allclose(start, plan.start(trajectory.at(first)), atol=1e-6)
    without = replace(sampler, sketch=sketch).start()
    assert torch.equal(without, plan.start(trajectory.z_T))


def test_a_change_of_the_sketch_comes_in_under_the_noise_of_its_step(
    tiny_model: StableDiffusion, denoiser: Denoiser
) -> None:
    sampler = made(tiny_model, denoiser, BARE, "paste")
    sketch, change = sampler.trajectory.latents[0][:1], random_tensor(1, 4, 8, 8, seed=7)
    free = torch.zeros(1, 1, 8, 8)
    free[..., 2:6, 3:7] = 1
    for first in range(1, len(sampler.levels)):
        begun = replace(sampler, first=first, free=free)
        plain = replace(begun, sketch=sketch).start()
        changed = replace(begun, sketch=sketch + change).start()
        share = sampler.levels[first].a_t ** 0.5
        assert torch.allclose(changed - plain, share * change * free, atol=1e-5)


@pytest.mark.parametrize(("first", "redrawn"), [(1, False), (2, True), (3, True)])
def test_a_start_after_all_stochastic_steps_makes_up_for_them(
    first: int, redrawn: bool, tiny_model: StableDiffusion, denoiser: Denoiser
) -> None:
    sampler = made(tiny_model, denoiser, quick(steps=STEPS, eta_in=0.6, eta_out=0.0), "paste")
    sampler = replace(sampler, first=first, sketch=sampler.trajectory.latents[0][:1])
    noise, draw = (random_tensor(1, 4, 8, 8, seed=seed) for seed in (5, 6))
    stirred = replace(sampler, noise=lambda _: draw).stirred(noise, 0.75)
    expected = torch.where(sampler.plan.m_sde > 0, 0.8 * noise + 0.6 * 0.5 * draw, noise)
    assert torch.allclose(stirred, expected if redrawn else noise, atol=1e-6)


def test_the_vacated_place_starts_from_the_sketch_under_fresh_noise(
    tiny_model: StableDiffusion, denoiser: Denoiser
) -> None:
    sampler = made(tiny_model, denoiser, replace(BARE, hold_outside=False))
    fresh, clean = (random_tensor(1, 4, 8, 8, seed=seed) for seed in (5, 6))
    sampler = replace(sampler, first=2, noise=lambda _: fresh, sketch=clean)
    assert sampler.plan.m_anew is not None
    inside, a = sampler.plan.m_anew.expand_as(fresh) > 0, sampler.levels[2].a_t
    begun = sampler.begun(sampler.start(), fresh, a)
    expected = a**0.5 * clean + (1 - a) ** 0.5 * fresh
    assert torch.allclose(begun[inside], expected[inside])
    assert not torch.allclose(begun[~inside], expected[~inside])


@pytest.mark.parametrize("first", [0, 2])
def test_steps_before_the_first_are_left_out(
    first: int, tiny_model: StableDiffusion, denoiser: Denoiser
) -> None:
    sampler = made(tiny_model, denoiser, BARE)
    sampler = replace(sampler, first=first, sketch=sampler.trajectory.latents[0][:1])
    before = denoiser.samples["eps"]
    steps = list(sampler.run())
    assert [step.step for step in steps] == list(range(first, len(sampler.levels)))
    assert denoiser.samples["eps"] - before == len(steps)


def test_what_is_not_free_follows_the_inversion(
    tiny_model: StableDiffusion, denoiser: Denoiser
) -> None:
    sampler = made(tiny_model, denoiser, quick(steps=STEPS), "drag")
    free = torch.zeros(1, 1, 8, 8)
    free[..., 2:6, 3:7] = 1
    steps = list(replace(sampler, free=free).run())
    assert len(steps) == STEPS
    for step in steps:
        expected = sampler.trajectory.at(step.step + 1)[:1]
        same = (step.z == expected).all(1, keepdim=True)
        assert torch.equal(same, free == 0)
    assert torch.equal(result(replace(sampler, free=torch.ones_like(free))), result(sampler))


def test_travelling_by_noise_adds_a_draw(tiny_model: StableDiffusion, denoiser: Denoiser) -> None:
    sampler = made(tiny_model, denoiser, quick("random-time-travel", steps=STEPS))
    z, level = random_tensor(1, 4, 8, 8), sampler.levels[2]
    expected = renoise_step(z, level, sampler.noise(2))
    assert torch.equal(sampler.travelled_back(z, 2, level), expected)


@pytest.mark.parametrize("name", ["move", "drag", "paste", "appearance"])
def test_outside_the_sde_mask_one_step_does_not_depend_on_the_seed(
    tiny_model: StableDiffusion, denoiser: Denoiser, name: str
) -> None:
    sampler = made(tiny_model, denoiser, quick(steps=STEPS), name)
    z, level, now = random_tensor(1, 4, 8, 8), sampler.levels[1], sampler.attention()(1)
    with torch.no_grad():
        drawn = [
            replace(sampler, noise=lambda i, s=seed: random_tensor(1, 4, 8, 8, seed=s))
            for seed in (7, 8)
        ]
        first, second = (s.step(z, 1, level, now, s.regional_noise(1)).z for s in drawn)
        plain = sampler.step(z, 1, level, now, None).z
    inside = sampler.plan.m_sde.expand_as(z) > 0
    assert 0 < inside.sum() < inside.numel()
    assert torch.equal(first[~inside], second[~inside])
    assert torch.equal(first[~inside], plain[~inside])
    assert bool((first[inside] != second[inside]).all())


def test_the_face_is_stochastic_everywhere(tiny_model: StableDiffusion, denoiser: Denoiser) -> None:
    sampler = made(tiny_model, denoiser, quick(steps=STEPS), "face")
    sde = sampler.regional_noise(1)
    assert sde is not None and bool(sde.region.all()) and sde.eta_in == sde.eta_out == 0.2


def test_eta_zero_is_no_sde(tiny_model: StableDiffusion, denoiser: Denoiser) -> None:
    preset = quick(steps=STEPS)
    still = made(tiny_model, denoiser, replace(preset, eta_in=0.0, eta_out=0.0))
    none = made(tiny_model, denoiser, replace(preset, sde=NOWHERE))
    assert still.regional_noise(1) is None
    assert torch.equal(result(still), result(none))


def test_eta_outside_alone_is_stochastic(tiny_model: StableDiffusion, denoiser: Denoiser) -> None:
    preset = quick(steps=STEPS, eta_in=0.0, eta_out=0.3)
    sde = made(tiny_model, denoiser, preset).regional_noise(1)
    assert isinstance(sde, RegionalNoise) and sde.eta_out == 0.3


def test_energy_scale_zero_is_no_guidance(tiny_model: StableDiffusion, denoiser: Denoiser) -> None:
    preset = quick(steps=STEPS)
    still = result(made(tiny_model, denoiser, replace(preset, energy_scale=0.0)))
    none = result(made(tiny_model, denoiser, replace(preset, guide=())))
    assert torch.equal(still, none)
    assert not torch.equal(result(made(tiny_model, denoiser, preset)), none)


def test_image_prompt_scale_zero_is_no_image_prompt(
    tiny_model: StableDiffusion, denoiser: Denoiser
) -> None:
    sampler = made(tiny_model, denoiser, quick(steps=STEPS))

    def with_image(image: ImageCondition | None) -> Tensor:
        return result(replace(sampler, conditions=replace(sampler.conditions, image=image)))

    assert sampler.conditions.image is not None
    silent = with_image(replace(sampler.conditions.image, scale=0.0))
    assert torch.equal(silent, with_image(None))
    assert not torch.equal(with_image(replace(sampler.conditions.image, scale=2.0)), silent)


@pytest.mark.parametrize("step", [0, 1])
def test_guidance_scale_one_is_the_prompt_alone(
    tiny_model: StableDiffusion, denoiser: Denoiser, step: int
) -> None:
    """Step 1 has the image prompt; half the work gives what both halves give."""
    sampler = made(tiny_model, denoiser, quick(steps=STEPS, guidance_scale=1.0))
    z, level, now = random_tensor(1, 4, 8, 8), sampler.levels[step], sampler.attention()(step)
    assert (now.image_tokens is None) == (step == 0)
    with torch.no_grad():
        text, before = sampler.conditions.text, denoiser.samples["eps"]
        alone = sampler.eps(z, level, now)
        assert denoiser.samples["eps"] == before + 1
        both = denoiser.eps(torch.cat([z, z]), level.t, text, now)
    torch.testing.assert_close(alone, both[1:], rtol=1e-4, atol=1e-5)


def test_a_step_is_the_formula(tiny_model: StableDiffusion, denoiser: Denoiser) -> None:
    sampler = made(tiny_model, denoiser, quick(steps=STEPS))
    z, level = random_tensor(1, 4, 8, 8), sampler.levels[0]
    with torch.no_grad():
        step = sampler.step(z, 0, level, PLAIN, None)
        eps = sampler.eps(z, level, PLAIN)
    G = sampler.guidance(z, 0, level)
    torch.testing.assert_close(step.z, regional_ddim_step(z, eps, level, guidance=G))
    torch.testing.assert_close(step.x_0, predict_x0(z, eps, level.a_t))
    assert step.guidance_ratio is not None
    assert float(step.guidance_ratio) == pytest.approx(float(G.norm() / eps.norm()), rel=1e-4)


def test_attention_follows_the_windows(tiny_model: StableDiffusion, denoiser: Denoiser) -> None:
    preset = quick(steps=10)
    moving = made(tiny_model, denoiser, preset).attention()
    pasting = made(tiny_model, denoiser, preset, "paste").attention()
    assert [i for i in range(10) if moving(i).read] == list(range(1, 10))
    assert [i for i in range(10) if pasting(i).read] == list(range(8))
    for at in (moving, pasting):
        assert [i for i in range(10) if at(i).image_tokens is not None] == [2, 3]
        assert all(at(i).write is None for i in range(10))
    reader = moving(3).read
    assert reader is not None and reader[1] == 3


def test_nothing_that_goes_in_is_modified(tiny_model: StableDiffusion, denoiser: Denoiser) -> None:
    sampler = made(tiny_model, denoiser, quick(steps=STEPS))
    held = [*sampler.trajectory.latents, sampler.conditions.text, sampler.plan.m_sde]
    kept = [tensor.clone() for tensor in held]
    first = result(sampler)
    assert all(torch.equal(a, b) for a, b in zip(held, kept, strict=True))
    assert torch.equal(result(sampler), first)
    assert not first.requires_grad
