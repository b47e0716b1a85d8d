"""The parts of a Stable Diffusion model, and loading them from a diffusers folder."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from diffeditor.errors import ModelUnavailable
from diffeditor.schedule import Prediction, Schedule
from diffeditor.tensorfile import PICKLE_SUFFIXES, check_finite

HALF = ".fp16"
"""Before the suffix of weights files of half precision."""

_STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")
"""Names of weights files that diffusers and transformers write."""

LATENT_CHANNELS = 4


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What every Stable Diffusion model is made of, in float32 on the CPU."""

    vae: AutoencoderKL
    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    schedule: Schedule


def folder_parts(folder: Path, *, allow_pickle: bool = False) -> Parts:
    """The parts of a diffusers folder.

    Raises:
        ModelUnavailable: a part is missing, damaged, of another model, or a pickle that was not
            allowed.
    """
    return Parts(
        vae=load_part(AutoencoderKL, folder / "vae", allow_pickle=allow_pickle),
        unet=load_unet(folder / "unet", allow_pickle=allow_pickle),
        text_encoder=load_part(CLIPTextModel, folder / "text_encoder", allow_pickle=allow_pickle),
        tokenizer=load_tokenizer(folder / "tokenizer"),
        schedule=load_schedule(folder / "scheduler"),
    )


def load_unet(folder: Path, *, allow_pickle: bool = False) -> UNet2DConditionModel:
    """A UNet that predicts noise from latents and text alone."""
    check_unet_config(folder)
    return load_part(UNet2DConditionModel, folder, allow_pickle=allow_pickle)


def check_unet_config(folder: Path) -> None:
    """Raises ModelUnavailable for the config of an inpainting, depth or SDXL model."""
    path = folder / "config.json"
    if not path.is_file():
        return
    try:
        config = json.loads(path.read_text("utf-8"))
        channels, added = config.get("in_channels", 4), config.get("addition_embed_type")
    except (ValueError, AttributeError) as error:
        raise ModelUnavailable(f"{path} is damaged; get it again.") from error
    if channels != LATENT_CHANNELS or added is not None:
        raise ModelUnavailable(
            f"{folder} belongs to another kind of model (inpainting, depth, XL); give a plain "
            "Stable Diffusion 1.x or 2.x."
        )


def load_part(cls: Any, folder: Path, *, allow_pickle: bool = False) -> Any:
    """A network of the libraries' class `cls`, frozen, from its folder.

    Raises:
        ModelUnavailable: see `folder_parts`.
    """
    if not (folder / "config.json").is_file():
        raise ModelUnavailable(f"{folder} lacks config.json; give a complete diffusers folder.")
    file = _stored(folder, allow_pickle)
    try:
        part, report = cls.from_pretrained(
            str(folder),
            local_files_only=True,
            use_safetensors=file.endswith(".safetensors"),
            variant=HALF.strip(".") if HALF in file else None,
            torch_dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:
        raise _not_loadable(cls, folder) from error
    if report["missing_keys"] or report["mismatched_keys"]:
        raise _not_loadable(cls, folder)
    return finished(part, folder)


def finished(part: nn.Module, source: Path) -> Any:
    """A loaded part, checked to be whole, in float32, ready to be run and never trained."""
    missing = [name for name, value in part.named_parameters() if value.is_meta]
    if missing:
        raise ModelUnavailable(
            f"{source} lacks {len(missing)} tensors of a {type(part).__name__}, such as "
            f"{missing[0]}; get the whole model."
        )
    check_finite(dict(part.named_parameters()), source)
    return nn.Module.float(part).eval().requires_grad_(False)


def weights_file(
    names: Collection[str], *, half: bool = False, allow_pickle: bool = False
) -> str | None:
    """A part's weights among the names in its folder: safetensors first, then the precision.

    Args:
        half: prefer the fp16 variant; otherwise it is taken where there is nothing else.
    """
    suffixes = (".safetensors", ".bin") if allow_pickle else (".safetensors",)
    precisions = (HALF, "") if half else ("", HALF)
    candidates = (a + b + c for c in suffixes for b in precisions for a in _STEMS)
    return next((name for name in candidates if name in names), None)


def _stored(folder: Path, allow_pickle: bool) -> str:
    """The name of the weights file in a part's folder."""
    names = {path.name for path in folder.iterdir()}
    found = weights_file(names, allow_pickle=allow_pickle)
    if found is None:
        pickled = sorted(name for name in names if name.endswith(PICKLE_SUFFIXES))
        what = f"only the pickle file {pickled[0]}" if pickled else "no weights"
        raise ModelUnavailable(f"{folder} has {what}; give the model as safetensors files.")
    return found


def _not_loadable(cls: Any, folder: Path) -> ModelUnavailable:
    return ModelUnavailable(
        f"{folder} cannot be loaded as {cls.__name__}; its files are damaged or of another model, "
        "get them again."
    )


def load_tokenizer(folder: Path, **special_tokens: Any) -> CLIPTokenizer:
    """The tokenizer of a folder, with other special tokens where they are given."""
    if not (folder / "vocab.json").is_file() and not (folder / "tokenizer.json").is_file():
        raise ModelUnavailable(f"{folder} lacks vocab.json; give a complete diffusers folder.")
    try:
        return CLIPTokenizer.from_pretrained(str(folder), local_files_only=True, **special_tokens)
    except Exception as error:
        raise ModelUnavailable(f"The tokenizer in {folder} is damaged; get it again.") from error


def load_schedule(folder: Path) -> Schedule:
    """The noise schedule that a scheduler's config describes."""
    path = folder / "scheduler_config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
        kept = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps")
        offset = int(config.get("steps_offset", 0))
        library = DDIMScheduler(**{key: config[key] for key in kept if key in config})
        special = [key for key in ("rescale_betas_zero_snr", "trained_betas") if config.get(key)]
    except (OSError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
        raise ModelUnavailable(f"{path} is missing or damaged; get it again.") from error
    if special:
        raise ModelUnavailable(
            f"The model has a noise schedule of its own ({special[0]}), which is not supported; "
            "give one with the schedule of Stable Diffusion 1.x or 2.x."
        )
    prediction = config.get("prediction_type", "epsilon")
    if prediction not in get_args(Prediction):
        raise ModelUnavailable(
            f"The model predicts {prediction!r}; give one that predicts "
            f"{' or '.join(get_args(Prediction))}."
        )
    return Schedule(
        alphas_cumprod=tuple(library.alphas_cumprod.tolist()),
        steps_offset=offset,
        prediction=prediction,
    )
