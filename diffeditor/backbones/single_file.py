"""A model in one file with the original key layout; diffusers renames the keys.

    model.diffusion_model.*    the UNet           first_stage_model.*    the VAE
    cond_stage_model.*         the text encoder: CLIP ViT-L (1.x) or OpenCLIP ViT-H (2.x)

Sizes and the tokenizer are not in such a file. They are read from the configs that come with
DiffEditor, for the generation that the width of the text tells.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm
from torch import Tensor
from transformers import CLIPTextModel

from diffeditor.backbones.embedded import shipped_models
from diffeditor.backbones.parts import (
    LATENT_CHANNELS,
    Parts,
    finished,
    load_schedule,
    load_tokenizer,
)
from diffeditor.errors import ModelUnavailable
from diffeditor.schedule import Prediction, Schedule
from diffeditor.tensorfile import read_tensors

UNET = "model.diffusion_model."
_FIRST_CONVOLUTION = f"{UNET}input_blocks.0.0.weight"
_TEXT_PROJECTION = f"{UNET}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
_PREDICTION = "modelspec.prediction_type"
_SPELLINGS = {"epsilon": "epsilon", "v": "v_prediction", "v_prediction": "v_prediction"}


@dataclass(frozen=True, kw_only=True)
class Generation:
    """What a file of one generation does not hold: the folder of its configs, its tokenizer.

    pad_token: what prompts are filled up with; None leaves the tokenizer's own.
    probes: whether both predictions are common, so that a silent file has to be probed.
    """

    configs: Path
    tokenizer: Path
    pad_token: str | None = None
    probes: bool = False


def _generations() -> Mapping[int, Generation]:
    """By the width of the text that the UNet attends to."""
    models = shipped_models()
    tokenizer = models / "clip-tokenizer"
    return {
        768: Generation(configs=models / "stable-diffusion-1", tokenizer=tokenizer),
        1024: Generation(
            configs=models / "stable-diffusion-2", tokenizer=tokenizer, pad_token="!", probes=True
        ),
    }


def single_file_parts(path: Path, *, allow_pickle: bool = False) -> Parts:
    """The parts of a checkpoint file.

    Raises:
        ModelUnavailable: the file is damaged, incomplete, of another kind, or a pickle that was not
            allowed.
    """
    file = read_tensors(path, allow_pickle=allow_pickle)
    generation = _generation(file.tensors, path)
    configs = generation.configs
    with _refusing(path):
        unet = _network(UNet2DConditionModel, file.tensors, configs, "unet")
        vae = _network(AutoencoderKL, file.tensors, configs, "vae")
        text_encoder = create_diffusers_clip_model_from_ldm(
            CLIPTextModel,
            file.tensors,
            subfolder="text_encoder",
            config=str(configs),
            local_files_only=True,
        )
    unet = finished(unet, path)
    special = {} if generation.pad_token is None else {"pad_token": generation.pad_token}
    schedule = load_schedule(configs / "scheduler")
    stated = _SPELLINGS.get(file.metadata.get(_PREDICTION, ""))
    if stated in get_args(Prediction):
        schedule = replace(schedule, prediction=cast(Prediction, stated))
    elif generation.probes:
        schedule = replace(schedule, prediction=probed_prediction(unet, schedule))
    return Parts(
        vae=finished(vae, path),
        unet=unet,
        text_encoder=finished(text_encoder, path),
        tokenizer=load_tokenizer(generation.tokenizer, **special),
        schedule=schedule,
    )


def single_file_vae(path: Path, *, allow_pickle: bool = False) -> AutoencoderKL:
    """The VAE of a file: of a whole checkpoint, or a VAE alone in either key layout.

    Raises:
        ModelUnavailable: see `single_file_parts`.
    """
    tensors = read_tensors(path, allow_pickle=allow_pickle).tensors
    configs = next(iter(_generations().values())).configs  # one VAE for all generations
    with _refusing(path):
        vae = _network(AutoencoderKL, tensors, configs, "vae")
    return finished(vae, path)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise ModelUnavailable(
            f"{path} lacks or misshapes tensors of a Stable Diffusion model; get the whole file."
        ) from error


def _network(cls: Any, tensors: Mapping[str, Tensor], configs: Path, part: str) -> Any:
    return cls.from_single_file(
        dict(tensors),
        config=str(configs),
        subfolder=part,
        local_files_only=True,
    )


def _generation(tensors: Mapping[str, Tensor], path: Path) -> Generation:
    first, projection = tensors.get(_FIRST_CONVOLUTION), tensors.get(_TEXT_PROJECTION)
    if first is None or projection is None:
        raise ModelUnavailable(
            f"{path} is not a whole Stable Diffusion 1.x or 2.x checkpoint: it has no UNet in the "
            "original key layout; give the model's file, not a part or an add-on of it."
        )
    found = _generations().get(projection.shape[-1])
    if found is None or first.shape[1] != LATENT_CHANNELS:
        raise ModelUnavailable(
            f"{path} holds another kind of model (inpainting, depth, XL); give a plain Stable "
            "Diffusion 1.x or 2.x."
        )
    return found


@torch.no_grad()
def probed_prediction(unet: UNet2DConditionModel, schedule: Schedule) -> Prediction:
    """What a UNet predicts, told by one call on noise at the last timestep.

    There z is nearly all noise, so a prediction of eps is nearly z (cosine near 1), while
    v = sqrt(a) eps - sqrt(1 - a) x0 is nearly -x0, which has nothing of z in it (cosine near 0).
    """
    side, width = unet.config["sample_size"], unet.config["cross_attention_dim"]
    z = torch.randn(1, LATENT_CHANNELS, side, side, generator=torch.Generator().manual_seed(0))
    t = len(schedule.alphas_cumprod) - 1
    output = unet(z, t, torch.zeros(1, 1, width), return_dict=False)[0]
    cosine = torch.cosine_similarity(output.flatten(), z.flatten(), dim=0)
    return "epsilon" if cosine > 0.5 else "v_prediction"
