"""Image prompts beside a model: the released sizes, the recorded tokens, and what does not fit."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from accelerate import init_empty_weights
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.traces import Trace
from diffeditor import load_editor
from diffeditor.backbones import load_stable_diffusion
from diffeditor.backbones.embedded import shipped_models
from diffeditor.errors import ModelUnavailable
from diffeditor.image_prompt import ImagePrompt, projection_shapes
from tests.tiny import GOLDEN, random_tensor

CLIP_WIDTH, WIDTH, DEPTH = 1280, 768, 4
CHANNELS = (320, 320, 640, 640, 1280, 1280, 1280, 1280, 1280, 640, 640, 640, 320, 320, 320, 1280)
"""Of the cross-attention layers of Stable Diffusion 1.x: down, up, middle."""


def released(queries: int) -> dict[str, dict[str, Tensor]]:
    """Random tensors with the names and shapes of the released files, in half precision."""
    shapes: dict[str, tuple[int, ...]] = {
        "latents": (1, queries, WIDTH),
        "proj_in.weight": (WIDTH, CLIP_WIDTH),
        "proj_in.bias": (WIDTH,),
        "proj_out.weight": (WIDTH, WIDTH),
        "proj_out.bias": (WIDTH,),
        "norm_out.weight": (WIDTH,),
        "norm_out.bias": (WIDTH,),
    }
    for block in (f"layers.{index}" for index in range(DEPTH)):
        for norm in ("0.norm1", "0.norm2", "1.0"):
            shapes |= {f"{block}.{norm}.{part}": (WIDTH,) for part in ("weight", "bias")}
        shapes |= {
            f"{block}.0.to_q.weight": (WIDTH, WIDTH),
            f"{block}.0.to_kv.weight": (2 * WIDTH, WIDTH),
            f"{block}.0.to_out.weight": (WIDTH, WIDTH),
            f"{block}.1.1.weight": (4 * WIDTH, WIDTH),
            f"{block}.1.3.weight": (WIDTH, 4 * WIDTH),
        }
    projections = {
        f"{2 * layer + 1}.to_{kind}_ip.weight": (channels, WIDTH)
        for layer, channels in enumerate(CHANNELS)
        for kind in "kv"
    }
    return {
        "image_proj": {name: _random(shape) for name, shape in shapes.items()},
        "ip_adapter": {name: _random(shape) for name, shape in projections.items()},
    }


def _random(shape: tuple[int, ...]) -> Tensor:
    return (random_tensor(*shape, seed=len(shape)) * 0.02).half()


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder for large files, emptied after the test."""
    yield tmp_path
    for path in tmp_path.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("name", "queries"), [("ip_sd15_64.bin", 64), ("ip-adapter-plus_sd15.safetensors", 16)]
)
def test_released_files_load_by_name_at_their_real_sizes(
    scratch: Path, name: str, queries: int
) -> None:
    groups, path = released(queries), scratch / name
    flat = {
        f"{group}.{key}": value for group, held in groups.items() for key, value in held.items()
    }
    if path.suffix == ".bin":
        torch.save(groups, path)
    else:
        save_file(flat, path)
    prompt = ImagePrompt.load(path, allow_pickle=path.suffix == ".bin")
    state = prompt.state_dict()
    assert state.keys() == flat.keys()
    assert all(torch.equal(state[key], value.float()) for key, value in flat.items())
    config = json.loads((shipped_models() / "stable-diffusion-1/unet/config.json").read_text())
    with init_empty_weights():
        unet = UNet2DConditionModel.from_config(config)
    assert prompt.ip_adapter.shapes == projection_shapes(unet)
    tokens = prompt.image_proj(random_tensor(1, 257, CLIP_WIDTH))
    assert tokens.shape == (1, queries, WIDTH) and tokens.isfinite().all()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded model's image prompt, rewritten from a pickle to safetensors."""
    path = tmp_path_factory.mktemp("prompt") / "image_prompt.safetensors"
    ImagePrompt.load(GOLDEN / "model" / "ip_sd15_64.bin", allow_pickle=True).save(path)
    return path


@pytest.mark.parametrize("pickled", [True, False])
def test_the_released_layout_gives_the_recorded_tokens(recorded: Path, pickled: bool) -> None:
    editor = load_editor(
        GOLDEN / "model" / "sd",
        device="cpu",
        dtype=torch.float32,
        image_prompt=GOLDEN / "model" / "ip_sd15_64.bin" if pickled else recorded,
        image_encoder=GOLDEN / "model" / "image_encoder",
        allow_pickle=pickled,
    )
    trace = Trace.load(GOLDEN / "paste.json")
    tokens = editor._backbone.embed_images(trace.task.pictures)
    assert tokens is not None
    for k in range(2):
        for ours, name in zip(tokens, ("emb_im", "emb_im_uncond"), strict=True):
            wanted = trace[f"pre/{name}.{k}"]
            torch.testing.assert_close(
                ours[k : k + 1], wanted, rtol=0, atol=1e-4 * wanted.abs().max().item()
            )


def test_an_encoder_beside_the_image_prompt_is_found(recorded: Path) -> None:
    beside = recorded.parent / "image_encoder"
    shutil.copytree(GOLDEN / "model" / "image_encoder", beside)
    editor = load_editor(GOLDEN / "model" / "sd", device="cpu", image_prompt=recorded)
    assert editor._backbone.has_image_prompt


def test_an_image_prompt_for_another_unet_is_refused(recorded: Path, tiny_folder: Path) -> None:
    with pytest.raises(ModelUnavailable, match="The image prompt does not fit the UNet; give one"):
        load_stable_diffusion(tiny_folder, image_prompt=recorded)


def test_an_image_prompt_for_another_encoder_is_refused(recorded: Path, tiny_folder: Path) -> None:
    with pytest.raises(ModelUnavailable, match="was made for another CLIP than the image encoder"):
        load_stable_diffusion(
            GOLDEN / "model" / "sd",
            image_prompt=recorded,
            image_encoder=tiny_folder / "image_encoder",
        )


def test_a_spare_image_prompt_that_does_not_fit_is_left(recorded: Path, tmp_path: Path) -> None:
    sd = GOLDEN / "model" / "sd"
    encoder = GOLDEN / "model" / "image_encoder"
    assert load_stable_diffusion(sd, spare_prompt=(recorded, encoder)).has_image_prompt
    plain = Path(shutil.copytree(shipped_models() / "embedded", tmp_path / "plain"))
    (plain / "image_prompt.safetensors").unlink()
    assert not load_stable_diffusion(plain, spare_prompt=(recorded, encoder)).has_image_prompt


def test_a_vae_is_taken_from_another_models_folder(tiny_folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(tiny_folder / "vae", tmp_path / "other" / "vae"))
    for source in (other, other.parent):
        model = load_stable_diffusion(tiny_folder, vae=source)
        assert model.vae.config["_name_or_path"] == str(other)
