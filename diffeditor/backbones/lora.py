"""LoRA files: read by diffusers, added to the weights, and gone as modules before the first run."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffeditor.backbones.parts import Parts, finished
from diffeditor.errors import InvalidSetting, ModelUnavailable
from diffeditor.tensorfile import read_tensors


@dataclass(frozen=True, kw_only=True)
class Lora:
    """A LoRA file and how strongly it is added; 1 is as it was trained."""

    path: Path
    scale: float = 1.0

    @classmethod
    def parse(cls, text: str) -> "Lora":
        """PATH or PATH:SCALE.

        Raises:
            InvalidSetting: there is no such file, or the scale is not finite.
        """
        path, colon, scale = text.rpartition(":")
        try:
            made = cls(path=Path(path), scale=float(scale)) if colon else cls(path=Path(text))
        except ValueError:  # the colon is part of the path
            made = cls(path=Path(text))
        if not made.path.expanduser().is_file():
            raise InvalidSetting(f"There is no LoRA file {str(made.path)!r}; check the path.")
        if not math.isfinite(made.scale):
            raise InvalidSetting(f"The scale of a LoRA file must be finite, not {made.scale}.")
        return made


def add_loras(parts: Parts, loras: tuple[Lora, ...], *, allow_pickle: bool = False) -> None:
    """Add LoRA files to the weights of UNet and text encoder, in place.

    Raises:
        ModelUnavailable: a file is damaged, a pickle that was not allowed, or does not fit.
    """
    for lora in loras:
        _add(parts, lora, allow_pickle)
        for part in (parts.unet, parts.text_encoder):
            finished(part, lora.path)


def _add(parts: Parts, lora: Lora, allow_pickle: bool) -> None:
    from diffusers import DDIMScheduler, StableDiffusionPipeline  # slow, and seldom needed

    path = lora.path.expanduser()
    read_tensors(path, allow_pickle=allow_pickle)
    make: Any = StableDiffusionPipeline  # whose declared types refuse what it accepts
    pipeline = make(
        vae=parts.vae,
        text_encoder=parts.text_encoder,
        tokenizer=parts.tokenizer,
        unet=parts.unet,
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    try:
        pipeline.load_lora_weights(
            str(path.parent), weight_name=path.name, local_files_only=True, adapter_name="lora"
        )
        if not pipeline.get_list_adapters():
            raise ValueError("no layer takes it")
        pipeline.fuse_lora(lora_scale=lora.scale)
        pipeline.unload_lora_weights()
    except Exception as error:
        raise ModelUnavailable(
            f"{lora.path} is not a LoRA file for this model; give one that was trained on a model "
            "of the same generation."
        ) from error
