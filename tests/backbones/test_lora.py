"""LoRA files are added to the weights, and nothing of them is left on the networks."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from diffeditor.backbones import Lora, load_stable_diffusion
from diffeditor.backbones.lora import add_loras
from diffeditor.backbones.parts import Parts, folder_parts
from diffeditor.editor import load_editor
from diffeditor.errors import InvalidSetting, ModelUnavailable
from tests.tiny import SIDES, quick, random_tensor, sample_task

UNET_LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
TEXT_LAYER = "encoder.layers.0.self_attn.q_proj"
RANK = 2


@pytest.fixture
def parts(tiny_folder: Path) -> Parts:
    return folder_parts(tiny_folder)


def factors(weight: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """The two matrices whose product is added to a weight."""
    down = random_tensor(RANK, weight.shape[1], seed=seed)
    return down, random_tensor(weight.shape[0], RANK, seed=seed + 1)


def unet_weight(parts: Parts) -> Tensor:
    return parts.unet.get_submodule(UNET_LAYER).weight.detach()  # type: ignore[return-value]


def text_weight(parts: Parts) -> Tensor:
    return parts.text_encoder.get_submodule(TEXT_LAYER).weight.detach()  # type: ignore[return-value]


@pytest.fixture
def lora(parts: Parts, tmp_path: Path) -> Path:
    """A file as the library's training scripts write it, for one layer of each network."""
    down, up = factors(unet_weight(parts), 0)
    text_down, text_up = factors(text_weight(parts), 2)
    tensors = {
        f"unet.{UNET_LAYER}.lora_A.weight": down,
        f"unet.{UNET_LAYER}.lora_B.weight": up,
        f"text_encoder.text_model.{TEXT_LAYER}.lora_A.weight": text_down,
        f"text_encoder.text_model.{TEXT_LAYER}.lora_B.weight": text_up,
    }
    save_file(tensors, tmp_path / "style.safetensors")
    return tmp_path / "style.safetensors"


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.0])
def test_the_products_are_added_at_the_scale(parts: Parts, lora: Path, scale: float) -> None:
    before, text_before = unet_weight(parts).clone(), text_weight(parts).clone()
    down, up = factors(before, 0)
    text_down, text_up = factors(text_before, 2)
    add_loras(parts, (Lora(path=lora, scale=scale),))
    torch.testing.assert_close(unet_weight(parts), before + scale * up @ down)
    torch.testing.assert_close(text_weight(parts), text_before + scale * text_up @ text_down)


def test_several_files_add_up(parts: Parts, lora: Path) -> None:
    before = unet_weight(parts).clone()
    down, up = factors(before, 0)
    add_loras(parts, (Lora(path=lora, scale=0.25), Lora(path=lora, scale=0.5)))
    torch.testing.assert_close(unet_weight(parts), before + 0.75 * up @ down)


def test_nothing_is_left_on_the_networks(parts: Parts, lora: Path) -> None:
    networks = (parts.unet, parts.text_encoder)
    before = [(repr(n), list(n.state_dict()), n.training) for n in networks]
    add_loras(parts, (Lora(path=lora),))
    assert [(repr(n), list(n.state_dict()), n.training) for n in networks] == before
    assert not any(p.requires_grad for n in networks for p in n.parameters())


def test_a_file_of_web_user_interfaces_is_understood(parts: Parts, tmp_path: Path) -> None:
    before = unet_weight(parts).clone()
    down, up = factors(before, 0)
    name = f"lora_unet_{UNET_LAYER.replace('.', '_')}"
    tensors = {
        f"{name}.lora_down.weight": down,
        f"{name}.lora_up.weight": up,
        f"{name}.alpha": torch.tensor(1.0),
    }
    save_file(tensors, tmp_path / "style.safetensors")
    add_loras(parts, (Lora(path=tmp_path / "style.safetensors"),))
    torch.testing.assert_close(unet_weight(parts), before + up @ down / RANK)


def test_a_model_is_loaded_with_its_loras(parts: Parts, lora: Path, tiny_folder: Path) -> None:
    random_state = torch.get_rng_state()
    model = load_stable_diffusion(tiny_folder, loras=[Lora(path=lora)])
    assert torch.equal(torch.get_rng_state(), random_state)
    added = model.unet.get_submodule(UNET_LAYER).weight - unet_weight(parts)
    down, up = factors(unet_weight(parts), 0)
    torch.testing.assert_close(added, up @ down, rtol=1e-4, atol=1e-5)


def refusal(parts: Parts, path: Path) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        add_loras(parts, (Lora(path=path),))
    return str(caught.value)


def test_files_that_do_not_fit_are_refused(parts: Parts, lora: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    down, up = factors(torch.zeros(7, 9), 0)
    save_file(
        {f"unet.{UNET_LAYER}.lora_A.weight": down, f"unet.{UNET_LAYER}.lora_B.weight": up}, path
    )
    assert "is not a LoRA file for this model" in refusal(parts, path)
    save_file({"weights": torch.zeros(3)}, path)
    assert "is not a LoRA file for this model" in refusal(parts, path)
    path.write_bytes(lora.read_bytes()[:-10])
    assert "damaged or not a weights file" in refusal(parts, path)


def test_a_file_that_is_no_numbers_is_refused(parts: Parts, tmp_path: Path) -> None:
    path = tmp_path / "broken.safetensors"
    save_file({f"unet.{UNET_LAYER}.lora_A.weight": torch.full((2, 2), torch.nan)}, path)
    assert "are no numbers" in refusal(parts, path)


def test_a_pickled_file_is_refused(parts: Parts, tmp_path: Path) -> None:
    torch.save({}, tmp_path / "style.pt")
    assert "is a pickle file; convert it to safetensors" in refusal(parts, tmp_path / "style.pt")


@pytest.mark.parametrize(("text", "scale"), [("", 1.0), (":0.5", 0.5), (":-1", -1.0)])
def test_path_and_scale_are_told_apart(lora: Path, text: str, scale: float) -> None:
    assert Lora.parse(f"{lora}{text}") == Lora(path=lora, scale=scale)


def test_colons_may_be_part_of_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a:b.safetensors"
    path.write_bytes(b"")
    assert Lora.parse(str(path)) == Lora(path=path)
    assert Lora.parse(f"{path}:2") == Lora(path=path, scale=2)


@pytest.mark.parametrize("text", ["", "none.safetensors", "none.safetensors:0.5"])
def test_a_missing_file_is_refused(text: str) -> None:
    with pytest.raises(InvalidSetting, match="There is no LoRA file"):
        Lora.parse(text)


def test_a_scale_that_is_no_number_is_refused(lora: Path) -> None:
    with pytest.raises(InvalidSetting, match="finite"):
        Lora.parse(f"{lora}:nan")


def test_a_results_recipe_names_the_vae_and_loras(lora: Path, tiny_folder: Path) -> None:
    editor = load_editor(
        tiny_folder, device="cpu", vae=tiny_folder / "vae", loras=[f"{lora}:0.5", str(lora)]
    )
    recipe = editor.edit(sample_task("move", *SIDES["square"]), preset=quick(steps=4)).recipe
    assert recipe.model == str(tiny_folder)
    assert recipe.vae == str(tiny_folder / "vae")
    assert recipe.loras == (f"{lora}:0.5", str(lora))
