"""One file in the original key layout loads to the weights of the folder it was written from."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
)
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

import diffeditor.backbones.single_file as single_file
from diffeditor.backbones import load_stable_diffusion
from diffeditor.backbones.embedded import embedded_folder, shipped_models
from diffeditor.backbones.parts import Parts, folder_parts, load_schedule
from diffeditor.backbones.single_file import (
    UNET,
    Generation,
    probed_prediction,
    single_file_parts,
    single_file_vae,
)
from diffeditor.errors import ModelUnavailable
from diffeditor.schedule import scaled_linear
from tests.original_layout import original_unet, original_vae, save_original
from tests.tiny import TEXT_WIDTH, random_tensor

NETWORKS = ("vae", "unet", "text_encoder")
KEY = "model.diffusion_model.input_blocks.0.0.weight"


@pytest.fixture(scope="module")
def folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with attention in its VAE, as the released ones have."""
    made = Path(shutil.copytree(tiny_folder, tmp_path_factory.mktemp("original") / "tiny"))
    config = json.loads((made / "vae" / "config.json").read_text("utf-8"))
    config["mid_block_add_attention"] = True
    with torch.random.fork_rng():
        torch.manual_seed(1)
        AutoencoderKL.from_config(config).save_pretrained(made / "vae")
    return made


@pytest.fixture(scope="module")
def parts(folder: Path) -> Parts:
    return folder_parts(folder)


@pytest.fixture(autouse=True)
def generations(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[int, Generation]:
    """What the loader knows of the tiny model, by the width of its text."""
    tiny = Generation(configs=folder, tokenizer=folder / "tokenizer")
    known = {TEXT_WIDTH: tiny}
    monkeypatch.setattr(single_file, "_generations", lambda: known)
    return known


def same(one: nn.Module, other: nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return list(ours) == list(theirs) and all(torch.equal(ours[k], theirs[k]) for k in ours)


def test_a_file_loads_to_the_weights_of_the_folder(parts: Parts, tmp_path: Path) -> None:
    loaded = single_file_parts(save_original(parts, tmp_path / "model.safetensors"))
    assert [
        part for part in NETWORKS if not same(getattr(loaded, part), getattr(parts, part))
    ] == []
    assert loaded.schedule == parts.schedule
    assert not any(p.requires_grad for p in loaded.unet.parameters())
    text = "a red ball on a table"
    assert loaded.tokenizer(text).input_ids == parts.tokenizer(text).input_ids


def test_an_open_clip_text_encoder_is_renamed_and_split(parts: Parts, tmp_path: Path) -> None:
    path = save_original(parts, tmp_path / "model.safetensors", open_clip=True)
    assert same(single_file_parts(path).text_encoder, parts.text_encoder)


def test_a_file_of_half_precision_loads_to_the_rounded_weights(
    parts: Parts, tmp_path: Path
) -> None:
    path = save_original(parts, tmp_path / "model.safetensors")
    save_file({key: value.half() for key, value in load_file(path).items()}, path)
    loaded = single_file_parts(path).unet.state_dict()
    for key, value in parts.unet.state_dict().items():
        assert torch.equal(loaded[key], value.half().float())


def test_a_pickle_is_read_once_it_is_allowed(parts: Parts, tmp_path: Path) -> None:
    path = save_original(parts, tmp_path / "model.ckpt")
    assert "is a pickle file; convert it to safetensors" in refusal(path)
    assert same(single_file_parts(path, allow_pickle=True).unet, parts.unet)


def test_the_whole_backbone_is_made_of_a_file(folder: Path, parts: Parts, tmp_path: Path) -> None:
    path = save_original(parts, tmp_path / "model.safetensors")
    model, same_model = load_stable_diffusion(path), load_stable_diffusion(folder)
    assert model.native_size == same_model.native_size and not model.has_image_prompt
    z, text = random_tensor(1, 4, 8, 8), model.embed_text(["a red ball"])
    assert torch.equal(text, same_model.embed_text(["a red ball"]))
    with model.denoiser() as ours, same_model.denoiser() as theirs:
        torch.testing.assert_close(ours.eps(z, 500, text), theirs.eps(z, 500, text))


def refusal(path: Path, load: Callable[[Path], object] = single_file_parts) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        load(path)
    return str(caught.value)


def changed(parts: Parts, path: Path, **tensors: Any) -> Path:
    """The file with tensors replaced, or left out where the value is None."""
    held = load_file(save_original(parts, path)) | tensors
    save_file({key: value for key, value in held.items() if value is not None}, path)
    return path


def test_a_truncated_file_is_refused(parts: Parts, tmp_path: Path) -> None:
    path = save_original(parts, tmp_path / "model.safetensors")
    for size in (0, 100, path.stat().st_size - 1):
        path.write_bytes(path.read_bytes()[:size])
        assert "is damaged or not a weights file; download it again" in refusal(path)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        (KEY, None, "is not a whole Stable Diffusion"),
        (KEY, torch.zeros(16, 9, 3, 3), "another kind of model (inpainting, depth, XL)"),
        (single_file._TEXT_PROJECTION, torch.zeros(16, 2048), "another kind of model"),
        ("model.diffusion_model.out.2.bias", None, "lacks or misshapes tensors"),
        ("model.diffusion_model.out.2.bias", torch.zeros(5), "lacks or misshapes tensors"),
        ("model.diffusion_model.out.2.bias", torch.full((4,), torch.nan), "are no numbers"),
        ("first_stage_model.decoder.conv_in.bias", None, "lacks or misshapes tensors"),
        (
            "cond_stage_model.transformer.text_model.final_layer_norm.bias",
            None,
            "lacks 1 tensors of a CLIPTextModel",
        ),
    ],
)
def test_an_incomplete_or_foreign_file_is_refused(
    parts: Parts, tmp_path: Path, key: str, value: Any, says: str
) -> None:
    assert says in refusal(changed(parts, tmp_path / "model.safetensors", **{key: value}))


def test_a_part_alone_is_refused_as_a_model(parts: Parts, tmp_path: Path) -> None:
    path = tmp_path / "vae.safetensors"
    save_file(original_vae(parts.vae), path)
    assert "give the model's file, not a part or an add-on of it" in refusal(path)
    save_file({"other": torch.zeros(1)}, path)
    assert "lacks" in refusal(path, single_file_vae)


def test_a_vae_is_read_in_every_layout(folder: Path, parts: Parts, tmp_path: Path) -> None:
    alone = tmp_path / "vae.safetensors"
    save_file({k: v.contiguous() for k, v in original_vae(parts.vae).items()}, alone)
    whole = save_original(parts, tmp_path / "model.safetensors")
    diffusers = folder / "vae" / "diffusion_pytorch_model.safetensors"
    for path in (alone, whole, diffusers):
        assert same(single_file_vae(path), parts.vae)


def test_a_vae_replaces_the_models_own(tiny_folder: Path, parts: Parts, tmp_path: Path) -> None:
    alone = tmp_path / "vae.safetensors"
    save_file({k: v.contiguous() for k, v in original_vae(parts.vae).items()}, alone)
    assert same(load_stable_diffusion(tiny_folder, vae=alone).vae, parts.vae)


def test_a_file_that_states_its_prediction_is_believed(parts: Parts, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for word, prediction in {"v": "v_prediction", "epsilon": "epsilon", "?": "epsilon"}.items():
        save_original(parts, path, **{"modelspec.prediction_type": word})
        assert single_file_parts(path).schedule.prediction == prediction


def test_a_silent_file_of_the_second_generation_is_probed(
    parts: Parts, tmp_path: Path, folder: Path, generations: dict[int, Generation]
) -> None:
    generations[TEXT_WIDTH] = Generation(
        configs=folder, tokenizer=folder / "tokenizer", pad_token="!", probes=True
    )
    loaded = single_file_parts(save_original(parts, tmp_path / "model.safetensors"))
    assert loaded.schedule.prediction == "v_prediction"  # untrained, it says nothing of the noise
    assert loaded.tokenizer.pad_token == "!"


class PredictsV(nn.Module):
    """A UNet that predicts v in place of the noise."""

    def __init__(self, unet: UNet2DConditionModel, a: float) -> None:
        super().__init__()
        self.unet, self.config, self.a = unet, unet.config, a

    def forward(self, z: torch.Tensor, t: int, text: torch.Tensor, **options: Any) -> Any:
        eps = self.unet(z, t, text, **options)[0]
        return ((eps - (1 - self.a) ** 0.5 * z) / self.a**0.5,)


def test_the_probe_tells_a_trained_model_from_its_v_twin() -> None:
    parts = folder_parts(embedded_folder())
    assert probed_prediction(parts.unet, parts.schedule) == "epsilon"
    twin: Any = PredictsV(parts.unet, parts.schedule.alphas_cumprod[-1])
    assert probed_prediction(twin, parts.schedule) == "v_prediction"


def shapes(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _named(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def shipped_config(name: str, part: str) -> dict[str, Any]:
    return json.loads((shipped_models() / name / part / "config.json").read_text("utf-8"))


class TestShippedConfigs:
    """Those of the released models; their sizes are known from the papers and model cards."""

    @pytest.mark.parametrize(
        ("name", "unet", "text_encoder"),
        [
            ("stable-diffusion-1", 859_520_964, 123_060_480),
            ("stable-diffusion-2", 865_910_724, 340_387_840),
        ],
    )
    def test_networks_have_the_released_sizes(
        self, name: str, unet: int, text_encoder: int
    ) -> None:
        unet_config, vae_config = (shipped_config(name, part) for part in ("unet", "vae"))
        text_config = CLIPTextConfig(**shipped_config(name, "text_encoder"))
        with init_empty_weights():
            made = (
                UNet2DConditionModel.from_config(unet_config),
                CLIPTextModel(text_config),
                AutoencoderKL.from_config(vae_config),
            )
        unet_state, vae_state = made[0].state_dict(), made[2].state_dict()
        renamed = convert_ldm_unet_checkpoint(_named(original_unet(made[0]), UNET), unet_config)
        assert shapes(renamed) == shapes(unet_state) and len(unet_state) == 686
        vae = _named(original_vae(made[2]), "first_stage_model.")
        assert shapes(convert_ldm_vae_checkpoint(vae, vae_config)) == shapes(vae_state)
        counts = [sum(p.numel() for p in part.parameters()) for part in made]
        assert counts == [unet, text_encoder, 83_653_863]

    def test_the_original_names_are_the_released_ones(self) -> None:
        """A few that are easily got wrong, as they stand in released files."""
        with init_empty_weights():
            unet = UNet2DConditionModel.from_config(shipped_config("stable-diffusion-1", "unet"))
            vae = AutoencoderKL.from_config(shipped_config("stable-diffusion-1", "vae"))
        assert original_unet(unet).keys() > {
            "input_blocks.3.0.op.weight",
            "input_blocks.11.0.in_layers.2.weight",
            "middle_block.1.transformer_blocks.0.attn2.to_k.weight",
            "output_blocks.2.1.conv.weight",
            "output_blocks.5.2.conv.weight",
            "output_blocks.11.1.proj_out.weight",
        }
        assert original_vae(vae).keys() > {
            "encoder.down.2.downsample.conv.weight",
            "decoder.mid.attn_1.proj_out.weight",
            "decoder.up.3.block.0.conv1.weight",
            "decoder.up.0.block.0.nin_shortcut.weight",
            "post_quant_conv.weight",
        }

    def test_prompts_become_the_released_ids(self) -> None:
        tokenizer = CLIPTokenizer.from_pretrained(str(shipped_models() / "clip-tokenizer"))
        ids = [49406, 320, 1125, 539, 320, 2368, 49407]
        assert tokenizer("a photo of a cat").input_ids == ids
        assert tokenizer("A PHOTO of a  cat").input_ids == ids
        assert (len(tokenizer), tokenizer.model_max_length) == (49408, 77)
        assert tokenizer.decode(tokenizer("déjà vu").input_ids[1:-1]) == "déjà vu"

    def test_both_generations_are_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()
        known = single_file._generations()
        assert set(known) == {768, 1024}
        for generation in known.values():
            assert (generation.configs / "unet" / "config.json").is_file()
            assert (generation.tokenizer / "vocab.json").is_file()
        assert known[1024].probes and known[1024].pad_token == "!"

    def test_the_schedule_is_stable_diffusions(self) -> None:
        schedule = load_schedule(shipped_models() / "stable-diffusion-1" / "scheduler")
        assert schedule.alphas_cumprod == pytest.approx(scaled_linear())
        assert (schedule.steps_offset, schedule.prediction) == (1, "epsilon")
