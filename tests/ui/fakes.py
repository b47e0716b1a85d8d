"""An editor that edits nothing but has the real one's interface, for tests of the page."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from diffeditor import PRESETS, Preset, Recipe, Result, Step, fit_template
from diffeditor.errors import Cancelled

PAINT = (30, 200, 90)
"""The colour of the region in the result."""


@dataclass(kw_only=True)
class FakeEditor:
    """Inverts and samples `steps` times, `pause` seconds each, or raises `error`.

    `runs` holds what it was asked for; `closed` counts runs that ended or were given up.
    """

    steps: int = 3
    pause: float = 0.0
    error: Exception | None = None
    model_name: str = "fake"
    vae: str | None = None
    loras: tuple[str, ...] = ()
    native_size: int = 128
    runs: list[tuple[Any, Preset, int]] = field(default_factory=list)
    closed: int = 0

    def find_landmarks(self, portrait: Image.Image) -> np.ndarray:
        """A face that fills the middle of the portrait."""
        width, height = portrait.size
        eyes, mouth = ((0.35, 0.4), (0.65, 0.4)), (0.5, 0.7)
        return fit_template(*((width * x, height * y) for x, y in (*eyes, mouth)))

    def edit(self, task: Any, preset: str | Preset = "diffeditor", seed: int = 0) -> Result:
        return list(self.stream(task, preset, seed))[-1].result

    def stream(
        self,
        task: Any,
        preset: str | Preset = "diffeditor",
        seed: int = 0,
        *,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[Step]:
        settings = PRESETS[preset] if isinstance(preset, str) else preset
        self.runs.append((task, settings, seed))
        total = 2 * self.steps + 1
        try:
            for index in range(1, total):
                time.sleep(self.pause)
                if stopped():
                    raise Cancelled("Stopped.")
                if self.error is not None:
                    raise self.error
                yield self._step(task, index, total)
            yield self._last(task, settings, seed, total)
        finally:
            self.closed += 1

    def _step(self, task: Any, index: int, total: int) -> Step:
        if index <= self.steps:
            message = f"Inverting {index}/{self.steps}"
            return Step(index=index, total=total, phase="invert", message=message)
        return Step(
            index=index,
            total=total,
            phase="sample",
            message=f"Editing {index - self.steps}/{self.steps}",
            _preview=lambda: task.source,
        )

    def _last(self, task: Any, preset: Preset, seed: int, total: int) -> Step:
        pixels = np.array(task.source)
        pixels[: pixels.shape[0] // 2] = PAINT
        result = Result(
            image=Image.fromarray(pixels),
            metadata={
                "task": task.name,
                "seed": seed,
                "seconds": {"sample": 1.5, "total": 2.25},
                "reached": [0.86],
                "warnings": [],
            },
            recipe=Recipe.from_task(task, preset, seed, self.model_name),
        )
        return Step(index=total, total=total, phase="decode", message="Done", result=result)
