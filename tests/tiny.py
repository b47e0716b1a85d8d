"""A tiny Stable Diffusion of the libraries' real classes, with random weights, and inputs for it.

The model has three levels (SD has four), latents of 8 pixels a cell, 96 pixels native size, and an
image prompt of four tokens. One UNet call takes a few milliseconds.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from diffeditor.backbones import Denoiser, StableDiffusion, load_stable_diffusion
from diffeditor.config import PRESETS, Preset
from diffeditor.geometry import Size
from diffeditor.guidance import Guidance
from diffeditor.image_prompt import (
    DecoupledProjections,
    ImagePrompt,
    ImagePromptConfig,
    ImagePromptEncoder,
)
from diffeditor.inversion import ImageCondition, Trajectory, invert
from diffeditor.plan import Grid
from diffeditor.sampler import Conditions, NoiseSource, Sampler
from diffeditor.schedule import Schedule, scaled_linear
from diffeditor.tasks import TASKS, Task

GOLDEN = Path(__file__).parent / "golden"
TEXT_WIDTH = 16
NATIVE = 96
MAX_TOKENS = 20
SCHEDULE = Schedule(scaled_linear())

SIDES = {"landscape": (64, 112), "portrait": (112, 64), "square": (80, 80)}
"""Heights and widths of pictures in three formats."""


def tiny_unet() -> UNet2DConditionModel:
    """A UNet of 12 x 12 latents; 4 self-attention layers in its up blocks."""
    return _frozen(
        UNet2DConditionModel(
            sample_size=NATIVE // 8,
            block_out_channels=(16, 32, 32),
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
            layers_per_block=1,
            norm_num_groups=8,
            attention_head_dim=2,
            cross_attention_dim=TEXT_WIDTH,
        )
    )


def tiny_image_prompt(unet: UNet2DConditionModel) -> ImagePrompt:
    """An image prompt of four tokens for a UNet."""
    config = ImagePromptConfig(
        clip_dim=16, dim=16, out_dim=TEXT_WIDTH, queries=4, depth=2, heads=2, dim_head=8, ff_mult=2
    )
    made = ImagePrompt(ImagePromptEncoder(config), DecoupledProjections.for_unet(unet))
    return made.eval().requires_grad_(False)


def save_tiny_model(folder: Path) -> Path:
    """Write the model as a diffusers folder; the same weights every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet = tiny_unet()
        parts: dict[str, Any] = {
            "unet": unet,
            "vae": _vae(),
            "text_encoder": _text_encoder(),
            "image_encoder": _image_encoder(),
        }
        tiny_image_prompt(unet).save(_made(folder) / "image_prompt.safetensors")
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    shutil.copytree(GOLDEN / "model" / "sd" / "tokenizer", folder / "tokenizer")
    facts = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    text = json.dumps({**facts, "steps_offset": 1, "num_train_timesteps": 1000})
    (_made(folder / "scheduler") / "scheduler_config.json").write_text(text, "utf-8")
    return folder


def load_tiny_model(folder: Path) -> StableDiffusion:
    """The model of a folder that `save_tiny_model` wrote."""
    return load_stable_diffusion(folder, name="tiny")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _vae() -> AutoencoderKL:
    levels: dict[str, Any] = {
        "block_out_channels": (8, 8, 8, 8),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
    }
    return AutoencoderKL(
        **levels, norm_num_groups=4, latent_channels=4, mid_block_add_attention=False
    )


def _text_encoder() -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=537,
            hidden_size=TEXT_WIDTH,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=MAX_TOKENS,
            bos_token_id=535,
            eos_token_id=536,
            pad_token_id=536,
        )
    )


def _image_encoder() -> CLIPVisionModelWithProjection:
    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=32,
            projection_dim=8,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=32,
            patch_size=16,
        )
    )


def _frozen(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    return unet.eval().requires_grad_(False)


def random_tensor(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A draw from N(0, 1)."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def quick(name: str = "diffeditor", steps: int = 5, **changes: Any) -> Preset:
    """A preset with few steps."""
    return replace(PRESETS[name], steps=steps, **changes)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Noise, uint8 (height, width, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def box(height: int, width: int, top: float, left: float, side: float = 0.3) -> np.ndarray:
    """A bool mask (height, width) with a box at these fractions of the picture."""
    mask = np.zeros((height, width), np.bool_)
    rows = slice(round(top * height), round((top + side) * height))
    mask[rows, round(left * width) : round((left + side) * width)] = True
    return mask


def landmarks(height: int, width: int, seed: int = 0) -> np.ndarray:
    """68 points (x, y) inside a picture, away from its border."""
    places = np.random.default_rng(seed).uniform(0.25, 0.75, (68, 2))
    return places * (width, height)


def sample_task(name: str, height: int, width: int, **changes: Any) -> Task:
    """A task of each kind on a picture of this size; `changes` replace its arguments."""
    image, mask = picture(height, width), box(height, width, 0.2, 0.15)
    reference = {
        "reference": picture(height, width, seed=1),
        "reference_mask": box(height, width, 0.5, 0.4),
    }
    shift = (round(0.3 * width), round(0.2 * height))
    inside = (round(0.25 * width), round(0.3 * height))
    arguments: dict[str, dict[str, Any]] = {
        "move": {"mask": mask, "shift": shift},
        "drag": {
            "mask": box(height, width, 0.1, 0.1, 0.6),
            "points": [(inside, (inside[0] + 20, inside[1] + 10))],
        },
        "face": {
            "source_landmarks": landmarks(height, width),
            "target_landmarks": landmarks(height, width, seed=1),
        },
        "paste": {**reference, "shift": (-10, -8)},
        "appearance": {**reference, "mask": mask},
    }
    return TASKS[name](**{"image": image, **arguments[name], **changes})


def finished(run: Any) -> Any:
    """What a generator returns when it is run to its end."""
    while True:
        try:
            next(run)
        except StopIteration as end:
            return end.value


def inverted(denoiser: Denoiser, z_0: torch.Tensor, steps: int, text: torch.Tensor) -> Trajectory:
    """An inversion that keeps the bank of every step."""
    levels = SCHEDULE.levels(steps)
    return finished(invert(denoiser, z_0, levels, text, bank_steps=range(steps)))


def sampler_of(
    model: StableDiffusion,
    denoiser: Denoiser,
    task: Task,
    preset: Preset,
    noise: NoiseSource | None = None,
) -> Sampler:
    """An edit of random latents, 8 x 8 for each picture, ready to be sampled."""
    working = Size(64, 64)
    grid = Grid(source=task.size, working=working, latent_factor=8, device=torch.device("cpu"))
    strengths = preset.strengths(task.strengths, {})
    plan = task.plan(grid, strengths, preset)
    text = model.embed_text(["", *task.prompts])
    z_0 = random_tensor(len(task.pictures), 4, 8, 8)
    trajectory = inverted(denoiser, z_0, preset.steps, text[1:])
    guidance = Guidance(
        denoiser=denoiser,
        plan=plan,
        trajectory=trajectory,
        text=text[1:2],
        energy_scale=strengths.energy_scale,
        regional=preset.regional_guidance,
    )
    tokens = random_tensor(2, 4, TEXT_WIDTH, seed=3)
    return Sampler(
        denoiser=denoiser,
        plan=plan,
        trajectory=trajectory,
        levels=SCHEDULE.levels(preset.steps),
        conditions=Conditions(
            text=text[:2],
            image=ImageCondition(tokens=tokens, scale=strengths.image_prompt_scale),
        ),
        preset=preset,
        strengths=strengths,
        guidance=guidance,
        noise=noise or (lambda i: random_tensor(1, 4, 8, 8, seed=100 + i)),
    )


def counted(unet: UNet2DConditionModel) -> tuple[list[int], Any]:
    """A list that grows by the batch size of every call of the UNet, and its hook's handle."""
    batches: list[int] = []
    return batches, unet.register_forward_pre_hook(lambda _, inputs: batches.append(len(inputs[0])))


def count_hooks(module: nn.Module) -> int:
    """How many forward hooks a module and its parts have."""
    kinds = ("_forward_hooks", "_forward_pre_hooks")
    return sum(len(vars(part)[kind]) for part in module.modules() for kind in kinds)
