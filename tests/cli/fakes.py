"""An editor with the real interface that copies instead of editing, and commands for it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffeditor.cli import main
from diffeditor.config import Preset
from diffeditor.recipe import Recipe
from diffeditor.result import Result, Step
from diffeditor.tasks import Task

HEIGHT, WIDTH = 40, 48
PHASES = ("prepare", "invert", "sample", "decode")


@dataclass
class CopyingEditor:
    """Remembers what it is asked for; the result is the source picture."""

    asked: list[tuple[Task, Preset, int]] = field(default_factory=list)
    loaded: list[tuple[str, str]] = field(default_factory=list)
    parts: list[dict[str, Any]] = field(default_factory=list)
    warnings: tuple[str, ...] = ()
    vae: str | None = None
    loras: tuple[str, ...] = ()
    raised: BaseException | None = None
    closed: bool = False

    def load(self, model: str = "embedded", device: str = "auto", **parts: Any) -> "CopyingEditor":
        self.loaded.append((model, device))
        self.parts.append(parts)
        return self

    def stream(self, task: Task, preset: Preset, seed: int) -> Iterator[Step]:
        self.asked.append((task, preset, seed))
        result = Result(
            image=task.source,
            metadata={"warnings": list(self.warnings)},
            recipe=Recipe.from_task(
                task,
                preset,
                seed,
                self.loaded[-1][0],
                vae=self.parts[-1].get("vae"),
                loras=self.parts[-1].get("loras", ()),
            ),
        )
        try:
            for index, phase in enumerate(PHASES):
                if index == 2 and self.raised is not None:
                    raise self.raised
                last = result if phase == PHASES[-1] else None
                yield Step(
                    index=index + 1, total=len(PHASES), phase=phase, message="Busy", result=last
                )
        finally:
            self.closed = True

    def close(self) -> None:
        self.closed = True


MOVE = "move --image photo.png --mask mask.png --shift 4 0"
DRAG = "drag --image photo.png --mask mask.png --point 14 12 20 12"
PASTE = "paste --image photo.png --reference other.png --reference-mask mask.png --shift -3 1"
FACE = "face --image photo.png --target-landmarks landmarks.npy"
APPEARANCE = (
    "appearance --image photo.png --mask mask.png --reference other.png --reference-mask mask.png"
)


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def failing(arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence that a command refuses its input with."""
    assert main(arguments.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    line = re.fullmatch(r"diffeditor: error: (.+\.)\n", printed.err)
    assert line, printed.err
    return line[1]
