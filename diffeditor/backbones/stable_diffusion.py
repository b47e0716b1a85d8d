"""Any Stable Diffusion 1.x / 2.x checkpoint in a diffusers folder, as a Backbone."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast, get_args

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from diffeditor.attention import attached
from diffeditor.backbones.base import Denoiser
from diffeditor.config import STRENGTHS
from diffeditor.errors import ModelUnavailable
from diffeditor.image_prompt import ImagePrompt, clip_pixels
from diffeditor.schedule import Prediction, Schedule

SETTINGS_FILE = "diffeditor.json"
"""Optional, beside the model: {"strengths": {task: {strength: value}}} found for this model."""

IMAGE_PROMPT_FILE = "image_prompt.safetensors"


@dataclass(kw_only=True)
class StableDiffusion:
    """A diffusers model of the Stable Diffusion kind, with an optional image prompt."""

    name: str
    vae: AutoencoderKL
    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    schedule: Schedule
    image_encoder: CLIPVisionModelWithProjection | None = None
    image_prompt: ImagePrompt | None = None
    strengths: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def latent_factor(self) -> int:
        return 2 ** (len(self.vae.config["block_out_channels"]) - 1)

    @property
    def multiple(self) -> int:
        return self.latent_factor * 2 ** (len(self.unet.config["block_out_channels"]) - 1)

    @property
    def native_size(self) -> int:
        return self.unet.config["sample_size"] * self.latent_factor

    @property
    def feature_blocks(self) -> tuple[int, int]:
        """Up blocks at half and at full latent resolution: the last but one and two."""
        count = len(self.unet.up_blocks)
        return count - 3, count - 2

    @property
    def device(self) -> torch.device:
        return self.unet.device

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        encoded = self.vae.encode(pictures.to(self.device, self.vae.dtype), return_dict=False)
        return encoded[0].mean.float() * self.vae.config["scaling_factor"]

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        scaled = (z / self.vae.config["scaling_factor"]).to(self.vae.dtype)
        return self.vae.decode(scaled, return_dict=False)[0].float().clamp(-1, 1)

    @property
    def _max_tokens(self) -> int:
        longest = self.text_encoder.config.max_position_embeddings
        return min(self.tokenizer.model_max_length, longest)

    @torch.no_grad()
    def embed_text(self, prompts: Sequence[str]) -> Tensor:
        ids = self.tokenizer(
            list(prompts),
            padding="max_length",
            truncation=True,
            max_length=self._max_tokens,
            return_tensors="pt",
        ).input_ids
        return self.text_encoder(ids.to(self.device))[0].float()

    def dropped_words(self, prompt: str) -> str:
        ids = self.tokenizer(prompt).input_ids[1:-1]
        return str(self.tokenizer.decode(ids[self._max_tokens - 2 :])).strip()

    @torch.no_grad()
    def image_states(self, pixels: Tensor) -> Tensor:
        """What an image prompt is made of: CLIP's last hidden states but one, (B, tokens, width).

        pixels: (B, 3, S, S) as `clip_pixels` makes them; all zeros stand for no picture.
        """
        assert self.image_encoder is not None
        pixels = pixels.to(self.device, self.image_encoder.dtype)
        return self.image_encoder(pixels, output_hidden_states=True).hidden_states[-2]

    @torch.no_grad()
    def embed_images(self, pictures: Sequence[Image.Image]) -> tuple[Tensor, Tensor] | None:
        if self.image_encoder is None or self.image_prompt is None:
            return None
        pixels = clip_pixels(pictures, cast(int, self.image_encoder.config.image_size))
        hidden = self.image_states(torch.cat([pixels, torch.zeros_like(pixels)]))
        encoder = self.image_prompt.image_proj
        tokens = encoder(hidden.to(encoder.latents.dtype)).float()
        return tokens[: len(pictures)], tokens[len(pictures) :]

    @contextmanager
    def denoiser(self) -> Iterator[Denoiser]:
        projections = None if self.image_prompt is None else self.image_prompt.ip_adapter
        with attached(self.unet, projections) as control:
            yield Denoiser(self.unet, self.schedule, self.feature_blocks, control)

    def to(self, device: torch.device, dtype: torch.dtype) -> "StableDiffusion":
        """This model on a device; the networks in `dtype`, the VAE in float32."""
        nn.Module.to(self.vae, device, torch.float32)
        parts = (self.unet, self.text_encoder, self.image_encoder, self.image_prompt)
        for part in parts:
            if part is not None:
                nn.Module.to(part, device, dtype)
        return self


def load_stable_diffusion(
    folder: Path,
    *,
    name: str | None = None,
    image_prompt: Path | None = None,
    image_encoder: Path | None = None,
    allow_pickle: bool = False,
) -> StableDiffusion:
    """A model from a diffusers folder of safetensors files, in float32 on the CPU.

    Args:
        image_prompt: an image-prompt file; None takes `image_prompt.safetensors` in the folder.
        image_encoder: folder of its CLIP vision tower; None takes `image_encoder/` in the folder
            where there is an image prompt.
        allow_pickle: accept an image prompt in PyTorch's own format (read with weights_only).

    Raises:
        ModelUnavailable: a part is missing or damaged, or stored as a pickle.
    """
    prompt_file = image_prompt or folder / IMAGE_PROMPT_FILE
    vision_folder = image_encoder or folder / "image_encoder"
    with_prompt = prompt_file.is_file() or image_prompt is not None
    settings = _settings(folder)
    return StableDiffusion(
        name=name or folder.name,
        vae=_part(AutoencoderKL, folder / "vae"),
        unet=_part(UNet2DConditionModel, folder / "unet"),
        text_encoder=_part(CLIPTextModel, folder / "text_encoder"),
        tokenizer=_tokenizer(folder / "tokenizer"),
        schedule=_schedule(folder / "scheduler"),
        image_encoder=_part(CLIPVisionModelWithProjection, vision_folder)
        if with_prompt or image_encoder is not None
        else None,
        image_prompt=ImagePrompt.load(prompt_file, allow_pickle=allow_pickle)
        if with_prompt
        else None,
        strengths=settings,
    )


_WEIGHTS = ("diffusion_pytorch_model", "model")


def _part(cls, folder: Path):  # type: ignore[no-untyped-def]
    if not (folder / "config.json").is_file():
        raise ModelUnavailable(f"{folder} lacks config.json; give a complete diffusers folder.")
    if not any(folder.glob("*.safetensors")):
        pickled = [*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.ckpt")]
        what = f"only the pickle file {pickled[0].name}" if pickled else "no weights"
        raise ModelUnavailable(f"{folder} has {what}; give the model as safetensors files.")
    try:
        part = cls.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, torch_dtype=torch.float32
        )
    except Exception as error:
        raise ModelUnavailable(
            f"{folder} cannot be loaded as {cls.__name__}; its files are damaged or of another "
            "model, get them again."
        ) from error
    return part.eval().requires_grad_(False)


def _tokenizer(folder: Path) -> CLIPTokenizer:
    if not (folder / "vocab.json").is_file() and not (folder / "tokenizer.json").is_file():
        raise ModelUnavailable(f"{folder} lacks vocab.json; give a complete diffusers folder.")
    try:
        return CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:
        raise ModelUnavailable(f"The tokenizer in {folder} is damaged; get it again.") from error


def _schedule(folder: Path) -> Schedule:
    path = folder / "scheduler_config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
        kept = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps")
        offset = int(config.get("steps_offset", 0))
        library = DDIMScheduler(**{key: config[key] for key in kept if key in config})
    except (OSError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
        raise ModelUnavailable(f"{path} is missing or damaged; get it again.") from error
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


def _settings(folder: Path) -> Mapping[str, Mapping[str, float]]:
    path = folder / SETTINGS_FILE
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
    return strengths
