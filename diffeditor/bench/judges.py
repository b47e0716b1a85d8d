"""The small networks of a model's folder that judge pictures, and the folder's fingerprint."""

import json
from collections.abc import Sequence
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import cast

import numpy as np
import torch
from PIL import Image
from transformers import CLIPVisionModelWithProjection

from diffeditor.backbones.stable_diffusion import SETTINGS_FILE
from diffeditor.bench.landmarks import Finder
from diffeditor.editor import LANDMARKS_FILE
from diffeditor.errors import ModelUnavailable
from diffeditor.faces import HeatmapLandmarks
from diffeditor.image_prompt import clip_pixels
from diffeditor.weights import find_model

BATCH = 64


class Judges:
    """Landmark finder and image encoder of one model, loaded when they are first needed."""

    def __init__(self, model: str) -> None:
        self.folder = find_model(model)

    @cached_property
    def find_landmarks(self) -> Finder:
        """The landmark finder. Raises ModelUnavailable for a model without one."""
        return HeatmapLandmarks.load(self.folder / LANDMARKS_FILE)

    @cached_property
    def _encoder(self) -> CLIPVisionModelWithProjection:
        folder = self.folder / "image_encoder"
        if not (folder / "config.json").is_file():
            raise ModelUnavailable(f"{self.folder} has no image encoder; name a model with one.")
        encoder = CLIPVisionModelWithProjection.from_pretrained(
            str(folder), local_files_only=True, dtype=torch.float32
        )
        return encoder.eval().requires_grad_(False)

    @torch.no_grad()
    def features(self, pictures: Sequence[Image.Image]) -> np.ndarray:
        """Image embeddings float32 (n, D) of pictures of any size, stretched to CLIP's square."""
        side = cast(int, self._encoder.config.image_size)
        rows = [
            self._encoder(clip_pixels(pictures[first : first + BATCH], side)).image_embeds
            for first in range(0, len(pictures), BATCH)
        ]
        return torch.cat(rows).numpy()

    @cached_property
    def fingerprint(self) -> str:
        """A digest of all weights and configurations of the model, its settings left out."""
        digest = blake2b(digest_size=6)
        for file in sorted(self.folder.rglob("*")):
            if file.suffix in (".safetensors", ".json", ".txt") and file.name != SETTINGS_FILE:
                digest.update(file.relative_to(self.folder).as_posix().encode())
                digest.update(_digest(file))
        return digest.hexdigest()

    @cached_property
    def _strengths(self) -> dict[str, dict[str, float]]:
        file = self.folder / SETTINGS_FILE
        return json.loads(file.read_text("utf-8"))["strengths"] if file.is_file() else {}

    def strengths(self, task: str) -> dict[str, float]:
        """The strengths that the model has for a task, as they were when first asked for."""
        return self._strengths.get(task, {})


def _digest(file: Path) -> bytes:
    digest = blake2b(digest_size=16)
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.digest()
