"""Load a Stable Diffusion model with everything that belongs to it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPVisionModelWithProjection

from diffeditor.backbones.lora import Lora, add_loras
from diffeditor.backbones.parts import folder_parts, load_part
from diffeditor.backbones.single_file import single_file_parts, single_file_vae
from diffeditor.backbones.stable_diffusion import (
    IMAGE_ENCODER_FOLDER,
    IMAGE_PROMPT_FILE,
    SETTINGS_FILE,
    StableDiffusion,
)
from diffeditor.config import DIFFEDITOR, STRENGTHS
from diffeditor.errors import InvalidSetting, ModelUnavailable
from diffeditor.image_prompt import ImagePrompt, projection_shapes


@torch.random.fork_rng(devices=[])  # the libraries fill weights at random before they read them
def load_stable_diffusion(
    source: Path,
    *,
    name: str | None = None,
    image_prompt: Path | None = None,
    image_encoder: Path | None = None,
    vae: Path | None = None,
    loras: Sequence[Lora] = (),
    spare_prompt: tuple[Path, Path] | None = None,
    allow_pickle: bool = False,
) -> StableDiffusion:
    """A model from a diffusers folder or a single file, in float32 on the CPU.

    Args:
        image_prompt: an image-prompt file; None takes `image_prompt.safetensors` in the folder.
        image_encoder: folder of its CLIP vision tower; None takes `image_encoder/` in the folder
            where there is an image prompt.
        vae: a VAE's folder or file, in place of the model's own.
        loras: added to the weights in this order.
        spare_prompt: an image-prompt file and its encoder's folder, taken if the model brings no
            image prompt, none is given, and this one fits.
        allow_pickle: accept files in PyTorch's own format (read with weights_only).

    Raises:
        ModelUnavailable: a part is missing, damaged or of another model, or stored as a pickle.
    """
    load = folder_parts if source.is_dir() else single_file_parts
    parts = load(source, allow_pickle=allow_pickle)
    if vae is not None:
        parts = replace(parts, vae=_load_vae(vae, allow_pickle))
    add_loras(parts, tuple(loras), allow_pickle=allow_pickle)
    prompt, encoder = _image_prompt(source, image_prompt, image_encoder, allow_pickle)
    if prompt is None and encoder is None and spare_prompt is not None:
        prompt, encoder = _fitting(spare_prompt, parts.unet)
    if prompt is not None:
        _check_fit(prompt, parts.unet, encoder)
    return StableDiffusion(
        name=name or source.name,
        vae=parts.vae,
        unet=parts.unet,
        text_encoder=parts.text_encoder,
        tokenizer=parts.tokenizer,
        schedule=parts.schedule,
        image_encoder=encoder,
        image_prompt=prompt,
        strengths=_settings(source),
    )


def _load_vae(source: Path, allow_pickle: bool) -> AutoencoderKL:
    if source.is_file():
        return single_file_vae(source, allow_pickle=allow_pickle)
    inner = source / "vae"
    folder = inner if inner.is_dir() else source
    return load_part(AutoencoderKL, folder, allow_pickle=allow_pickle)


def _image_prompt(
    source: Path, prompt: Path | None, encoder: Path | None, allow_pickle: bool
) -> tuple[ImagePrompt | None, CLIPVisionModelWithProjection | None]:
    """The given image prompt and encoder, or those beside the model; None where there is none."""
    file = prompt or source / IMAGE_PROMPT_FILE
    with_prompt = file.is_file() or prompt is not None
    if not with_prompt and encoder is None:
        return None, None
    loaded = ImagePrompt.load(file, allow_pickle=allow_pickle) if with_prompt else None
    folder = encoder or source / IMAGE_ENCODER_FOLDER
    return loaded, load_part(CLIPVisionModelWithProjection, folder, allow_pickle=allow_pickle)


def _fitting(
    spare: tuple[Path, Path], unet: UNet2DConditionModel
) -> tuple[ImagePrompt | None, CLIPVisionModelWithProjection | None]:
    prompt = ImagePrompt.load(spare[0])
    if prompt.ip_adapter.shapes != projection_shapes(unet):
        return None, None
    return prompt, load_part(CLIPVisionModelWithProjection, spare[1])


def _check_fit(
    prompt: ImagePrompt, unet: UNet2DConditionModel, encoder: CLIPVisionModelWithProjection | None
) -> None:
    """Raises ModelUnavailable where an image prompt was made for another UNet or CLIP."""
    config, shapes = prompt.image_proj.config, prompt.ip_adapter.shapes
    if shapes != projection_shapes(unet) or any(d != config.out_dim for _, d in shapes.values()):
        raise ModelUnavailable(
            "The image prompt does not fit the UNet; give one made for a model of this generation."
        )
    if encoder is None or encoder.config.hidden_size != config.clip_dim:
        raise ModelUnavailable(
            "The image prompt was made for another CLIP than the image encoder; give the encoder "
            "that belongs to it."
        )


def _settings(source: Path) -> Mapping[str, Mapping[str, float]]:
    path = source / SETTINGS_FILE
    if not path.is_file():
        return {}
    try:
        rows = json.loads(path.read_text("utf-8"))["strengths"].items()
        strengths = {task: {k: float(v) for k, v in row.items()} for task, row in rows}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnavailable(f"{path} is not valid; restore or remove it.") from error
    unknown = {key for row in strengths.values() for key in row} - set(STRENGTHS)
    if unknown:
        raise ModelUnavailable(f"{path} names unknown strengths: {', '.join(sorted(unknown))}.")
    for row in strengths.values():
        try:
            replace(DIFFEDITOR, **cast(Any, row))
        except InvalidSetting as error:
            raise ModelUnavailable(f"{path} is not valid: {error}") from error
    return strengths
