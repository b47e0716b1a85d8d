"""The bare model for benchmarks beside the editor's: pictures in batches, no task."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from diffeditor.backbones import StableDiffusion, load_stable_diffusion
from diffeditor.images import to_tensor
from diffeditor.weights import find_model
from diffeditor.worlds import WorldSpec, random_face, random_scene

KINDS = ("scene", "face")


def bare_model(model: str, device: str) -> StableDiffusion:
    """A model in float32 on a device; "auto" takes the CPU, where its results are kept to be."""
    where = torch.device("cpu" if device == "auto" else device)
    return load_stable_diffusion(find_model(model)).to(where, torch.float32)


def world(seed: int) -> WorldSpec:
    """A random scene for an even seed, a random face for an odd one."""
    return random_face(seed) if seed % 2 else random_scene(seed)


def as_batch(pictures: Sequence[Image.Image]) -> torch.Tensor:
    """Pictures of one size as (B, 3, H, W) in [-1, 1]."""
    return torch.cat([to_tensor(picture) for picture in pictures])


def as_pictures(batch: torch.Tensor) -> list[np.ndarray]:
    """A batch (B, 3, H, W) in [-1, 1] as uint8 pictures (H, W, 3)."""
    scaled = ((batch.clamp(-1, 1) + 1) * 127.5).round().byte()
    return list(scaled.permute(0, 2, 3, 1).cpu().numpy())
