"""The image prompt's training: what is trained, what CLIP sees, what is dropped."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from diffeditor.image_prompt import clip_pixels
from diffeditor.training.captions import load_tokenizer, write_tokenizer
from diffeditor.training.config import TINY
from diffeditor.training.image_prompt import as_clip_sees, build_prompted, without_some
from diffeditor.training.unet import build_denoiser
from diffeditor.worlds import random_face, render


def test_tensors_look_to_clip_as_pictures_do() -> None:
    image = render(random_face(3), 64).image
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1
    ours = as_clip_sees(tensor, 32)
    theirs = clip_pixels([Image.fromarray(image)], 32)
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().mean()) < 0.02


def test_only_what_is_read_of_the_image_prompt_is_trained(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    frozen = build_denoiser(TINY.unet, 8, tokenizer)
    processors = dict(frozen.unet.attn_processors)
    model = build_prompted(TINY.image_prompt, frozen)
    generator = torch.Generator().manual_seed(0)
    z_t = torch.randn(2, 4, 8, 8, generator=generator)
    ids = torch.zeros(2, tokenizer.model_max_length, dtype=torch.long)
    pixels = torch.randn(2, 3, 32, 32, generator=generator)
    eps, thumbnail = model(z_t, torch.tensor([1, 2]), ids, pixels)
    assert thumbnail.shape == (2, 4, 8, 8)
    (eps.square().mean() + thumbnail.square().mean()).backward()
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert all(p.grad is not None for p in trained.values())
    assert all(p.grad is None for p in frozen.parameters())
    assert not any(name.startswith(("unet", "text_encoder", "_frozen")) for name in trained)
    assert dict(frozen.unet.attn_processors) == processors


def test_the_wanted_share_of_pictures_is_dropped() -> None:
    pixels = torch.ones(1000, 3, 2, 2)
    left = without_some(pixels, 0.1, np.random.default_rng(0))
    assert 0.05 < float((left.amax((1, 2, 3)) == 0).float().mean()) < 0.15
    assert set(left.unique().tolist()) == {0.0, 1.0}
