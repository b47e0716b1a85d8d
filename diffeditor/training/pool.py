"""Pictures rendered on the device while the model trains on others, for an accelerator.

The worlds are an endless list of blocks, each a function of (seed, process, number). A call of the
objective draws from a window of that list, which moves on by a block every few calls: so the device
holds what it learns from, no picture stays for long, and a run that goes on at any call sees the
window that it would have seen.

A fresh picture for every place of every batch would leave the device idle: on one core the specs,
captions and outlines of a picture take 0.65 ms of Python, and the renderers read values on the way.
So a thread makes the next block on a lane of its own, beside the training, encodes its latents
where they are wanted, and each picture is drawn several times. Training waits for that thread only
where it draws faster than the thread renders.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from diffeditor.device import Lane, to_device
from diffeditor.training.config import PoolConfig
from diffeditor.training.data import KINDS, TRAINING, VALIDATION, Pictures, rendered, signed
from diffeditor.training.draw import Draw
from diffeditor.training.latents import Encode

Block = tuple[dict[str, Tensor], list[str]]
"""Rows of tensors by name, on the device, and the captions of the rows."""

WORLDS = 2
"""Sets the random numbers of a block apart from those of a call."""


class Pool:
    """Worlds of some kinds to draw from, with their detail and landmarks."""

    def __init__(
        self,
        config: PoolConfig,
        side: int,
        device: torch.device,
        *,
        kinds: Sequence[str] = KINDS,
        seed: int = 0,
        process: int = 0,
        encode: Encode | None = None,
    ) -> None:
        """side: of the pictures, in pixels. encode: also keep latents, made by this."""
        self.config, self.side, self.device, self.kinds = config, side, device, tuple(kinds)
        self.seed, self.process, self.encode = seed, process, encode
        self._captions: list[str] = [""] * (config.blocks * config.block)
        self._rows: dict[str, Tensor] = {}
        self._end = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="worlds")
        self._coming: dict[int, Future[Block]] = {}
        self._lane: Lane | None = None

    def draw(self, count: int, draw: Draw) -> Pictures:
        """Pictures of the window at this call, none twice where there are enough."""
        return _pictures(*self.rows(count, draw))

    def rows(self, count: int, draw: Draw) -> Block:
        """All that is held of pictures drawn from the window at this call."""
        self._move_to(draw.call // self.config.every)
        held = len(self._captions)
        index = draw.rng.choice(held, count, replace=count > held)
        where = to_device(torch.from_numpy(index), self.device)
        rows = {name: kept[where] for name, kept in self._rows.items()}
        return rows, [self._captions[i] for i in index.tolist()]

    def _move_to(self, first: int) -> None:
        """Let the window hold the blocks from `first` on, and order the one after it."""
        if self._lane is None:  # not before the first draw: `encode` may be moved until then
            self._lane = Lane(self.device)
        end = first + self.config.blocks
        if self._end > end:  # an earlier call than the last one
            self._end = 0
        for number in range(max(first, self._end), end):
            self._take(number)
        self._end = end
        self._order(end)

    def _order(self, number: int) -> None:
        assert self._lane is not None
        if number not in self._coming:
            lane = self._lane
            make = self._thread.submit(lane.run, lambda: self._block(number))
            self._coming = {number: make}

    def _take(self, number: int) -> None:
        """Put a block in the place of the oldest."""
        self._order(number)
        made, captions = self._coming.pop(number).result()
        assert self._lane is not None
        self._lane.hand_over(list(made.values()))
        start = number % self.config.blocks * self.config.block
        for name, rows in made.items():
            if name not in self._rows:
                self._rows[name] = rows.new_empty(len(self._captions), *rows.shape[1:])
            self._rows[name][start : start + len(rows)] = rows
        self._captions[start : start + len(captions)] = captions

    @torch.no_grad()
    def _block(self, number: int) -> Block:
        """The worlds of a block, equal shares of the kinds, and their latents."""
        rng = np.random.default_rng((self.seed, self.process, number, WORLDS))
        shares = np.array_split(
            rng.integers(TRAINING, VALIDATION, self.config.block), len(self.kinds)
        )
        parts = [
            rendered(kind, seeds.tolist(), self.side, self.device)
            for kind, seeds in zip(self.kinds, shares, strict=True)
        ]
        points = torch.from_numpy(np.concatenate([part.landmarks for part in parts])).float()
        rows = {
            "images": torch.cat([part.images for part in parts]),
            "detail": torch.cat([part.detail for part in parts]),
            "landmarks": to_device(points, self.device),
        }
        if self.encode is not None:
            rows["latents"] = self.encode(signed(rows["images"])).half()
        return rows, [text for part in parts for text in part.captions]


class LatentPool:
    """The latents of a pool that encodes its pictures."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def draw(self, count: int, draw: Draw) -> tuple[Tensor, Pictures]:
        """Latents z_0 (B, 4, h, w), float32, and their pictures."""
        rows, captions = self.pool.rows(count, draw)
        return rows["latents"].float(), _pictures(rows, captions)


def _pictures(rows: dict[str, Tensor], captions: list[str]) -> Pictures:
    return Pictures(
        images=signed(rows["images"]),
        detail=rows["detail"],
        captions=captions,
        landmarks=rows["landmarks"],
    )
