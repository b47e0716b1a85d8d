"""The editing gradient, and how far an edit got."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from diffeditor.backbones import StableDiffusion
from diffeditor.energy import Energies
from diffeditor.geometry import Point
from diffeditor.guidance import Gradients, Guidance, _pulled_back, limited, reached
from diffeditor.inversion import Trajectory
from diffeditor.memory import MemoryBank
from diffeditor.sampler import Sampler
from tests.tiny import quick, random_tensor, sample_task, sampler_of

STEPS = 4


@pytest.fixture
def sampler(tiny_model: StableDiffusion) -> Iterator[Sampler]:
    with tiny_model.denoiser() as denoiser:
        yield sampler_of(tiny_model, denoiser, sample_task("move", 64, 64), quick(steps=STEPS))


def energies_at(guidance: Guidance, z: Tensor, step: int, sampler: Sampler) -> Energies:
    level = sampler.levels[step]
    with torch.no_grad():
        gen = guidance.denoiser.features(z, level.t, guidance.text)
        return guidance.plan.energies(gen, guidance.reference(step, level))


@pytest.mark.parametrize("pick", ["edit", "content"])
def test_gradients_are_those_of_finite_differences(sampler: Sampler, pick: str) -> None:
    guidance, z = sampler.guidance, random_tensor(1, 4, 8, 8, seed=5)
    found = guidance.gradients(z, 1, sampler.levels[1])
    gradient = getattr(found, f"grad_{pick}")
    way = gradient / gradient.norm()
    h = 0.05
    ahead, behind = (
        getattr(energies_at(guidance, z + s * h * way, 1, sampler), pick) for s in (1, -1)
    )
    slope = float(ahead - behind) / (2 * h)
    assert slope == pytest.approx(float(gradient.norm()), rel=0.02)
    assert slope > 0


def test_what_is_too_small_for_float16_is_passed_back_all_the_same() -> None:
    """The gradient of a mean over so many elements is below float16's smallest number."""
    z = random_tensor(1, 4, 8, 8).requires_grad_()
    features = [(0.5 * z).half().float()]
    energy = 1e-6 * features[0].square().mean()
    expected = 1e-6 * 0.5 * features[0].detach() / z.numel() * 2
    found = _pulled_back(energy, features, z)
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=0.0)
    assert not torch.autograd.grad(1e-6 * (0.5 * z).half().float().square().mean(), z)[0].any()


def test_scaling_changes_no_digit_in_float32(sampler: Sampler) -> None:
    guidance, level = sampler.guidance, sampler.levels[1]
    z = random_tensor(1, 4, 8, 8, seed=5)
    found = guidance.gradients(z, 1, level)
    z = z.requires_grad_()
    gen = guidance.denoiser.features(z, level.t, guidance.text)
    energies = guidance.plan.energies(gen, guidance.reference(1, level))
    (plain,) = torch.autograd.grad(energies.edit, z)
    assert torch.equal(found.grad_edit, plain)


def test_energies_are_reported_as_they_are(sampler: Sampler) -> None:
    guidance, z = sampler.guidance, random_tensor(1, 4, 8, 8, seed=5)
    found, expected = (
        guidance.gradients(z, 1, sampler.levels[1]),
        energies_at(guidance, z, 1, sampler),
    )
    assert expected.content is not None and found.content is not None
    assert float(found.edit) == pytest.approx(float(expected.edit))
    assert float(found.content) == pytest.approx(float(expected.content))


def gradients(content: bool = True) -> Gradients:
    one = torch.tensor(1.0)
    edit, other = random_tensor(1, 4, 8, 8), random_tensor(1, 4, 8, 8, seed=1)
    return Gradients(
        edit=one,
        content=one if content else None,
        grad_edit=edit,
        grad_content=other if content else None,
    )


def test_gradients_are_split_by_region(sampler: Sampler) -> None:
    guidance, both = sampler.guidance, gradients()
    m = guidance.plan.m_edit.expand_as(both.grad_edit) > 0
    assert 0 < m.sum() < m.numel()
    G = guidance.combined(both)
    scale = 0.08 * 1000 * 0.5
    assert both.grad_content is not None
    torch.testing.assert_close(G[m], scale * both.grad_edit[m])
    torch.testing.assert_close(G[~m], scale * both.grad_content[~m])


def test_without_regions_the_gradients_are_added(sampler: Sampler) -> None:
    guidance, both = replace(sampler.guidance, regional=False), gradients()
    assert both.grad_content is not None
    expected = 40 * (both.grad_edit + both.grad_content)
    torch.testing.assert_close(guidance.combined(both), expected)
    alone = gradients(content=False)
    torch.testing.assert_close(guidance.combined(alone), 40 * alone.grad_edit)


def test_a_limit_shortens_the_cells_above_it_and_keeps_their_direction(sampler: Sampler) -> None:
    both = gradients()
    free = sampler.guidance.combined(both)
    held = replace(sampler.guidance, limit=20.0).combined(both)
    rms = free.square().mean(1, keepdim=True).sqrt()
    above = (rms > 20).expand_as(free)
    assert 0 < above.sum() < above.numel()
    assert torch.equal(held[~above], free[~above])
    torch.testing.assert_close(held[above], (free * 20 / rms)[above])
    assert torch.equal(limited(free, 0.0), free)
    assert not limited(torch.zeros(1, 4, 2, 2), 0.5).any()


def test_energy_scale_zero_is_no_guidance(sampler: Sampler) -> None:
    guidance = replace(sampler.guidance, energy_scale=0.0)
    assert not guidance(random_tensor(1, 4, 8, 8), 0, sampler.levels[0]).any()


def test_reference_features_are_computed_once_for_a_trajectory(sampler: Sampler) -> None:
    z, samples = random_tensor(1, 4, 8, 8), sampler.denoiser.samples
    for seed in range(3):
        sampler.guidance(random_tensor(1, 4, 8, 8, seed=seed), 1, sampler.levels[1])
    assert (samples["features"], samples["guided"]) == (1, 3)
    replace(sampler.guidance)(z, 1, sampler.levels[1])
    assert samples["features"] == 1
    sampler.guidance(z, 2, sampler.levels[2])
    assert samples["features"] == 2


def test_reference_features_are_those_of_the_trajectory(sampler: Sampler) -> None:
    level = sampler.levels[1]
    with torch.no_grad():
        z = sampler.trajectory.at(1)
        expected = sampler.denoiser.features(z, level.t, sampler.guidance.text)
    found = sampler.guidance.reference(1, level)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_both_pictures_have_reference_features(tiny_model: StableDiffusion) -> None:
    task = sample_task("paste", 64, 64)
    with tiny_model.denoiser() as denoiser:
        sampler = sampler_of(tiny_model, denoiser, task, quick(steps=STEPS))
        found = sampler.guidance.reference(0, sampler.levels[0])
        G = sampler.guidance(random_tensor(1, 4, 8, 8), 0, sampler.levels[0])
    assert [len(m) for m in found] == [2, 2]
    assert G.shape == (1, 4, 8, 8) and bool(G.any())


def test_neither_latents_nor_weights_take_part_in_a_graph(
    sampler: Sampler, tiny_model: StableDiffusion
) -> None:
    z = random_tensor(1, 4, 8, 8)
    kept = z.clone()
    with torch.no_grad():
        G = sampler.guidance(z, 0, sampler.levels[0])
        assert not torch.is_grad_enabled()
    assert torch.equal(z, kept) and not z.requires_grad and z.grad is None
    assert not G.requires_grad
    assert all(p.grad is None for p in tiny_model.unet.parameters())
    assert not any(m.requires_grad for m in sampler.guidance.gen_features)


def measured(sampler: Sampler, gen: list[Tensor], ref: list[Tensor]) -> Guidance:
    bank = MemoryBank([])
    trajectory = Trajectory(latents=(), bank=bank, features={0: ref})
    return replace(sampler.guidance, trajectory=trajectory, gen_features=gen, last_step=0)


@pytest.mark.parametrize(("moved", "expected"), [((0, 0), 0.0), ((3, 4), 1.0), ((6, 8), 2.0)])
def test_reached_is_the_part_of_the_way(
    sampler: Sampler, moved: tuple[int, int], expected: float
) -> None:
    """Features moved by (dx, dy) of a pair that asks for (6, 8)."""
    ref = [random_tensor(1, 16, 24, 24, seed=k) for k in (0, 1)]
    gen = [m.roll((moved[1], moved[0]), (2, 3)) for m in ref]
    pair = (Point(8.5, 8.5), Point(11.5, 12.5))
    far = (Point(8.5, 8.5), Point(14.5, 16.5))
    found = reached(measured(sampler, gen, ref), [far])
    assert found == pytest.approx([expected / 2])
    if expected <= 1:
        assert reached(measured(sampler, gen, ref), [pair]) == pytest.approx([expected])


def test_nothing_is_measured_without_guidance(sampler: Sampler) -> None:
    guidance = measured(sampler, [], [])
    assert reached(guidance, [(Point(1, 1), Point(2, 2))]) == []


def test_a_pair_within_a_cell_is_not_measured(sampler: Sampler) -> None:
    maps = [random_tensor(1, 4, 16, 16)]
    close, apart = (Point(5, 5), Point(5.5, 5)), (Point(5, 5), Point(6, 5))
    assert reached(measured(sampler, maps, maps), [close, apart]) == [None, 0.0]
