"""Parts of a diffusers folder: every way they are stored, and all that can be wrong with them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file

from diffeditor.backbones import load_stable_diffusion
from diffeditor.backbones.parts import Parts, folder_parts, load_part, weights_file
from diffeditor.errors import ModelUnavailable
from tests.tiny import random_tensor

NETWORKS = ("vae", "unet", "text_encoder")


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may change."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


@pytest.fixture(scope="module")
def parts(tiny_folder: Path) -> Parts:
    return folder_parts(tiny_folder)


def weights(folder: Path, part: str) -> Path:
    (file,) = (folder / part).glob("*.safetensors")
    return file


def rewritten(folder: Path, suffix: str, half: bool = False) -> None:
    """Store every network under another suffix, as a pickle if it is one."""
    for part in NETWORKS:
        file = weights(folder, part)
        tensors = {k: v.half() if half else v for k, v in load_file(file).items()}
        file.unlink()
        stem = file.stem if part != "text_encoder" or "bin" not in suffix else "pytorch_model"
        target = file.with_name(stem + suffix)
        if suffix.endswith("bin"):
            torch.save(tensors, target)
        else:
            save_file(tensors, target, metadata={"format": "pt"})


def states(parts: Any) -> dict[str, torch.Tensor]:
    return {
        f"{part}.{key}": value
        for part in NETWORKS
        for key, value in getattr(parts, part).state_dict().items()
    }


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(one[k], other[k]) for k in one)


def test_an_fp16_variant_loads_to_the_rounded_weights(folder: Path, parts: Parts) -> None:
    rewritten(folder, ".fp16.safetensors", half=True)
    loaded = folder_parts(folder)
    assert equal(states(loaded), {k: v.half().float() for k, v in states(parts).items()})
    assert loaded.unet.dtype is torch.float32


def test_full_precision_is_preferred_to_the_variant(folder: Path, parts: Parts) -> None:
    for part in NETWORKS:
        file = weights(folder, part)
        halved = {k: v.half() for k, v in load_file(file).items()}
        save_file(halved, file.with_name(f"{file.stem}.fp16.safetensors"))
    assert equal(states(folder_parts(folder)), states(parts))


def test_pickled_parts_load_to_the_same_weights_once_allowed(folder: Path, parts: Parts) -> None:
    rewritten(folder, ".bin")
    with pytest.raises(ModelUnavailable, match="vae has only the pickle file"):
        folder_parts(folder)
    assert equal(states(folder_parts(folder, allow_pickle=True)), states(parts))


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_code_in_a_pickled_part_never_runs(folder: Path, tmp_path: Path) -> None:
    rewritten(folder, ".bin")
    sprung = tmp_path / "sprung"
    torch.save({"trap": Trap(sprung)}, folder / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(ModelUnavailable, match="unet cannot be loaded as UNet2DConditionModel"):
        folder_parts(folder, allow_pickle=True)
    assert not sprung.exists()


@pytest.mark.parametrize(("one", "other"), [("vae", "unet"), ("text_encoder", "image_encoder")])
def test_swapped_weights_are_refused(folder: Path, one: str, other: str) -> None:
    first, second = weights(folder, one), weights(folder, other)
    tensors = first.read_bytes(), second.read_bytes()
    first.write_bytes(tensors[1])
    second.write_bytes(tensors[0])
    with pytest.raises(ModelUnavailable, match="damaged or of another model, get them again"):
        load_stable_diffusion(folder)


def test_weights_that_lack_a_tensor_are_refused(folder: Path) -> None:
    file = weights(folder, "unet")
    tensors = load_file(file)
    del tensors["conv_out.bias"]
    save_file(tensors, file)
    with pytest.raises(ModelUnavailable, match="unet cannot be loaded as UNet2DConditionModel"):
        folder_parts(folder)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_no_numbers_are_refused(folder: Path, value: float) -> None:
    file = weights(folder, "vae")
    tensors = load_file(file)
    tensors["decoder.conv_in.bias"][0] = value
    save_file(tensors, file)
    with pytest.raises(ModelUnavailable, match="decoder.conv_in.bias holds values that are no num"):
        folder_parts(folder)


@pytest.mark.parametrize(
    "change", [{"in_channels": 9}, {"in_channels": 5}, {"addition_embed_type": "text_time"}]
)
def test_other_kinds_of_models_are_refused(folder: Path, change: dict[str, Any]) -> None:
    path = folder / "unet" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **change}), "utf-8")
    with pytest.raises(ModelUnavailable, match="another kind of model .inpainting, depth, XL"):
        folder_parts(folder)


def test_names_of_released_text_encoders_and_vaes_are_understood(tmp_path: Path) -> None:
    """Released files say `text_model.` and, in the VAE's attention, `query` for `to_q`."""
    config: dict[str, Any] = {
        "block_out_channels": (8, 8),
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "norm_num_groups": 4,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vae = AutoencoderKL(**config)
    vae.save_pretrained(tmp_path)
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    old = {}
    for key, value in vae.state_dict().items():
        for now, before in names.items():
            key = key.replace(now, before)
        old[key] = value.contiguous()
    assert any("query" in key for key in old)
    save_file(old, tmp_path / "diffusion_pytorch_model.safetensors")
    loaded = load_part(AutoencoderKL, tmp_path).state_dict()
    assert equal(loaded, vae.state_dict())


def test_a_released_text_encoder_is_understood(folder: Path, parts: Parts) -> None:
    file = weights(folder, "text_encoder")
    named = {f"text_model.{key}": value for key, value in load_file(file).items()}
    named["text_model.embeddings.position_ids"] = torch.arange(20)[None]
    save_file(named, file, metadata={"format": "pt"})
    assert equal(states(folder_parts(folder)), states(parts))


def test_a_model_that_predicts_v_is_run_as_one_that_predicts_the_noise(folder: Path) -> None:
    path = folder / "scheduler" / "scheduler_config.json"
    config = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**config, "prediction_type": "v_prediction"}), "utf-8")
    model = load_stable_diffusion(folder)
    z, text = random_tensor(1, 4, 8, 8), model.embed_text(["a ball"])
    with torch.no_grad():
        v = model.unet(z, 500, text, return_dict=False)[0]
    a = model.schedule.a(500)
    with model.denoiser() as denoiser:
        eps = denoiser.eps(z, 500, text)
    torch.testing.assert_close(eps, a**0.5 * v + (1 - a) ** 0.5 * z)


@pytest.mark.parametrize(
    "special", [{"rescale_betas_zero_snr": True}, {"trained_betas": [0.1, 0.2]}]
)
def test_a_schedule_of_another_kind_is_refused(folder: Path, special: dict[str, object]) -> None:
    path = folder / "scheduler" / "scheduler_config.json"
    config = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**config, **special}), "utf-8")
    with pytest.raises(ModelUnavailable, match=f"of its own \\({next(iter(special))}\\)"):
        load_stable_diffusion(folder)


def test_the_second_generations_linear_projections_are_driven(folder: Path) -> None:
    config = UNet2DConditionModel.load_config(str(folder / "unet"))
    changes = {"use_linear_projection": True, "attention_head_dim": [2, 4, 4]}
    with torch.random.fork_rng():
        torch.manual_seed(2)
        UNet2DConditionModel.from_config({**config, **changes}).save_pretrained(folder / "unet")
    (folder / "image_prompt.safetensors").unlink()
    model = load_stable_diffusion(folder)
    z, text = random_tensor(1, 4, 8, 8), model.embed_text(["a ball"])
    with torch.no_grad():
        plain = model.unet(z, 500, text, return_dict=False)[0]
    with model.denoiser() as denoiser:
        torch.testing.assert_close(denoiser.eps(z, 500, text), plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("names", "options", "chosen"),
    [
        ({"model.safetensors", "model.fp16.safetensors"}, {}, "model.safetensors"),
        ({"model.safetensors", "model.fp16.safetensors"}, {"half": True}, "model.fp16.safetensors"),
        ({"model.fp16.safetensors"}, {}, "model.fp16.safetensors"),
        ({"model.safetensors"}, {"half": True}, "model.safetensors"),
        ({"pytorch_model.bin"}, {}, None),
        ({"pytorch_model.bin"}, {"allow_pickle": True}, "pytorch_model.bin"),
        (
            {"pytorch_model.bin", "model.fp16.safetensors"},
            {"allow_pickle": True},
            "model.fp16.safetensors",
        ),
        ({"diffusion_pytorch_model.non_ema.safetensors"}, {}, None),
        (set(), {}, None),
    ],
)
def test_the_weights_file_of_a_folder_is_chosen(
    names: set[str], options: dict[str, Any], chosen: str | None
) -> None:
    assert weights_file(names, **options) == chosen
