"""CLIP's training: it tells captions and colours, and its halves are kept as they are."""

from pathlib import Path

import pytest
import torch
from transformers import CLIPTokenizer

from diffeditor.training.captions import load_tokenizer, write_tokenizer
from diffeditor.training.clip import (
    SIDE,
    PictureReader,
    build_reader,
    colour_distance,
    contrast,
)
from diffeditor.training.config import TINY
from diffeditor.training.unet import tokenize


@pytest.fixture
def tokenizer(tmp_path: Path) -> CLIPTokenizer:
    write_tokenizer(tmp_path)
    return load_tokenizer(tmp_path)


def test_building_repeats_and_leaves_the_global_random_state_alone(
    tokenizer: CLIPTokenizer,
) -> None:
    before = torch.get_rng_state()
    one, other = (build_reader(TINY.clip, tokenizer, seed=4) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_halves_see_and_read_what_the_whole_model_does(tokenizer: CLIPTokenizer) -> None:
    reader = build_reader(TINY.clip, tokenizer).eval()
    pixels = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    ids = tokenize(tokenizer, ["a red ball", "a face", "a blue cube"], pixels.device)
    with torch.no_grad():
        logits, colours = reader(pixels, ids)
        tower = reader.image_encoder()(pixel_values=pixels)
        told = reader.text_encoder()(ids).pooler_output
    assert colours.shape == (3, 3, 4 * SIDE, 4 * SIDE)
    captions = torch.nn.functional.normalize(reader.clip.text_projection(told), dim=-1)
    pictures = torch.nn.functional.normalize(tower.image_embeds, dim=-1)
    torch.testing.assert_close(reader.clip.logit_scale.exp() * pictures @ captions.T, logits)


def test_each_token_tells_the_colours_of_its_own_patch(tokenizer: CLIPTokenizer) -> None:
    reader: PictureReader = build_reader(TINY.clip, tokenizer)
    tokens = torch.zeros(1, 16, TINY.clip.width)
    plain = reader._colours(tokens)
    tokens[0, 4 * 1 + 2] = 1.0
    told = (reader._colours(tokens) - plain)[0].abs().sum(0) > 0
    rows, columns = torch.nonzero(told, as_tuple=True)
    assert {int(i) // SIDE for i in rows} == {1}
    assert {int(i) // SIDE for i in columns} == {2}


def test_the_contrast_falls_as_pairs_are_told_apart() -> None:
    unsure, sure = torch.zeros(4, 4), 20 * torch.eye(4)
    assert float(contrast(unsure)) == pytest.approx(torch.tensor(4.0).log().item())
    assert float(contrast(sure)) < 1e-6
    assert float(contrast(sure.flip(0))) > 10


def test_the_colour_distance_compares_means_of_cells() -> None:
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    means = torch.nn.functional.avg_pool2d(images, 4)
    assert float(colour_distance(means, images)) < 1e-6
    assert float(colour_distance(means + 0.25, images)) == pytest.approx(0.25, abs=1e-6)
