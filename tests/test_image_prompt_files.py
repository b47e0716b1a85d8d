"""Image prompts in other layouts: no bit changes, stock programs read them, the rest is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, safe_open, save_file
from torch import Tensor

from diffeditor.attention import AttentionPass, attached
from diffeditor.cli import main
from diffeditor.errors import InvalidSetting, ModelUnavailable
from diffeditor.image_prompt import (
    DecoupledProjections,
    ImagePrompt,
    ImagePromptConfig,
    ImagePromptEncoder,
)
from diffeditor.image_prompt_files import LAYOUTS, convert_image_prompt
from tests.tiny import GOLDEN, TEXT_WIDTH, random_tensor, tiny_image_prompt, tiny_unet

CLIP_WIDTH = 24


@pytest.fixture(scope="module")
def prompt() -> ImagePrompt:
    """Small, with the depth and the heads that readers of IP-Adapter-plus expect."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = ImagePromptConfig(
            clip_dim=CLIP_WIDTH, dim=TEXT_WIDTH, out_dim=TEXT_WIDTH, queries=4, depth=4, heads=1
        )
        encoder = ImagePromptEncoder(config)
        return ImagePrompt(encoder, DecoupledProjections.for_unet(tiny_unet()))


@pytest.fixture
def ours(prompt: ImagePrompt, tmp_path: Path) -> Path:
    """Half precision, as published, but for one tensor."""
    path = tmp_path / "ours.safetensors"
    tensors = {name: tensor.half() for name, tensor in prompt.state_dict().items()}
    tensors["image_proj.latents"] = tensors["image_proj.latents"].float()
    save_file(tensors, path, metadata={"dim_head": "64"})
    return path


def groups_of(path: Path) -> dict[str, dict[str, Tensor]]:
    return torch.load(path, weights_only=True)


def same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


@pytest.mark.parametrize(
    ("layout", "ending"), [(name, end) for name, one in LAYOUTS.items() for end in one.writers]
)
def test_there_and_back_not_a_bit_changes(
    ours: Path, tmp_path: Path, layout: str, ending: str
) -> None:
    there, back = tmp_path / f"there{ending}", tmp_path / "back.safetensors"
    convert_image_prompt(ours, there, layout)
    convert_image_prompt(there, back)
    assert back.read_bytes() == ours.read_bytes()
    assert ImagePrompt.load(there, allow_pickle=True).image_proj.config == (
        ImagePrompt.load(ours).image_proj.config
    )


def test_the_released_layout_has_two_groups(ours: Path, tmp_path: Path) -> None:
    convert_image_prompt(ours, tmp_path / "released.bin", "released")
    groups = groups_of(tmp_path / "released.bin")
    assert set(groups) == {"image_proj", "ip_adapter"}
    assert "layers.3.1.3.weight" in groups["image_proj"]
    assert "1.to_k_ip.weight" in groups["ip_adapter"]
    published = groups_of(GOLDEN / "model" / "ip_sd15_64.bin")
    assert set(groups["image_proj"]) == set(published["image_proj"])
    assert set(groups["ip_adapter"]) < set(published["ip_adapter"])


def usual_mode(folder: Path) -> int:
    """The mode of a file that is written the usual way."""
    (folder / "plain").write_bytes(b"")
    return (folder / "plain").stat().st_mode


def test_a_released_file_comes_back_as_it_was(tmp_path: Path) -> None:
    released = GOLDEN / "model" / "ip_sd15_64.bin"
    convert_image_prompt(released, tmp_path / "ours.safetensors")
    convert_image_prompt(tmp_path / "ours.safetensors", tmp_path / "again.bin", "released")
    before, after = groups_of(released), groups_of(tmp_path / "again.bin")
    assert before.keys() == after.keys()
    assert all(same_bits(before[group], after[group]) for group in before)
    assert (tmp_path / "ours.safetensors").stat().st_mode == usual_mode(tmp_path)
    with safe_open(tmp_path / "ours.safetensors", framework="pt") as file:
        assert file.metadata() == {"dim_head": "64"}


@pytest.mark.parametrize("ending", [".safetensors", ".bin"])
def test_stock_diffusers_reads_what_is_written_for_ip_adapter(
    ours: Path, prompt: ImagePrompt, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"adapter{ending}"
    convert_image_prompt(ours, path, "ip-adapter-plus")
    if ending == ".bin":
        groups: dict[str, Any] = groups_of(path)
    else:
        flat = load_file(path)
        groups = {
            group: {k.removeprefix(f"{group}."): v for k, v in flat.items() if k.startswith(group)}
            for group in ("image_proj", "ip_adapter")
        }
    read = ImagePrompt.load(path, allow_pickle=True)
    unet, z, t, text = tiny_unet(), random_tensor(1, 4, 8, 8), 500, random_tensor(1, 5, TEXT_WIDTH)
    unet.load_state_dict(_weights_for(unet, seed=1))
    hidden = random_tensor(1, 7, CLIP_WIDTH, seed=2)
    with torch.no_grad(), attached(unet, read.ip_adapter) as control:
        control.current = AttentionPass(image_tokens=read.image_proj(hidden), image_scale=1.0)
        expected = unet(z, t, text).sample
    plain = unet(z, t, text).sample
    floats = {group: {k: v.float() for k, v in part.items()} for group, part in groups.items()}
    unet._load_ip_adapter_weights([floats], low_cpu_mem_usage=False)
    with torch.no_grad():
        made = unet(z, t, text, added_cond_kwargs={"image_embeds": [hidden[:, None]]}).sample
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(plain, expected, atol=1e-3)


def _weights_for(unet: torch.nn.Module, seed: int) -> dict[str, Tensor]:
    """The module's weights with those of cross-attention made large, so that they matter."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: value + torch.randn(value.shape, generator=generator) / value.shape[-1] ** 0.5
        if "attn2.to_" in name and value.ndim == 2
        else value
        for name, value in unet.state_dict().items()
    }


@pytest.mark.parametrize(
    ("layout", "told"),
    [
        ("released", "expect 64 channels a head, and this image prompt has 8"),
        ("ip-adapter-plus", "expect 64 channels a head"),
    ],
)
def test_what_their_readers_would_misread_is_refused(
    tmp_path: Path, layout: str, told: str
) -> None:
    tiny_image_prompt(tiny_unet()).save(tmp_path / "narrow.safetensors")
    with pytest.raises(InvalidSetting, match=told):
        convert_image_prompt(tmp_path / "narrow.safetensors", tmp_path / "x.bin", layout)
    convert_image_prompt(tmp_path / "narrow.safetensors", tmp_path / "again.safetensors")
    narrow, again = (tmp_path / f"{name}.safetensors" for name in ("narrow", "again"))
    assert narrow.read_bytes() == again.read_bytes()


@pytest.mark.parametrize(
    "tensors",
    [
        {
            "image_proj.proj.weight": torch.zeros(4, 4),
            "ip_adapter.1.to_k_ip.weight": torch.ones(4, 4),
        },
        {"model.diffusion_model.out.weight": torch.zeros(4)},
    ],
)
def test_other_files_are_refused_with_one_sentence(
    tmp_path: Path, tensors: dict[str, Tensor]
) -> None:
    save_file(tensors, tmp_path / "other.safetensors")
    with pytest.raises(ModelUnavailable, match="is not an image-prompt file"):
        convert_image_prompt(tmp_path / "other.safetensors", tmp_path / "x.safetensors")
    assert not (tmp_path / "x.safetensors").exists()


def test_endings_and_layouts_are_checked_first(ours: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="must end in .bin"):
        convert_image_prompt(ours, tmp_path / "x.safetensors", "released")
    with pytest.raises(InvalidSetting, match="must end in .safetensors"):
        convert_image_prompt(ours, tmp_path / "x.bin", "ours")
    with pytest.raises(InvalidSetting, match="one of ours, released, ip-adapter-plus"):
        convert_image_prompt(ours, tmp_path / "x.bin", "theirs")


@pytest.mark.parametrize(("ending", "layout"), [(".safetensors", "ours"), (".bin", "released")])
def test_a_target_that_cannot_be_written_is_told(
    ours: Path, tmp_path: Path, ending: str, layout: str
) -> None:
    with pytest.raises(InvalidSetting, match="cannot be written; choose another path"):
        convert_image_prompt(ours, tmp_path / "nowhere" / f"x{ending}", layout)


def test_the_command_line_converts(
    ours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "released.bin"
    assert main(["convert", "image-prompt", str(ours), str(target), "--to", "released"]) == 0
    assert set(groups_of(target)) == {"image_proj", "ip_adapter"}
    assert main(["convert", "image-prompt", str(tmp_path / "none.bin"), str(target)]) == 2
    assert "must end in .safetensors" in capsys.readouterr().err
