"""All ways of making one edit: the release's pattern, less and less of it, and the Editor's."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.arithmetic import Cost
from benchmarks.passes import Passes
from benchmarks.peak import PeakMemory
from benchmarks.release_pattern import ReleasePattern, Waste, ever_less
from diffeditor import Editor, Preset
from diffeditor.backbones import StableDiffusion
from diffeditor.composite import composite
from diffeditor.geometry import Box, working_size
from diffeditor.images import to_image
from diffeditor.tasks import Task

SAME_PICTURE = 1e-2
"""Largest difference between equal pictures, of the full scale."""
SEED = 0


@dataclass(frozen=True)
class Edited:
    """An edit that was made: its picture, and its passes by kind."""

    picture: Image.Image
    passes: Mapping[str, int]


@dataclass
class Way:
    """One way of making the edit, and what was measured of it, one value a round.

    prepare: gets ready, untimed, and returns what makes the edit.
    processor: seconds that this process computed for; they leave out what others took.
    difference: of the picture from the release's pattern's, 1 is the full scale.
    """

    name: str
    dtype: str
    device: torch.device
    prepare: Callable[[], Callable[[], Edited]] = field(repr=False)
    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    peak: list[int] = field(default_factory=list)
    edited: Edited | None = field(default=None, repr=False)
    difference: float = 0.0
    operations: int = 0

    def measure(self) -> None:
        """Make the edit once more and note what it took."""
        with PeakMemory(self.device) as memory:
            edit = self.prepare()
            began, computed = time.perf_counter(), time.process_time()
            self.edited = edit()
            self.seconds.append(time.perf_counter() - began)
            self.processor.append(time.process_time() - computed)
        self.peak.append(memory.bytes)

    @property
    def picture(self) -> Image.Image:
        assert self.edited is not None
        return self.edited.picture

    @property
    def passes(self) -> Mapping[str, int]:
        assert self.edited is not None
        return self.edited.passes

    def effort(self) -> float:
        """Median seconds; on the CPU those of computing, as others may be at work there."""
        on_cpu = self.device.type == "cpu"
        return median(self.processor if on_cpu else self.seconds)

    def as_json(self) -> dict[str, Any]:
        kept = ("name", "dtype", "seconds", "processor", "peak", "difference", "operations")
        return {key: getattr(self, key) for key in kept} | {"passes": dict(self.passes)}


class Comparison:
    """All ways of making one edit with one model."""

    def __init__(
        self,
        models: Mapping[str, StableDiffusion],
        task: Task,
        preset: Preset,
        *,
        only_ends: bool = False,
    ) -> None:
        """models: the same one by dtype; the first is the release's pattern's too."""
        self._task, self._preset = task, preset
        self.model = next(iter(models.values()))
        first = next(iter(models))
        wastes = list(ever_less())[: 1 if only_ends else None]
        self.pattern = [
            Way(name, first, self.model.device, self._pattern(waste)) for name, waste in wastes
        ]
        self.ours = [way for dtype, model in models.items() for way in self._ours(dtype, model)]

    def run(self, repeat: int, say: Callable[[str], None] = print) -> None:
        """Measure every way `repeat` times.

        A machine's speed drifts: every other round goes backwards. Several rounds come after an
        edit of each dtype that is not timed, which pays for the first calls; in a single round
        ours are first, so that this cost is ours.
        """
        ways = (*self.ours, *self.pattern)
        for first in self.ours[::2] if repeat > 1 else ():
            first.prepare()()
        for done in range(repeat):
            for way in reversed(ways) if done % 2 else ways:
                way.measure()
                took, computed, peak = way.seconds[-1], way.processor[-1], way.peak[-1] / 1e9
                say(
                    f"round {done + 1}, {way.name}, {way.dtype}: {took:.2f} s, of it computing "
                    f"{computed:.2f} s, {peak:.2f} GB"
                )
        cost, release = self.cost(), self.pattern[0].picture
        for way in ways:
            way.difference = difference(way.picture, release)
            way.operations = cost.total(way.passes)

    def cost(self) -> Cost:
        """Of one latent of this edit."""
        model = self.model
        size = working_size(self._task.size, self._side, model.multiple)
        return Cost.of(model, size.divided(model.latent_factor), model.embed_text([""]).shape[1])

    @property
    def _side(self) -> int:
        return self._preset.resolution or self.model.native_size

    def differing(self) -> list[Way]:
        """The ways of the first dtype whose picture is not the release's."""
        same = [w for w in (*self.pattern, *self.ours) if w.dtype == self.pattern[0].dtype]
        return [way for way in same if not way.difference <= SAME_PICTURE]

    def _pattern(self, waste: Waste) -> Callable[[], Callable[[], Edited]]:
        def prepare() -> Callable[[], Edited]:
            pattern = ReleasePattern(self.model, self._preset, waste)

            def edit() -> Edited:
                picture = to_image(pattern.edit(self._task, SEED))
                return Edited(self._laid_in(picture), pattern.passes)

            if not waste.inversion_each_edit:
                edit()
            return edit

        return prepare

    def _laid_in(self, picture: Image.Image) -> Image.Image:
        """The picture in the source, as the Editor lays its own in."""
        result = self._laid
        return composite(self._task.source, picture, self._task.region(), *result)

    def _ours(self, dtype: str, model: StableDiffusion) -> list[Way]:
        editor = Editor(model)

        def edit() -> Edited:
            with Passes([model.unet]) as passes:
                for step in editor.stream(self._task, self._preset, SEED):
                    passes.close(step.phase)
                    result = step.result
            assert result is not None
            self._laid = (result.metadata["feather"], Box(*result.metadata["crop"]))
            return Edited(result.image, passes.counts())

        def first() -> Callable[[], Edited]:
            editor.clear_cache()
            return edit

        return [
            Way("ours, first edit", dtype, model.device, first),
            Way("ours, repeated edit", dtype, model.device, lambda: edit),
        ]


def difference(one: Image.Image, other: Image.Image) -> float:
    """The largest difference of two pictures, of the full scale."""
    a, b = (np.asarray(p, np.float32) for p in (one, other))
    return float(np.abs(a - b).max()) / 255
