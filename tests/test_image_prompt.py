"""Image-prompt files in the published layout, and pictures as CLIP sees them."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from diffeditor.backbones import StableDiffusion
from diffeditor.errors import ModelUnavailable
from diffeditor.image_prompt import ImagePrompt, clip_pixels
from tests.tiny import GOLDEN, TEXT_WIDTH, picture, random_tensor

MEAN = np.array([0.48145466, 0.4578275, 0.40821073])
STD = np.array([0.26862954, 0.26130258, 0.27577711])


@pytest.fixture
def prompt(tiny_model: StableDiffusion) -> ImagePrompt:
    assert tiny_model.image_prompt is not None
    return tiny_model.image_prompt


def test_a_saved_file_is_read_bit_for_bit(prompt: ImagePrompt, tmp_path: Path) -> None:
    path = tmp_path / "prompt.safetensors"
    prompt.save(path)
    again = ImagePrompt.load(path)
    assert again.image_proj.config == prompt.image_proj.config
    ours, theirs = prompt.state_dict(), again.state_dict()
    assert list(ours) == list(theirs) and all(torch.equal(ours[k], theirs[k]) for k in ours)
    hidden = random_tensor(1, 5, 16)
    assert torch.equal(again.image_proj(hidden), prompt.image_proj(hidden))
    assert not any(p.requires_grad for p in again.parameters())


def test_keys_are_those_of_the_published_file(prompt: ImagePrompt) -> None:
    published = ImagePrompt.load(GOLDEN / "model" / "ip_sd15_64.bin", allow_pickle=True)
    config = published.image_proj.config
    assert (config.depth, config.heads, config.dim_head, config.queries) == (4, 12, 64, 64)

    def named(made: ImagePrompt) -> set[str]:
        keys = {key for key in made.state_dict() if "layers.2" not in key}
        return {key for key in keys if "layers.3" not in key and "ip_adapter" not in key}

    assert named(prompt) == named(published)
    positions = sorted(int(position) for position in published.ip_adapter)
    assert positions == list(range(1, 32, 2))


def test_tokens_are_made_of_any_number_of_hidden_states(prompt: ImagePrompt) -> None:
    for count in (1, 5, 40):
        tokens = prompt.image_proj(random_tensor(3, count, 16))
        assert tokens.shape == (3, 4, TEXT_WIDTH)
    hidden = random_tensor(1, 6, 16)
    turned = prompt.image_proj(hidden.flip(1))
    torch.testing.assert_close(turned, prompt.image_proj(hidden), rtol=1e-4, atol=1e-5)


def test_projections_start_as_the_texts_own(tiny_model: StableDiffusion) -> None:
    assert tiny_model.image_prompt is not None
    names = list(tiny_model.unet.attn_processors)
    for position, made in tiny_model.image_prompt.ip_adapter.items():
        name = names[int(position)].removesuffix(".processor")
        assert name.endswith("attn2")
        own: Any = tiny_model.unet.get_submodule(name)
        projections: Any = made
        assert torch.equal(projections.to_k_ip.weight, own.to_k.weight)
        assert torch.equal(projections.to_v_ip.weight, own.to_v.weight)


def test_clip_sees_a_stretched_normalised_square() -> None:
    left = np.zeros((40, 80, 3), np.uint8)
    left[:, :40] = 255
    tall = Image.fromarray(left.transpose(1, 0, 2).copy())
    pixels = clip_pixels([Image.fromarray(left), tall], 32)
    assert pixels.shape == (2, 3, 32, 32)
    white, black = (1 - MEAN) / STD, (0 - MEAN) / STD
    assert pixels[0, :, 16, 4].numpy() == pytest.approx(white, abs=0.02)
    assert pixels[0, :, 16, 28].numpy() == pytest.approx(black, abs=0.02)
    torch.testing.assert_close(pixels[1], pixels[0].transpose(1, 2), rtol=0, atol=0.02)


def test_clip_does_not_change_the_picture() -> None:
    image = Image.fromarray(picture(50, 70))
    clip_pixels([image], 32)
    assert np.array_equal(np.asarray(image), picture(50, 70))


def test_images_are_embedded_in_order_and_beside_nothing(tiny_model: StableDiffusion) -> None:
    first, second = (Image.fromarray(picture(50, 70, seed)) for seed in (0, 1))
    both, alone = tiny_model.embed_images([first, second]), tiny_model.embed_images([second])
    assert both is not None and alone is not None
    torch.testing.assert_close(both[0][1:], alone[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(both[1][:1], both[1][1:], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(both[0][0], both[0][1], atol=1e-3)


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        ImagePrompt.load(path, **options)
    return str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "There is no image-prompt file" in refusal(tmp_path / "none.safetensors")


def test_a_pickle_is_refused_unless_allowed(tmp_path: Path) -> None:
    path = tmp_path / "prompt.bin"
    torch.save({"image_proj": {}, "ip_adapter": {}}, path)
    assert "is a pickle file; convert it to safetensors" in refusal(path)


class Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_code_in_a_pickle_never_runs(tmp_path: Path) -> None:
    path, sprung = tmp_path / "prompt.bin", tmp_path / "sprung"
    torch.save({"image_proj": Trap(sprung)}, path)
    assert "damaged or not a weights file" in refusal(path, allow_pickle=True)
    path.write_bytes(pickle.dumps(Trap(sprung), protocol=2))
    assert "damaged or not a weights file" in refusal(path, allow_pickle=True)
    assert not sprung.exists()


def changed(prompt: ImagePrompt, path: Path, **options: Any) -> Path:
    """The saved prompt with tensors replaced, or left out where the value is None."""
    prompt.save(path)
    tensors = load_file(path) | options.pop("tensors", {})
    kept = {key: value for key, value in tensors.items() if value is not None}
    save_file(kept, path, metadata=options.get("metadata", {"dim_head": "8"}))
    return path


@pytest.mark.parametrize(
    "tensors",
    [
        {"image_proj.latents": None},
        {"image_proj.norm_out.weight": None},
        {"image_proj.latents": torch.zeros(3)},
        {"image_proj.proj_in.weight": torch.zeros(24, 3, 4)},
        {"image_proj.layers.0.0.to_q.weight": torch.zeros(24, 16)},
        {"ip_adapter.1.to_k_ip.weight": torch.zeros(5)},
        {"ip_adapter.1.to_v_ip.weight": torch.zeros(5, 5)},
        {"something.else": torch.zeros(1)},
    ],
)
def test_files_of_another_layout_are_refused(
    prompt: ImagePrompt, tmp_path: Path, tensors: dict[str, torch.Tensor | None]
) -> None:
    path = changed(prompt, tmp_path / "prompt.safetensors", tensors=tensors)
    assert "is not an image-prompt file" in refusal(path)


@pytest.mark.parametrize("dim_head", ["wide", "0", "7"])
def test_a_senseless_head_width_is_refused(
    prompt: ImagePrompt, tmp_path: Path, dim_head: str
) -> None:
    path = changed(prompt, tmp_path / "p.safetensors", metadata={"dim_head": dim_head})
    assert "image-prompt file" in refusal(path) or "damaged" in refusal(path)


def test_damaged_files_are_refused(prompt: ImagePrompt, tmp_path: Path) -> None:
    path = tmp_path / "prompt.safetensors"
    prompt.save(path)
    path.write_bytes(path.read_bytes()[:1000])
    assert "damaged or not a weights file; download it again" in refusal(path)
    torn = tmp_path / "prompt.bin"
    torch.save({"image_proj": {"a": torch.zeros(100)}}, torn)
    torn.write_bytes(torn.read_bytes()[:-300])
    assert "damaged" in refusal(torn, allow_pickle=True)
    torn.write_bytes(b"")
    assert "damaged" in refusal(torn, allow_pickle=True)
    torch.save([1, 2, 3], torn)
    assert "damaged" in refusal(torn, allow_pickle=True)
