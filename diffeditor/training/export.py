"""The folder of the embedded model: a diffusers pipeline in half precision, with card and sums."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from pathlib import Path
from typing import TypeVar

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPImageProcessorPil, CLIPTextModel, CLIPVisionModelWithProjection

from diffeditor.backbones.stable_diffusion import SETTINGS_FILE
from diffeditor.faces import LANDMARKS_FILE, LandmarkNet
from diffeditor.image_prompt import ImagePrompt
from diffeditor.training.captions import write_tokenizer
from diffeditor.training.files import replacing
from diffeditor.training.unet import scheduler

ModuleT = TypeVar("ModuleT", bound=nn.Module)

MODEL_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "safety_checker": [None, None],
    "feature_extractor": [None, None],
    "requires_safety_checker": False,
}
"""What makes the folder a pipeline that the stock classes load."""


def export_frame(output: Path) -> None:
    """Write what does not depend on training: index, noise schedule, tokenizer."""
    output.mkdir(parents=True, exist_ok=True)
    (output / "model_index.json").write_text(json.dumps(MODEL_INDEX, indent=2) + "\n")
    with replacing(output / "scheduler") as folder:
        scheduler().save_pretrained(folder)
    with replacing(output / "tokenizer") as folder:
        write_tokenizer(folder)


def export_vae(output: Path, vae: AutoencoderKL) -> None:
    """Write `vae/`."""
    with replacing(output / "vae") as folder:
        half_copy(vae).save_pretrained(folder)


def export_unet(output: Path, unet: UNet2DConditionModel) -> None:
    """Write `unet/`."""
    with replacing(output / "unet") as folder:
        half_copy(unet).save_pretrained(folder)


def export_text_encoder(output: Path, text_encoder: CLIPTextModel) -> None:
    """Write `text_encoder/`."""
    with replacing(output / "text_encoder") as folder:
        half_copy(text_encoder).save_pretrained(folder)


def export_image_encoder(output: Path, tower: CLIPVisionModelWithProjection) -> None:
    """Write `image_encoder/` and `image_processor/`."""
    with replacing(output / "image_encoder") as folder:
        half_copy(tower).save_pretrained(folder)
    side = tower.config.image_size
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    )
    with replacing(output / "image_processor") as folder:
        processor.save_pretrained(folder)


def export_image_prompt(file: Path, prompt: ImagePrompt) -> None:
    """Write an image prompt's file."""
    unfinished = file.with_name(f".{file.name}")
    half_copy(prompt).save(unfinished)
    os.replace(unfinished, file)


def export_landmarks(output: Path, model: LandmarkNet) -> None:
    """Write the finder of face landmarks."""
    unfinished = output / f".{LANDMARKS_FILE}"
    half_copy(model).save(unfinished)
    os.replace(unfinished, output / LANDMARKS_FILE)


def half_copy(model: ModuleT) -> ModuleT:
    """A float16 copy on the CPU in the usual memory order; the model itself stays as it is."""
    copied = copy.deepcopy(model).cpu().to(memory_format=torch.contiguous_format)
    for tensor in (*copied.parameters(), *copied.buffers()):
        if tensor.is_floating_point():
            tensor.data = tensor.data.half()
    return copied


def export_sums(output: Path) -> None:
    """Write `SHA256SUMS` as `sha256sum --check` reads it.

    It names every other file but the strengths, which are found with the finished model.
    """
    left_out = ("SHA256SUMS", SETTINGS_FILE)
    files = sorted(
        file for file in output.rglob("*") if file.is_file() and file.name not in left_out
    )
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(output).as_posix()}\n"
        for file in files
    ]
    (output / "SHA256SUMS").write_text("".join(lines))
