"""The autoencoder's guard against lost colours, its standardisation and its measures."""

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from diffeditor.training.config import TINY, VaeConfig
from diffeditor.training.vae import (
    CollapsedColours,
    build_vae,
    colour_error,
    psnr,
    reconstruct,
    reconstruction_loss,
    require_colours,
    standardise,
)
from diffeditor.worlds import random_face, random_scene, render_batch


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    batches = [[make(seed) for seed in range(4)] for make in (random_scene, random_face)]
    return torch.cat([render_batch(specs, 32) for specs in batches]) * 2 - 1


@pytest.fixture
def vae() -> AutoencoderKL:
    return build_vae(TINY.vae, TINY.size).eval()


def test_perfect_pictures_pass_the_colour_test(pictures: Tensor) -> None:
    require_colours(colour_error(pictures, pictures), VaeConfig().colour_tolerance)


def test_a_model_that_confuses_red_and_green_fails_the_colour_test(pictures: Tensor) -> None:
    both = pictures[:, :2].mean(1, keepdim=True)
    brown = torch.cat([both, both, pictures[:, 2:]], dim=1)
    with pytest.raises(CollapsedColours, match="of the colours wrong"):
        require_colours(colour_error(brown, pictures), VaeConfig().colour_tolerance)


def test_gray_pictures_have_lost_all_colour(pictures: Tensor) -> None:
    gray = pictures.mean(1, keepdim=True).expand_as(pictures)
    assert colour_error(gray, pictures) == pytest.approx(1.0, abs=1e-5)


def test_a_blur_is_not_taken_for_a_lost_colour(pictures: Tensor) -> None:
    blurred = torch.nn.functional.avg_pool2d(pictures, 3, 1, 1, count_include_pad=False)
    require_colours(colour_error(blurred, pictures), VaeConfig().colour_tolerance)


def test_standardising_changes_latents_and_not_pictures(
    vae: AutoencoderKL, pictures: Tensor
) -> None:
    before = reconstruct(vae, pictures)
    with torch.no_grad():
        deviation = vae.encode(pictures).latent_dist.std
        scale = vae.encode(pictures).latent_dist.mean.std((0, 2, 3))
    standardise(vae, pictures)
    with torch.no_grad():
        posterior = vae.encode(pictures).latent_dist
    torch.testing.assert_close(reconstruct(vae, pictures), before, atol=1e-4, rtol=0)
    torch.testing.assert_close(posterior.mean.mean((0, 2, 3)), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(posterior.mean.std((0, 2, 3)), torch.ones(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(
        posterior.std, deviation / scale[:, None, None], atol=1e-4, rtol=1e-3
    )
    assert vae.config.scaling_factor == 1.0


def test_psnr_of_a_known_error() -> None:
    true = torch.zeros(2, 3, 4, 4)
    assert psnr(true + 0.02, true) == pytest.approx(40.0, abs=1e-3)


def test_loss_is_zero_for_equal_pictures_and_weighs_detail(pictures: Tensor) -> None:
    weight = torch.ones(len(pictures), 1, 32, 32)
    assert float(reconstruction_loss(pictures, pictures, weight)) == 0.0
    off = pictures + 0.1
    plain, heavy = (float(reconstruction_loss(off, pictures, w)) for w in (weight, 2 * weight))
    assert heavy == pytest.approx(2 * plain)


def test_building_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    build_vae(TINY.vae, TINY.size)
    assert torch.equal(torch.get_rng_state(), before)


def test_equal_seeds_build_equal_models() -> None:
    one, two, other = (build_vae(TINY.vae, TINY.size, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)
    assert np.isclose(float(one["quant_conv.bias"][-1]), -6.0)
