"""The objective of the image prompt: what learns, what CLIP sees, what is dropped and measured."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from diffeditor.backbones import StableDiffusion
from diffeditor.image_prompt import clip_pixels
from diffeditor.training.config import TINY, Dropout
from diffeditor.training.data import Pictures
from diffeditor.training.draw import Draw
from diffeditor.training.image_prompt import (
    ImagePromptJudge,
    ImagePromptObjective,
    Noising,
    as_clip_sees,
    build_learner,
    dropped,
    led,
)
from diffeditor.training.latents import LiveLatents
from diffeditor.worlds import random_face, render
from tests.tiny import load_tiny_model

CPU = torch.device("cpu")


class Noise:
    """Pictures of nothing but noise, all with the same caption."""

    def draw(self, count: int, draw: Draw) -> Pictures:
        return Pictures(
            images=torch.from_numpy(draw.rng.uniform(-1, 1, (count, 3, 64, 64))).float(),
            detail=torch.zeros(count, 64, 64, dtype=torch.uint8),
            captions=["a red ball"] * count,
            landmarks=torch.full((count, 68, 2), torch.nan),
        )


@pytest.fixture(scope="module")
def frozen(tiny_folder: Path) -> StableDiffusion:
    return load_tiny_model(tiny_folder)


def objective(frozen: StableDiffusion, **changes: float) -> ImagePromptObjective:
    config = replace(TINY.image_prompt, **changes)
    return ImagePromptObjective(config, frozen, LiveLatents(Noise(), frozen.encode), nullcontext)


def test_tensors_look_to_clip_as_pictures_do() -> None:
    image = render(random_face(3), 64).image
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1
    ours = as_clip_sees(tensor, 32)
    theirs = clip_pixels([Image.fromarray(image)], 32)
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().mean()) < 0.02


def test_encoder_projections_and_thumbnail_learn_and_nothing_else(frozen: StableDiffusion) -> None:
    processors = dict(frozen.unet.attn_processors)
    learner = build_learner(TINY.image_prompt, frozen)
    objective(frozen)(learner, Draw.of(0, 0, 0, 0.0, CPU)).backward()
    assert {name.split(".")[0] for name, _ in learner.named_parameters()} == {"prompt", "thumbnail"}
    assert all(p.grad is not None and p.grad.any() for p in learner.parameters())
    parts = (frozen.unet, frozen.text_encoder, frozen.image_encoder, frozen.vae)
    assert not any(p.requires_grad for part in parts if part for p in part.parameters())
    assert dict(frozen.unet.attn_processors) == processors


def test_without_a_weight_there_is_no_thumbnail(frozen: StableDiffusion) -> None:
    config = replace(TINY.image_prompt, thumbnail=0.0)
    learner = build_learner(config, frozen)
    assert {name.split(".")[0] for name, _ in learner.named_parameters()} == {"prompt"}
    loss = objective(frozen, thumbnail=0.0)(learner, Draw.of(0, 0, 0, 0.0, CPU))
    assert loss.ndim == 0 and float(loss.detach()) > 0


def test_a_silent_start_changes_nothing_and_learns(frozen: StableDiffusion) -> None:
    learner = build_learner(replace(TINY.image_prompt, silent_start=True), frozen)
    z_t, text = torch.zeros(1, 4, 8, 8), frozen.embed_text([""])
    tokens, _ = learner(torch.zeros(1, 5, 16))
    made = led(frozen.unet, learner.prompt, (z_t, torch.tensor([500])), text, tokens)
    assert torch.equal(made, frozen.unet(z_t, torch.tensor([500]), text).sample)
    made.square().mean().backward()
    values = [layer["to_v_ip"].weight for layer in learner.prompt.ip_adapter.values()]
    assert all(value.grad is not None and value.grad.any() for value in values)


def test_equal_draws_give_equal_losses(frozen: StableDiffusion) -> None:
    learner, told = build_learner(TINY.image_prompt, frozen), objective(frozen)

    def loss(seed: int, call: int) -> float:
        return float(told(learner, Draw.of(seed, 0, call, 0.0, CPU)).detach())

    assert loss(0, 3) == loss(0, 3)
    assert len({loss(0, 3), loss(0, 4), loss(1, 3)}) == 3


def test_the_learner_does_not_hang_on_the_global_random_state(frozen: StableDiffusion) -> None:
    before = torch.get_rng_state()
    first, second = (build_learner(TINY.image_prompt, frozen, seed=1) for _ in range(2))
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )
    assert torch.equal(torch.get_rng_state(), before)


def test_the_wanted_shares_are_dropped() -> None:
    count = 4000
    captions, pixels = ["a red ball"] * count, torch.ones(count, 3, 1, 1)
    shares = Dropout(caption=0.3, image=0.2, both=0.1)
    told, left, shown = dropped(captions, pixels, shares, np.random.default_rng(0))
    silent = np.array([caption == "" for caption in told])
    blank = ~shown.numpy()
    assert torch.equal(left[:, 0, 0, 0] == 0, ~shown)
    assert (silent & ~blank).mean() == pytest.approx(0.3, abs=0.03)
    assert (blank & ~silent).mean() == pytest.approx(0.2, abs=0.03)
    assert (blank & silent).mean() == pytest.approx(0.1, abs=0.03)


def test_a_dropped_picture_is_what_inference_takes_for_none(frozen: StableDiffusion) -> None:
    """The tokens of a picture of zeros are those that guidance pushes away from."""
    pixels = torch.ones(2, 3, 32, 32)
    _, left, _ = dropped([""] * 2, pixels, Dropout(both=1.0), np.random.default_rng(0))
    embedded = frozen.embed_images([Image.new("RGB", (9, 9))])
    assert embedded is not None and frozen.image_prompt is not None
    tokens = frozen.image_prompt.image_proj(frozen.image_states(left))
    torch.testing.assert_close(tokens[:1], embedded[1])


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_target_is_what_the_schedule_reads_as_the_noise(
    frozen: StableDiffusion, prediction: str
) -> None:
    schedule = replace(frozen.schedule, prediction=prediction)
    noising = Noising(replace(frozen, schedule=schedule))
    z_0, eps = torch.randn(2, 2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    z_t, target = noising(z_0, eps, torch.tensor([700, 700]))
    torch.testing.assert_close(schedule.epsilon(target, z_t, 700), eps, rtol=1e-4, atol=1e-5)


def test_errors_are_measured_with_the_own_another_and_no_picture(frozen: StableDiffusion) -> None:
    judged = Noise().draw(3, Draw.of(0, 0, 0, 0.0, CPU))
    judge = ImagePromptJudge(frozen, judged, batch=2, autocast=nullcontext)
    learner = build_learner(TINY.image_prompt, frozen)

    def measured() -> dict[str, float]:
        with torch.no_grad():
            return judge(learner)

    first = measured()
    names = {f"eps_mse_600{which}" for which in ("", "_other_picture", "_no_picture")}
    assert names < set(first) and first == measured()
    assert len({first[name] for name in names}) == 3


def test_batches_of_the_judge_do_not_matter(frozen: StableDiffusion) -> None:
    judged = Noise().draw(3, Draw.of(0, 0, 0, 0.0, CPU))
    learner = build_learner(TINY.image_prompt, frozen)

    def error(batch: int) -> Tensor:
        with torch.no_grad():
            made = ImagePromptJudge(frozen, judged, batch=batch, autocast=nullcontext)(learner)
        return torch.tensor(list(made.values()))

    torch.testing.assert_close(error(1), error(3), rtol=1e-4, atol=1e-6)
