"""Decoder features with early exit: the same maps, no more work, nothing left behind."""

from typing import Any

import pytest
import torch
from torch import Tensor

from diffeditor.backbones import StableDiffusion
from diffeditor.features import decoder_features, on_feature_grid
from diffeditor.geometry import Size
from tests.tiny import TEXT_WIDTH, count_hooks, random_tensor

BLOCKS = (0, 1)


@pytest.fixture
def unet(tiny_model: StableDiffusion) -> Any:
    return tiny_model.unet


def call(unet: Any, z: Tensor) -> Any:
    return unet(z, 500, random_tensor(1, 6, TEXT_WIDTH), return_dict=False)


def test_features_are_the_blocks_outputs(unet: Any) -> None:
    z = random_tensor(1, 4, 8, 12)
    full: list[Tensor] = []
    handles = [
        unet.up_blocks[k].register_forward_hook(lambda _, __, out: full.append(out)) for k in BLOCKS
    ]
    with torch.no_grad():
        call(unet, z)
    for handle in handles:
        handle.remove()
    with torch.no_grad():
        early = decoder_features(unet, BLOCKS, lambda: call(unet, z))
    assert [tuple(m.shape[-2:]) for m in early] == [(4, 6), (8, 12)]
    assert all(torch.equal(a, b) for a, b in zip(early, full, strict=True))


def test_nothing_runs_past_the_last_feature(unet: Any) -> None:
    ran: list[str] = []
    watched = {"block 1": unet.up_blocks[1], "block 2": unet.up_blocks[2], "end": unet.conv_out}
    handles = [
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
        for name, module in watched.items()
    ]
    z = random_tensor(1, 4, 8, 12)
    try:
        with torch.no_grad():
            decoder_features(unet, BLOCKS, lambda: call(unet, z))
            assert ran == ["block 1"]
            call(unet, z)
            assert ran == ["block 1", "block 1", "block 2", "end"]
    finally:
        for handle in handles:
            handle.remove()


def test_no_hook_is_left(unet: Any) -> None:
    before = count_hooks(unet)
    with torch.no_grad():
        decoder_features(unet, BLOCKS, lambda: call(unet, random_tensor(1, 4, 8, 12)))
    assert count_hooks(unet) == before


def test_no_hook_is_left_by_an_error(unet: Any) -> None:
    before = count_hooks(unet)

    def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        decoder_features(unet, BLOCKS, broken)
    assert count_hooks(unet) == before


def test_gradients_flow_to_the_latents(unet: Any) -> None:
    z = random_tensor(1, 4, 8, 12).requires_grad_()
    maps = decoder_features(unet, BLOCKS, lambda: call(unet, z))
    for m in maps:
        (gradient,) = torch.autograd.grad(m.square().mean(), z, retain_graph=True)
        assert bool(gradient.isfinite().all()) and float(gradient.abs().max()) > 0


def test_maps_are_brought_to_the_grid_by_nearest_cell() -> None:
    coarse, fine = random_tensor(1, 2, 2, 3), random_tensor(1, 2, 8, 12, dtype=torch.float64)
    first, second = on_feature_grid([coarse, fine], Size(8, 12))
    assert torch.equal(first, coarse.repeat_interleave(4, 2).repeat_interleave(4, 3))
    assert torch.equal(second, fine.float()) and second.dtype is torch.float32


def test_the_denoiser_counts_what_it_runs(tiny_model: StableDiffusion) -> None:
    z, text = random_tensor(2, 4, 8, 12), random_tensor(2, 6, TEXT_WIDTH)
    with tiny_model.denoiser() as denoiser:
        with torch.no_grad():
            eps = denoiser.eps(z, 500, text)
            maps = denoiser.features(z, 500, text)
        with torch.enable_grad():
            denoiser.features(z[:1].requires_grad_(), 500, text[:1])
    assert denoiser.samples == {"eps": 2, "features": 2, "guided": 1}
    assert eps.shape == z.shape and eps.dtype is torch.float32
    assert [m.shape[-2:] for m in maps] == [(16, 24), (16, 24)]
