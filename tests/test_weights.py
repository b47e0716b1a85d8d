"""Finding and loading models: everything that can be wrong with one is said in a sentence."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch

import diffeditor.weights as weights
from diffeditor import load_editor
from diffeditor.backbones import StableDiffusion, load_stable_diffusion
from diffeditor.errors import InvalidSetting, ModelUnavailable
from diffeditor.hub import KNOWN
from diffeditor.weights import find_model, models_here
from tests.tiny import NATIVE

SENTENCE = re.compile(r"^[A-Z/\"].*\.$", re.DOTALL)


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may damage."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def refusal(folder: Path) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        load_editor(folder, device="cpu")
    text = str(caught.value)
    assert SENTENCE.match(text) and "\n" not in text
    return text


def test_a_whole_model_is_loaded(tiny_folder: Path) -> None:
    editor = load_editor(tiny_folder, device="cpu")
    assert editor.native_size == NATIVE
    assert editor.device == "cpu"
    assert editor.model_name == str(tiny_folder)


def test_the_networks_take_the_wanted_type(tiny_folder: Path) -> None:
    model = load_stable_diffusion(tiny_folder)
    model.to(torch.device("cpu"), torch.bfloat16)
    assert model.unet.dtype is torch.bfloat16 and model.vae.dtype is torch.float32
    assert not any(p.requires_grad for p in model.unet.parameters())
    assert not model.unet.training


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "image_encoder"])
def test_a_missing_part_is_named(folder: Path, part: str) -> None:
    (folder / part / "config.json").unlink()
    assert f"{part} lacks config.json; give a complete diffusers folder" in refusal(folder)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "image_encoder"])
def test_damaged_weights_are_named(folder: Path, part: str) -> None:
    (file,) = (folder / part).glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-100])
    assert f"{part} cannot be loaded as" in refusal(folder)


def test_a_part_of_another_size_is_named(folder: Path) -> None:
    path = folder / "vae" / "config.json"
    config = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**config, "block_out_channels": [8, 8, 8, 16]}), "utf-8")
    assert "vae cannot be loaded as AutoencoderKL" in refusal(folder)


def test_a_pickle_is_not_loaded(folder: Path) -> None:
    (file,) = (folder / "unet").glob("*.safetensors")
    file.unlink()
    torch.save({}, folder / "unet" / "diffusion_pytorch_model.bin")
    text = refusal(folder)
    assert "only the pickle file diffusion_pytorch_model.bin" in text
    assert "give the model as safetensors files" in text


def test_no_weights_at_all_are_named(folder: Path) -> None:
    for file in (folder / "unet").glob("*.safetensors"):
        file.unlink()
    assert "unet has no weights" in refusal(folder)


def test_a_missing_tokenizer_is_named(folder: Path) -> None:
    (folder / "tokenizer" / "vocab.json").unlink()
    assert "tokenizer lacks vocab.json" in refusal(folder)


def test_a_damaged_tokenizer_is_named(folder: Path) -> None:
    (folder / "tokenizer" / "vocab.json").write_text("{", "utf-8")
    assert "tokenizer in" in refusal(folder)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"beta_schedule": "unheard of"}',
        '{"beta_start": "small"}',
        '{"steps_offset": "one"}',
        None,
    ],
)
def test_a_damaged_schedule_is_named(folder: Path, text: str | None) -> None:
    path = folder / "scheduler" / "scheduler_config.json"
    path.unlink()
    if text is not None:
        path.write_text(text, "utf-8")
    assert "scheduler_config.json is missing or damaged; get it again" in refusal(folder)


def test_a_model_that_predicts_something_else_is_refused(folder: Path) -> None:
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text('{"prediction_type": "sample"}', "utf-8")
    assert "predicts 'sample'; give one that predicts epsilon or v_prediction" in refusal(folder)
    path.write_text('{"prediction_type": "v_prediction"}', "utf-8")
    schedule = load_stable_diffusion(folder).schedule
    assert schedule.prediction == "v_prediction" and schedule.steps_offset == 0


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"strengths": [1]}',
        '{"strengths": {"move": 3}}',
        '{"strengths": {"move": {"w_edit": "much"}}}',
    ],
)
def test_damaged_settings_are_named(folder: Path, text: str) -> None:
    (folder / "diffeditor.json").write_text(text, "utf-8")
    assert "diffeditor.json is not valid; restore or remove it" in refusal(folder)


def test_unknown_strengths_are_named(folder: Path) -> None:
    settings = {"strengths": {"move": {"energy_scale": 1.0, "wisdom": 2.0}}}
    (folder / "diffeditor.json").write_text(json.dumps(settings), "utf-8")
    assert "names unknown strengths: wisdom" in refusal(folder)


def test_a_models_own_strengths_are_read(folder: Path) -> None:
    (folder / "diffeditor.json").write_text('{"strengths": {"move": {"w_edit": 7.0}}}', "utf-8")
    assert load_stable_diffusion(folder).strengths == {"move": {"w_edit": 7.0}}


def test_a_model_without_an_image_prompt_is_text_only(folder: Path) -> None:
    (folder / "image_prompt.safetensors").unlink()
    shutil.rmtree(folder / "image_encoder")
    model = load_stable_diffusion(folder)
    assert model.image_prompt is None and model.image_encoder is None
    assert model.embed_images([]) is None


def test_a_damaged_image_prompt_is_named(folder: Path) -> None:
    path = folder / "image_prompt.safetensors"
    path.write_bytes(b"x" * 100)
    assert "image_prompt.safetensors is damaged" in refusal(folder)


def test_an_image_prompt_of_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="is a pickle file"):
        torch.save({}, tmp_path / "prompt.bin")
        load_editor(folder, device="cpu", image_prompt=tmp_path / "prompt.bin")
    with pytest.raises(ModelUnavailable, match="There is no image-prompt file"):
        load_editor(folder, device="cpu", image_prompt=tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no-such-model", "There is no model 'no-such-model'"),
        ("/no/such/folder", "There is no model '/no/such/folder'"),
        ("./owner/name", "There is no model './owner/name'"),
        ("a/b/c", "There is no model 'a/b/c'"),
    ],
)
def test_an_unknown_model_is_refused_with_what_to_give(name: str, says: str) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        find_model(name)
    assert says in str(caught.value)
    assert "a diffusers folder, a .safetensors file or a hub id" in str(caught.value)


def test_other_folders_and_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="has no unet/ in it"):
        find_model(tmp_path)
    picture = tmp_path / "model.png"
    picture.write_bytes(b"")
    with pytest.raises(ModelUnavailable, match="is no model file; give a .safetensors file"):
        find_model(picture)


def test_a_pickled_file_is_found_once_it_is_allowed(tmp_path: Path) -> None:
    old = tmp_path / "model.ckpt"
    old.write_bytes(b"")
    with pytest.raises(ModelUnavailable, match="is a pickle file; convert it to safetensors"):
        find_model(old)
    assert find_model(old, allow_pickle=True) == old


def test_a_missing_embedded_model_is_explained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("diffeditor.backbones.embedded._PLACES", (tmp_path,))
    with pytest.raises(ModelUnavailable, match="missing from this installation"):
        find_model(weights.EMBEDDED)


@pytest.mark.parametrize("device", ["tpu9", "gpu", "cuda:77", ""])
def test_an_unknown_device_is_refused(tiny_folder: Path, device: str) -> None:
    with pytest.raises(InvalidSetting, match='There is no device .* use "auto", "cpu"'):
        load_editor(tiny_folder, device=device)


def test_the_model_knows_its_grids(tiny_model: StableDiffusion) -> None:
    assert tiny_model.latent_factor == 8
    assert tiny_model.multiple == 32
    assert tiny_model.feature_blocks == (0, 1)
    assert tiny_model.schedule.prediction == "epsilon"
    assert tiny_model.schedule.levels(50)[0].t == 981


@pytest.mark.parametrize("here", [True, False])
def test_the_models_on_this_machine_are_listed(here: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(weights, "cached", lambda address: asked.append(address) or here)
    whole = [repo for repo, known in KNOWN.items() if known.kind == "model"]
    assert models_here() == ["embedded", *(whole if here else [])]
    assert [address.repo for address in asked] == whole
    assert [address.revision for address in asked] == [KNOWN[repo].revision for repo in whole]
