"""Latents to train on: encoded once and kept beside the pictures, or made as they are drawn."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from diffeditor.training.data import CachedWorlds, LiveWorlds, Pictures

BATCH = 16


def fingerprint(vae: AutoencoderKL) -> str:
    """Twelve hexadecimal digits that name the weights of the encoder, on which latents depend."""
    digest = hashlib.sha256()
    for part in (vae.encoder, vae.quant_conv):
        for _, weights in sorted(part.state_dict().items()):
            digest.update(weights.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


class LatentSource(Protocol):
    """Anything that latents can be drawn from, with the pictures that they encode."""

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Tensor, Pictures]: ...


class EncodedWorlds:
    """The means of the posterior for all cached pictures, float16 files beside the pictures."""

    def __init__(self, worlds: CachedWorlds, key: str) -> None:
        """Raises FileNotFoundError when a shard was not encoded by the model of this key."""
        self.worlds = worlds
        shards = [np.load(_file(shard, key), mmap_mode="r") for shard in worlds.shards]
        self._where = [(shard, i) for shard in shards for i in range(len(shard))]

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Tensor, Pictures]:
        """Latents z_0 (B, 4, h, w), float32, drawn with replacement, and their pictures."""
        indices = rng.integers(len(self._where), size=count).tolist()
        rows = np.stack([shard[i] for shard, i in (self._where[index] for index in indices)])
        return torch.from_numpy(rows).float(), self.worlds.take(indices)


class LiveLatents:
    """Latents of freshly rendered worlds."""

    def __init__(self, worlds: LiveWorlds, vae: AutoencoderKL) -> None:
        self.worlds, self.vae = worlds, vae

    @torch.no_grad()
    def draw(self, count: int, rng: np.random.Generator) -> tuple[Tensor, Pictures]:
        """Latents that were never drawn before, and their pictures."""
        drawn = self.worlds.draw(count, rng)
        return self.vae.encode(drawn.images).latent_dist.mean, drawn


@torch.no_grad()
def encode_missing(
    worlds: CachedWorlds, vae: AutoencoderKL, key: str, part: int, parts: int
) -> None:
    """Encode every `parts`-th shard from `part` on, unless it was done before."""
    for shard in worlds.shards[part::parts]:
        file = _file(shard, key)
        if file.exists():
            continue
        means = [
            vae.encode(one.images.to(vae.device)).latent_dist.mean.half().cpu().numpy()
            for one in CachedWorlds([shard]).batches(BATCH)
        ]
        with _whole(file) as unfinished:
            np.save(unfinished, np.concatenate(means))


def _file(shard: Path, key: str) -> Path:
    return shard / f"latents-{key}.npy"


@contextmanager
def _whole(file: Path) -> Iterator[Path]:
    """A path to write to; what was written takes the name of `file` when the block ends."""
    unfinished = file.with_name(f".{os.getpid()}-{file.name}")
    yield unfinished
    os.replace(unfinished, file)
