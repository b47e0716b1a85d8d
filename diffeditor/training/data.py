"""Training pictures: rendering worlds, and a cache of rendered ones for a CPU.

An accelerator renders its own pictures as it trains, see `pool`.

The cache is a folder of shards, `<kind>-<size>/<first seed>/`, each with `images.npy` (uint8
(n, H, W, 3)), `detail.npy` (uint8 (n, H, W), see `Pictures`) and `labels.json` (captions and
landmarks). A shard appears whole or not at all, so several processes may fill and read one cache.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from diffeditor.errors import InvalidSetting
from diffeditor.processes import end_with_parent
from diffeditor.training.draw import Draw
from diffeditor.worlds import random_face, random_scene
from diffeditor.worlds.faces import render_faces
from diffeditor.worlds.scenes import render_scenes

KINDS = ("scene", "face")
SHARD = 256
"""Pictures in a shard."""

TRAINING, VALIDATION = 10_000_000, 20_000_000
"""First seeds of the pictures to learn from and to judge by, far from those of benchmarks."""

RENDERED_AT_ONCE = 32
FINE_PARTS = ("eyes", "mouth", "brows")
"""Parts of a face that are only a few pixels large."""


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """A batch of worlds.

    images: float32 (B, 3, H, W) in [-1, 1]. detail: uint8 (B, H, W): 0 background, 1 an object or
    a head, 2 eyes and mouth. landmarks: float32 (B, 68, 2) in pixels, NaN for scenes.
    """

    images: Tensor
    detail: Tensor
    captions: list[str]
    landmarks: Tensor


class Source(Protocol):
    """Anything that training pictures can be drawn from."""

    def draw(self, count: int, draw: Draw) -> Pictures: ...


def render_missing(
    cache: Path, kind: str, count: int, size: int, *, first: int = TRAINING, processes: int = 1
) -> None:
    """Render those of `count` pictures that the cache lacks, whole shards at a time.

    Raises:
        InvalidSetting: the cache was made by another renderer.
    """
    folder = cache / f"{kind}-{size}"
    jobs = [(seed, min(SHARD, first + count - seed)) for seed in range(first, first + count, SHARD)]
    missing = [job for job in jobs if _held(folder / str(job[0])) < job[1]]
    if (folder / str(first)).exists():
        _require_current(folder, kind, size, first)
    work = partial(_render_shard, folder, kind, size)
    if processes == 1 or len(missing) < 2:
        for job in missing:
            work(job)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), end_with_parent) as pool:
        list(pool.map(work, missing))


def _held(shard: Path) -> int:
    """How many pictures a shard holds; 0 where there is none."""
    file = shard / "images.npy"
    return len(np.load(file, mmap_mode="r")) if file.is_file() else 0


def _require_current(folder: Path, kind: str, size: int, seed: int) -> None:
    """Compare the first picture of a shard with what is rendered now, up to rounding."""
    kept = np.load(folder / str(seed) / "images.npy", mmap_mode="r")[0].astype(np.int16)
    now = rendered(kind, [seed], size).images[0].permute(1, 2, 0).numpy()
    if np.abs(kept - now).mean() > 1:
        raise InvalidSetting(
            f"{folder} holds pictures that are rendered differently now; remove that folder, or "
            "give another one."
        )


def _render_shard(folder: Path, kind: str, size: int, job: tuple[int, int]) -> None:
    """Render the seeds (first, count) into a new shard."""
    torch.set_num_threads(1)
    first, count = job
    parts = [
        rendered(kind, range(start, min(start + RENDERED_AT_ONCE, first + count)), size)
        for start in range(first, first + count, RENDERED_AT_ONCE)
    ]
    labels = {
        "captions": [text for part in parts for text in part.captions],
        "landmarks": [_listed(points) for part in parts for points in part.landmarks],
    }
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".part-", dir=folder))
    images = torch.cat([part.images for part in parts]).permute(0, 2, 3, 1)
    np.save(unfinished / "images.npy", images.contiguous().numpy())
    np.save(unfinished / "detail.npy", torch.cat([part.detail for part in parts]).numpy())
    (unfinished / "labels.json").write_text(json.dumps(labels))
    shard = folder / str(first)
    if _held(shard) < count:
        shutil.rmtree(shard, ignore_errors=True)
    try:
        os.replace(unfinished, shard)
    except OSError:  # another process has put the same shard there first
        shutil.rmtree(unfinished)


def _listed(points: np.ndarray) -> list[list[float]] | None:
    """Landmarks as JSON holds them: null for a scene."""
    return None if np.isnan(points).any() else points.tolist()


class Rendered(NamedTuple):
    """Worlds of one kind: images (n, 3, H, W) and detail (n, H, W), uint8 and on the device.

    landmarks: (n, 68, 2) in pixels, NaN for scenes.
    """

    images: Tensor
    detail: Tensor
    captions: list[str]
    landmarks: np.ndarray


def rendered(
    kind: str, seeds: Iterable[int], size: int, device: torch.device | str = "cpu"
) -> Rendered:
    """The scenes or faces of these seeds, drawn together on a device."""
    if kind == "scene":
        scenes = render_scenes([random_scene(seed) for seed in seeds], size, device)
        nowhere = np.full((len(scenes.captions), 68, 2), np.nan)
        return Rendered(_bytes(scenes.image), (scenes.ids > 0).byte(), scenes.captions, nowhere)
    faces = render_faces([random_face(seed) for seed in seeds], size, device)
    detail = (faces.parts["face"] | faces.parts["hair"]).byte()
    for name in FINE_PARTS:
        detail.masked_fill_(faces.parts[name], 2)
    return Rendered(_bytes(faces.image), detail, faces.captions, faces.landmarks)


def _bytes(images: Tensor) -> Tensor:
    """Pictures with values in [0, 1] as uint8, on their device."""
    return (images * 255).round().byte()


class CachedWorlds:
    """The pictures of a cache, scenes and faces in one list; shards are mapped, not read."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Raises FileNotFoundError when there is not one shard."""
        self.shards = list(folders)
        if not self.shards:
            raise FileNotFoundError("The cache holds no pictures; render some first.")
        self._images = [np.load(shard / "images.npy", mmap_mode="r") for shard in self.shards]
        self._detail = [np.load(shard / "detail.npy", mmap_mode="r") for shard in self.shards]
        labels = [json.loads((shard / "labels.json").read_text()) for shard in self.shards]
        self.captions: list[str] = [text for one in labels for text in one["captions"]]
        self._landmarks = [points for one in labels for points in one["landmarks"]]
        self._where = [(s, i) for s, images in enumerate(self._images) for i in range(len(images))]

    @classmethod
    def open(
        cls,
        cache: Path,
        size: int,
        *,
        kinds: Sequence[str] = KINDS,
        first: int = TRAINING,
        count: int | None = None,
    ) -> CachedWorlds:
        """The shards of these kinds that begin with seed `first` or with one of `count` from it."""
        last = first + (VALIDATION - TRAINING if count is None else count)
        found = [
            shard
            for kind in kinds
            for shard in sorted((cache / f"{kind}-{size}").glob("[0-9]*"), key=_seed)
            if first <= _seed(shard) < last
        ]
        return cls(found)

    def __len__(self) -> int:
        return len(self._where)

    def take(self, indices: Sequence[int]) -> Pictures:
        """The pictures at these places of the list."""
        where = [self._where[index] for index in indices]
        nowhere = np.full((68, 2), np.nan)
        points = [self._landmarks[index] or nowhere for index in indices]
        return Pictures(
            images=to_signed(np.stack([self._images[shard][i] for shard, i in where])),
            detail=torch.from_numpy(np.stack([self._detail[shard][i] for shard, i in where])),
            captions=[self.captions[index] for index in indices],
            landmarks=torch.tensor(np.array(points), dtype=torch.float32),
        )

    def draw(self, count: int, draw: Draw) -> Pictures:
        """Pictures drawn with replacement."""
        return self.take(draw.rng.integers(len(self), size=count).tolist())

    def batches(self, count: int) -> Iterator[Pictures]:
        """All pictures in their order, `count` at a time."""
        for start in range(0, len(self), count):
            yield self.take(range(start, min(start + count, len(self))))


def to_signed(images: np.ndarray) -> Tensor:
    """float32 (B, 3, H, W) in [-1, 1] of uint8 (B, H, W, 3)."""
    return signed(torch.from_numpy(images).permute(0, 3, 1, 2))


def signed(images: Tensor) -> Tensor:
    """uint8 pictures as float32 in [-1, 1], on their device."""
    return images.float() / 127.5 - 1


def _seed(shard: Path) -> int:
    return int(shard.name)
