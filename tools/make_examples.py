"""Makes the examples of the page, in assets/examples: python tools/make_examples.py.

Each is a case of a drawn world: pictures and masks as PNG files, and a JSON file that says what
is on the page (see `ui.examples`). The same seeds give the same files.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from diffeditor.worlds import Case, make_case
from ui.canvas.value import Place
from ui.examples import Example

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "examples"
SIDE = 128
"""Pixels: what the embedded model edits best."""
THUMB = 144
"""Pixels of a thumbnail's height."""
DRAWN = 720
"""Pixels at which a thumbnail is drawn, so that its lines are fine."""
REGION_COLOUR, ARROW_COLOUR = (255, 220, 0), (0, 110, 255)
SEEDS = {
    "drag": (1, 10, 14),
    "move": (5, 6, 2),
    "paste": (1, 2, 4),
    "appearance": (2, 7, 1),
    "face": (5, 3, 4),
}
"""Cases that the embedded model edits so that one sees what the task is about."""


def main() -> None:
    """Writes every example anew."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*-*.*"):
        old.unlink()
    for tool, seeds in SEEDS.items():
        for number, seed in enumerate(seeds, 1):
            write(f"{tool}-{number}", make_case(tool, seed, SIDE))


def write(name: str, case: Case) -> None:
    """Writes one example: its JSON file, its pictures and its thumbnail.

    A face takes the shape of the portrait with the edit made.
    """
    task: Any = case.task
    faces = task.name == "face"
    pictures = {
        "image": task.source,
        "thumb": thumbnail(case),
        "mask": getattr(task, "mask", None),
        "reference": Image.fromarray(case.truth) if faces else getattr(task, "reference", None),
        "reference_mask": getattr(task, "reference_mask", None),
    }
    files = {part: f"{name}-{part}.png" for part, one in pictures.items() if one is not None}
    for part, file in files.items():
        picture = pictures[part]
        if isinstance(picture, np.ndarray):
            picture = Image.fromarray(picture)
        picture.save(FOLDER / file, optimize=True)
    example = Example(tool=task.name, prompt=task.prompt, controls=controls_of(task), **files)
    text = json.dumps(asdict(example), indent=2) + "\n"
    (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")


def controls_of(task: Any) -> dict[str, Any]:
    """The fields of the task that the example holds beside its pictures."""
    controls: dict[str, Any] = {}
    if hasattr(task, "points"):
        controls["points"] = [[round(v, 1) for v in (*a, *b)] for a, b in task.points]
    if hasattr(task, "shift"):
        controls |= {"dx": task.shift[0], "dy": task.shift[1], "scale": round(task.scale, 2)}
    if hasattr(task, "fill_mask"):
        controls["fill_mask"] = None
    if hasattr(task, "groups"):
        controls["groups"] = list(task.groups)
    if hasattr(task, "reference_prompt"):
        controls["reference_prompt"] = task.reference_prompt
    return controls


def thumbnail(case: Case) -> Image.Image:
    """The picture with its marks as lines, and the second one beside it."""
    task: Any = case.task
    if task.name == "face":
        shown = [drawn(task.source), drawn(Image.fromarray(case.truth))]
    else:
        region = task.mask if task.name == "appearance" else task.region()
        shown = [drawn(task.source, region, arrows_of(task))]
        if hasattr(task, "reference"):
            shown.append(drawn(task.reference, task.reference_mask))
    strip = Image.fromarray(np.hstack(shown))
    return strip.resize((THUMB * len(shown), THUMB), Image.Resampling.LANCZOS)


def arrows_of(task: Any) -> list[tuple[Place, Place]]:
    """Where the points of a drag go, or the middle of a moved object."""
    if task.name == "drag":
        return list(task.points)
    return [((a.x, a.y), (b.x, b.y)) for a, b in task.targets()] if task.name == "move" else []


def drawn(
    picture: Image.Image,
    region: np.ndarray | None = None,
    arrows: Sequence[tuple[Place, Place]] = (),
) -> np.ndarray:
    """The picture enlarged to `DRAWN` pixels, with a region outlined, and arrows."""
    pixels = np.array(picture.resize((DRAWN, DRAWN), Image.Resampling.BILINEAR))
    if region is not None:
        inside = cv2.resize(
            region.astype(np.uint8), (DRAWN, DRAWN), interpolation=cv2.INTER_NEAREST
        )
        outline, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(pixels, outline, -1, REGION_COLOUR, 2, cv2.LINE_AA)
    for arrow in arrows:
        draw_arrow(pixels, *np.rint(np.array(arrow) * DRAWN / SIDE).astype(int).tolist())
    return pixels


def draw_arrow(pixels: np.ndarray, start: Sequence[int], end: Sequence[int]) -> None:
    """A line with a white rim from a dot to a tip."""
    tip = min(0.4, 16 / max(1.0, float(np.hypot(end[0] - start[0], end[1] - start[1]))))
    for colour, width, radius in (((255, 255, 255), 7, 8), (ARROW_COLOUR, 3, 6)):
        cv2.arrowedLine(pixels, start, end, colour, width, cv2.LINE_AA, tipLength=tip)
        cv2.circle(pixels, start, radius, colour, -1, cv2.LINE_AA)


if __name__ == "__main__":
    main()
