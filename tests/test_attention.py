"""Attention under control: it comes out as clean as it went in, and takes K and V by the rule."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from diffeditor.attention import (
    AttentionControl,
    AttentionPass,
    BankReader,
    attached,
    layer_grid,
)
from diffeditor.backbones import StableDiffusion
from diffeditor.config import StepWindow
from diffeditor.geometry import Size
from diffeditor.memory import MemoryBank
from diffeditor.plan import Hidden, KVRule
from tests.tiny import TEXT_WIDTH, random_tensor

ALWAYS = StepWindow()
SHAPE = (1, 4, 8, 12)
FEATURES = Size(16, 24)


@pytest.fixture
def unet(tiny_model: StableDiffusion) -> Any:
    return tiny_model.unet


def call(unet: Any, z: Tensor, seed: int = 9) -> Tensor:
    text = random_tensor(1, 6, TEXT_WIDTH, seed=seed).expand(len(z), -1, -1)
    with torch.no_grad():
        return unet(z, 500, text, return_dict=False)[0]


def banked(unet: Any, control: AttentionControl, z: Tensor) -> MemoryBank:
    """The keys and values of one call, under step 0."""
    bank = MemoryBank([0])
    control.current = AttentionPass(write=(bank, 0))
    call(unet, z)
    control.current = AttentionPass()
    bank.freeze()
    return bank


def read(unet: Any, control: AttentionControl, z: Tensor, bank: MemoryBank, rule: KVRule) -> Tensor:
    control.current = AttentionPass(read=(BankReader(bank, rule), 0))
    return call(unet, z)


def rule(keep_own: bool, *masks: Tensor | None) -> KVRule:
    return KVRule(keep_own=keep_own, masks=masks or (None,), window=ALWAYS)


@pytest.mark.parametrize("raises", [False, True])
def test_the_unet_comes_out_as_it_went_in(tiny_model: StableDiffusion, raises: bool) -> None:
    unet = tiny_model.unet
    projections = tiny_model.image_prompt.ip_adapter if tiny_model.image_prompt else None
    before = dict(unet.attn_processors)
    text, keys = repr(unet), list(unet.state_dict())
    z = random_tensor(*SHAPE)
    expected = call(unet, z)
    try:
        with attached(unet, projections) as control:
            assert unet.attn_processors != before
            control.current = AttentionPass(image_tokens=random_tensor(1, 4, TEXT_WIDTH))
            call(unet, z)
            if raises:
                raise KeyError
    except KeyError:
        assert raises
    after = unet.attn_processors
    assert list(after) == list(before) and all(after[k] is before[k] for k in before)
    assert repr(unet) == text and list(unet.state_dict()) == keys
    assert torch.equal(call(unet, z), expected)


def test_without_a_wish_nothing_changes(tiny_model: StableDiffusion) -> None:
    unet, z = tiny_model.unet, random_tensor(2, *SHAPE[1:])
    expected = call(unet, z)
    assert tiny_model.image_prompt is not None
    with attached(unet, tiny_model.image_prompt.ip_adapter):
        torch.testing.assert_close(call(unet, z), expected, rtol=1e-4, atol=1e-5)


def test_the_bank_holds_the_self_attention_of_the_up_blocks(unet: Any) -> None:
    z = random_tensor(2, *SHAPE[1:])
    with attached(unet) as control:
        bank = banked(unet, control, z)
    entries = bank.read(0)
    assert len(entries) == 4
    assert all(name.startswith("up_blocks.") and name.endswith(".attn1") for name in entries)
    tokens = {name.split(".")[1]: key.shape for name, (key, _) in entries.items()}
    assert tokens == {"1": (2, 24, 32), "2": (2, 96, 16)}


def test_a_bank_of_the_same_latents_changes_nothing(unet: Any) -> None:
    z = random_tensor(*SHAPE)
    expected = call(unet, z)
    with attached(unet) as control:
        bank = banked(unet, control, z)
        for keep_own in (False, True):  # what is there twice weighs as much as once
            got = read(unet, control, z, bank, rule(keep_own))
            torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
        other = read(unet, control, random_tensor(*SHAPE, seed=1), bank, rule(True))
    assert not torch.allclose(other, expected, atol=1e-3)


def test_both_halves_of_a_batch_read_the_same(unet: Any) -> None:
    z, other = random_tensor(*SHAPE), random_tensor(*SHAPE, seed=1)
    with attached(unet) as control:
        bank = banked(unet, control, other)
        both = read(unet, control, torch.cat([z, z]), bank, rule(False))
        alone = read(unet, control, z, bank, rule(False))
    torch.testing.assert_close(both, alone.expand_as(both), rtol=1e-4, atol=1e-5)


def test_what_the_masks_leave_out_is_not_seen(unet: Any) -> None:
    """Pictures 0 and 1 of the bank are seen in their left and right half only."""
    left = torch.zeros(1, 1, FEATURES.height, FEATURES.width)
    left[..., : FEATURES.width // 2] = 1
    z, pictures = random_tensor(*SHAPE), random_tensor(2, *SHAPE[1:], seed=1)
    with attached(unet) as control:
        bank = banked(unet, control, pictures)
        halves = rule(False, left, 1 - left)
        expected = read(unet, control, z, bank, halves)
        assert torch.equal(read(unet, control, z, hidden(bank, left), halves), expected)
        swapped = read(unet, control, z, bank, rule(False, 1 - left, left))
    assert not torch.allclose(swapped, expected, atol=1e-4)


def hidden(bank: MemoryBank, left: Tensor) -> MemoryBank:
    """The bank with noise in the right half of picture 0 and the left half of picture 1."""
    changed = MemoryBank([0])
    for name, pair in bank.read(0).items():
        grid = layer_grid(FEATURES, pair[0].shape[1])
        inside = torch.nn.functional.interpolate(left, (grid.height, grid.width)).flatten() > 0
        seen = torch.stack([inside, ~inside])[..., None]
        noise = random_tensor(*pair[0].shape, seed=7)
        changed.write(0, name, *(torch.where(seen, entry, noise) for entry in pair))
    return changed


@pytest.mark.parametrize("keep_own", [False, True])
def test_some_cells_may_be_kept_from_seeing_others(unet: Any, keep_own: bool) -> None:
    """With every query restricted, what is hidden does not matter; with none, it does."""
    z, pictures = random_tensor(*SHAPE), random_tensor(2, *SHAPE[1:], seed=1)
    right = torch.zeros(1, 1, FEATURES.height, FEATURES.width)
    right[..., FEATURES.width // 2 :] = 1
    everywhere, nowhere = torch.ones_like(right), torch.zeros_like(right)
    masks = (None, right)  # the second picture only as `hidden` leaves it
    with attached(unet) as control:
        bank = banked(unet, control, pictures)
        changed = hidden(bank, 1 - right)
        for queries, equal in ((everywhere, True), (nowhere, False)):
            less = replace(rule(keep_own, *masks), hidden=Hidden(from_cells=queries, cells=right))
            results = [read(unet, control, z, one, less) for one in (bank, changed)]
            assert torch.equal(*results) == equal


def test_hiding_changes_only_the_queries_it_is_for(unet: Any) -> None:
    shown, banked_tokens = random_tensor(1, 384, 8), random_tensor(1, 384, 8, seed=1)
    bank = MemoryBank([0])
    bank.write(0, "layer", banked_tokens, banked_tokens)
    left = torch.zeros(1, 1, FEATURES.height, FEATURES.width)
    left[..., : FEATURES.width // 2] = 1
    less = replace(rule(False), hidden=Hidden(from_cells=left, cells=1 - left))
    restricted = BankReader(bank, less).restricted(shown.shape[1])
    assert restricted is not None
    inside = left.flatten().nonzero().flatten()
    assert torch.equal(restricted[0], inside) and torch.equal(restricted[1], inside)
    assert BankReader(bank, rule(False)).restricted(384) is None
    all_hidden = replace(rule(False), hidden=Hidden(from_cells=left, cells=torch.ones_like(left)))
    assert BankReader(bank, all_hidden).restricted(384) is None


def test_an_empty_mask_adds_no_tokens(unet: Any) -> None:
    nothing = torch.zeros(1, 1, FEATURES.height, FEATURES.width)
    z, pictures = random_tensor(*SHAPE), random_tensor(2, *SHAPE[1:], seed=1)
    with attached(unet) as control:
        bank = banked(unet, control, pictures)
        one = read(unet, control, z, bank, rule(False, 1 - nothing, nothing))
        alone = read(unet, control, z, banked(unet, control, pictures[:1]), rule(False))
    torch.testing.assert_close(one, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("tokens", "grid"), [(384, (16, 24)), (96, (8, 12)), (24, (4, 6))])
def test_the_grid_of_a_layer_follows_from_its_tokens(tokens: int, grid: tuple[int, int]) -> None:
    assert layer_grid(FEATURES, tokens) == Size(*grid)


def prompted(model: StableDiffusion, tokens: Tensor | None, scale: float) -> Tensor:
    assert model.image_prompt is not None
    with attached(model.unet, model.image_prompt.ip_adapter) as control:
        control.current = AttentionPass(image_tokens=tokens, image_scale=scale)
        return call(model.unet, random_tensor(*SHAPE))


def test_image_prompt_scale_zero_is_no_image_prompt(tiny_model: StableDiffusion) -> None:
    tokens = random_tensor(1, 4, TEXT_WIDTH)
    without = prompted(tiny_model, None, 1.0)
    assert torch.equal(prompted(tiny_model, tokens, 0.0), without)
    weak, strong = (prompted(tiny_model, tokens, scale) - without for scale in (1e-3, 1.0))
    assert float(strong.abs().max()) > 1e-3
    assert 0 < float(weak.abs().max()) < 0.01 * float(strong.abs().max())


def test_image_tokens_have_no_order(tiny_model: StableDiffusion) -> None:
    tokens = random_tensor(1, 8, TEXT_WIDTH)
    shown = prompted(tiny_model, tokens, 0.5)
    torch.testing.assert_close(prompted(tiny_model, tokens.flip(1), 0.5), shown)


def test_the_text_as_its_own_image_prompt_counts_twice(tiny_model: StableDiffusion) -> None:
    """The projections of a new image prompt are copies of the text's."""
    layer: Any = tiny_model.unet.get_submodule(
        "down_blocks.0.attentions.0.transformer_blocks.0.attn2"
    )
    mixed: list[Tensor] = []
    handle = layer.to_out[0].register_forward_pre_hook(lambda _, inputs: mixed.append(inputs[0]))
    try:
        prompted(tiny_model, None, 0.0)
        prompted(tiny_model, random_tensor(1, 6, TEXT_WIDTH, seed=9), 1.0)
    finally:
        handle.remove()
    torch.testing.assert_close(mixed[1], 2 * mixed[0])
