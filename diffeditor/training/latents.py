"""Latents to train on: encoded once and kept beside the pictures, or made as they are drawn."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL
from torch import Tensor

from diffeditor.training.captions import varied
from diffeditor.training.data import CachedWorlds, Pictures, Source
from diffeditor.training.draw import Draw

BATCH = 16

Autocast = Callable[[], AbstractContextManager[None]]
"""Sets the precision of what runs within the block."""

Encode = Callable[[Tensor], Tensor]
"""Pictures (B, 3, H, W) in [-1, 1] on any device -> scaled latents z_0 (B, 4, h, w)."""


def posterior_mean(vae: AutoencoderKL, autocast: Autocast = nullcontext) -> Encode:
    """The encoder of an autoencoder, in the precision that `autocast` sets on any thread."""

    @torch.no_grad()
    def encode(pictures: Tensor) -> Tensor:
        with autocast():
            encoded = vae.encode(pictures.to(vae.device)).latent_dist
        return encoded.mean * vae.config.scaling_factor

    return encode


def fingerprint(vae: AutoencoderKL) -> str:
    """Twelve hexadecimal digits that name the weights of the encoder, on which latents depend."""
    digest = hashlib.sha256()
    for part in (vae.encoder, vae.quant_conv):
        for _, weights in sorted(part.state_dict().items()):
            digest.update(weights.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


class LatentSource(Protocol):
    """Anything that latents can be drawn from, with the pictures that they encode."""

    def draw(self, count: int, draw: Draw) -> tuple[Tensor, Pictures]: ...


class EncodedWorlds:
    """Latents of all cached pictures, float16 files beside the pictures."""

    def __init__(self, worlds: CachedWorlds, key: str) -> None:
        """Raises FileNotFoundError when a shard was not encoded by the model of this key."""
        self.worlds = worlds
        shards = [np.load(_file(shard, key), mmap_mode="r") for shard in worlds.shards]
        self._where = [(shard, i) for shard in shards for i in range(len(shard))]

    def draw(self, count: int, draw: Draw) -> tuple[Tensor, Pictures]:
        """Latents z_0 (B, 4, h, w), float32, drawn with replacement, and their pictures."""
        indices = draw.rng.integers(len(self._where), size=count).tolist()
        rows = np.stack([shard[i] for shard, i in (self._where[index] for index in indices)])
        return torch.from_numpy(rows).float(), self.worlds.take(indices)


class LiveLatents:
    """Latents of pictures that are encoded as they are drawn, on the calling thread."""

    def __init__(self, pictures: Source, encode: Encode) -> None:
        self.pictures, self.encode = pictures, encode

    def draw(self, count: int, draw: Draw) -> tuple[Tensor, Pictures]:
        """Latents and their pictures."""
        drawn = self.pictures.draw(count, draw)
        return self.encode(drawn.images), drawn


class Reworded:
    """Latents of worlds whose captions are put in other words each time."""

    def __init__(self, latents: LatentSource) -> None:
        self.latents = latents

    def draw(self, count: int, draw: Draw) -> tuple[Tensor, Pictures]:
        """Latents and their pictures."""
        z_0, drawn = self.latents.draw(count, draw)
        captions = [varied(caption, draw.rng) for caption in drawn.captions]
        return z_0, replace(drawn, captions=captions)


def encoded_worlds(worlds: CachedWorlds, vae: AutoencoderKL, who: Accelerator) -> EncodedWorlds:
    """Cached worlds and their latents, encoded now where they are not yet."""
    key, encode = fingerprint(vae), posterior_mean(vae, who.autocast)
    encode_missing(worlds, encode, key, who.process_index, who.num_processes)
    who.wait_for_everyone()
    return EncodedWorlds(worlds, key)


def encode_missing(worlds: CachedWorlds, encode: Encode, key: str, part: int, parts: int) -> None:
    """Encode every `parts`-th shard from `part` on, unless it was done before."""
    for shard in worlds.shards[part::parts]:
        file = _file(shard, key)
        if file.exists():
            continue
        latents = [
            encode(one.images).half().cpu().numpy() for one in CachedWorlds([shard]).batches(BATCH)
        ]
        with _whole(file) as unfinished:
            np.save(unfinished, np.concatenate(latents))


def _file(shard: Path, key: str) -> Path:
    return shard / f"latents-{key}.npy"


@contextmanager
def _whole(file: Path) -> Iterator[Path]:
    """A path to write to; what was written takes the name of `file` when the block ends."""
    unfinished = file.with_name(f".{os.getpid()}-{file.name}")
    yield unfinished
    os.replace(unfinished, file)
