"""Pictures with captions from the tar files that img2dataset writes in its webdataset format.

    00000.tar:  <key>.jpg | .jpeg | .png | .webp    the picture
                <key>.txt                           its caption, or
                <key>.json                          {"caption": ..., ...}

Samples are drawn with replacement, each place by its shard's size in bytes, so that what a step
sees depends on its random numbers alone and a run can go on anywhere. A shard is indexed when it is
first drawn from; then every sample is one seek and one read.
"""

from __future__ import annotations

import json
import logging
import os
import re
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from glob import glob
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from diffeditor.errors import InvalidImage, InvalidSetting
from diffeditor.geometry import Size
from diffeditor.images import load_image, resize_image
from diffeditor.training.data import Pictures, to_signed
from diffeditor.training.draw import Draw

PICTURE_ENDINGS = ("jpg", "jpeg", "png", "webp")
TEXT_ENDING, FACTS_ENDING = "txt", "json"

HELD_OUT = 64
"""Samples at the start of the first shard that are never drawn, to judge by; at most half of it."""

TRIES = 20
"""How often the missing samples of a batch are drawn again before the shards are given up."""

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")

log = logging.getLogger(__name__)


def find_shards(data: str) -> list[Path]:
    """The tar files that a folder, a file, a glob or a range `{00000..00099}` names, in order.

    Raises:
        InvalidSetting: there is none, or one of a range is missing.
    """
    wanted = [Path(path).expanduser() for path in _expanded(data)]
    if len(wanted) != 1:
        found = wanted
    elif wanted[0].is_dir():
        found = sorted(wanted[0].glob("*.tar"))
    else:
        found = [Path(path) for path in sorted(glob(str(wanted[0])))]
    missing = [path for path in found if not path.is_file()]
    if missing or not found:
        raise InvalidSetting(
            f"There is no shard {missing[0] if missing else data!r}; give a folder of .tar files, "
            "a glob, or a range like shards/{00000..00099}.tar."
        )
    return found


def _expanded(text: str) -> Iterator[str]:
    """The texts that ranges in braces stand for; leading zeros are kept."""
    range_ = _RANGE.search(text)
    if range_ is None:
        yield text
        return
    first, last = range_.groups()
    for number in range(int(first), int(last) + 1):
        middle = str(number).zfill(len(first))
        yield from _expanded(text[: range_.start()] + middle + text[range_.end() :])


class Span(NamedTuple):
    """Where in a tar file the bytes of a member are."""

    start: int
    length: int


class Sample(NamedTuple):
    """A picture and its caption in one file."""

    picture: Image.Image
    caption: str


class Shard:
    """One tar file and the places of its samples."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _index(self) -> np.ndarray:
        """Rows (picture start, length, words start, length, whether the words are JSON), int64."""
        members: dict[str, dict[str, Span]] = defaultdict(dict)
        try:
            with tarfile.open(self.path, "r:") as tar:
                for member in tar:
                    if member.isfile():
                        key, _, ending = member.name.rpartition(".")
                        members[key][ending.lower()] = Span(member.offset_data, member.size)
        except (tarfile.TarError, OSError) as error:
            log.warning("%s is damaged (%s); what comes before is used", self.path, error)
        rows = [row for spans in members.values() if (row := _row(spans)) is not None]
        return np.array(rows, np.int64).reshape(-1, 5)

    def __len__(self) -> int:
        return len(self._index)

    def read(self, place: int, side: int) -> Sample | None:
        """The sample at a place, its picture a centred square; None if it is corrupt."""
        at, length, words_at, words_length, is_json = self._index[place].tolist()
        try:
            with self.path.open("rb") as file:
                file.seek(at)
                picture = load_image(file.read(length))
                file.seek(words_at)
                words = file.read(words_length).decode("utf-8")
            caption = json.loads(words)["caption"] if is_json else words
        except (InvalidImage, OSError, ValueError, KeyError, TypeError):
            return None
        return Sample(centred_square(picture, side), str(caption or "").strip())


def _row(spans: dict[str, Span]) -> tuple[int, ...] | None:
    """A row of a shard's index, or None where picture or caption is missing."""
    picture = next((spans[ending] for ending in PICTURE_ENDINGS if ending in spans), None)
    words = spans.get(TEXT_ENDING, spans.get(FACTS_ENDING))
    if picture is None or words is None:
        return None
    return (*picture, *words, int(TEXT_ENDING not in spans))


def centred_square(picture: Image.Image, side: int) -> Image.Image:
    """The largest square in the middle of a picture, resized."""
    edge = min(picture.size)
    left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
    return resize_image(picture.crop((left, top, left + edge, top + edge)), Size(side, side))


class ShardPictures:
    """Training pictures drawn from shards."""

    def __init__(self, paths: Sequence[Path], side: int) -> None:
        """side: pixels of the squares."""
        self.shards, self.side = [Shard(path) for path in paths], side
        self.skipped = 0
        self._ends = np.cumsum([path.stat().st_size for path in paths], dtype=np.float64)
        self._readers = ThreadPoolExecutor(os.cpu_count())

    @cached_property
    def _held_out(self) -> int:
        return min(HELD_OUT, len(self.shards[0]) // 2)

    def draw(self, count: int, draw: Draw) -> Pictures:
        """Pictures drawn with replacement; corrupt ones are skipped, counted and drawn again.

        Raises:
            InvalidSetting: hardly one sample can be read.
        """
        samples: list[Sample] = []
        for _ in range(TRIES):
            drawn = [self._place(draw.rng) for _ in range(count - len(samples))]
            read = [one for one in self._readers.map(self._read, drawn) if one is not None]
            self._note_skipped(len(drawn) - len(read))
            samples += read
            if len(samples) == count:
                return _pictures(samples)
        raise InvalidSetting(
            f"Hardly a sample of {self.shards[0].path.parent} can be read; give shards with "
            "pictures and captions, as img2dataset writes them."
        )

    def held_out(self) -> Pictures:
        """The samples that are never drawn.

        Raises:
            InvalidSetting: none of them can be read.
        """
        read = (self._read((0, place)) for place in range(self._held_out))
        samples = [one for one in read if one is not None]
        if not samples:
            raise InvalidSetting(
                f"The first samples of {self.shards[0].path} cannot be read; give shards with "
                "pictures and captions, as img2dataset writes them."
            )
        return _pictures(samples)

    def _place(self, rng: np.random.Generator) -> tuple[int, int]:
        """A shard and a place in it, -1 where the shard has no sample to learn from."""
        number = int(np.searchsorted(self._ends, rng.random() * self._ends[-1], side="right"))
        first = self._held_out if number == 0 else 0
        last = len(self.shards[number])
        return number, int(rng.integers(first, last)) if first < last else -1

    def _read(self, where: tuple[int, int]) -> Sample | None:
        shard, place = where
        return None if place < 0 else self.shards[shard].read(place, self.side)

    def _note_skipped(self, count: int) -> None:
        """Count corrupt samples, and tell the count in the log each time it doubles."""
        before, self.skipped = self.skipped, self.skipped + count
        if self.skipped.bit_length() > before.bit_length():
            log.warning("%d corrupt samples skipped so far", self.skipped)


def _pictures(samples: Sequence[Sample]) -> Pictures:
    images = to_signed(np.stack([np.asarray(sample.picture) for sample in samples]))
    return Pictures(
        images=images,
        detail=torch.zeros(len(images), *images.shape[-2:], dtype=torch.uint8),
        captions=[sample.caption for sample in samples],
        landmarks=torch.full((len(images), 68, 2), torch.nan),
    )
