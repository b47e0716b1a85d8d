"""Makes the examples of the page, in assets/examples: python tools/make_examples.py.

Each is a case of a drawn world: pictures and masks as PNG files, and a JSON file that says which
control holds what (see `ui.examples`). The same seeds give the same files.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from diffeditor.worlds import Case, make_case
from ui import overlay
from ui.examples import Example
from ui.state import Canvas, Page
from ui.tabs import TOOLS

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "examples"
SIDE = 128
"""Pixels: what the embedded model edits best."""
THUMB = 144
"""Pixels of a thumbnail's height."""
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
    """Writes one example: its JSON file, its pictures and its thumbnail."""
    page = page_of(case)
    pictures = {"image": page.source.image, "thumb": thumbnail(case.task.name, page)}
    if page.source.mask.any():
        pictures["mask"] = Image.fromarray(page.source.mask)
    if page.reference is not None:
        pictures["reference"] = page.reference.image
        if page.reference.mask.any():
            pictures["reference_mask"] = Image.fromarray(page.reference.mask)
    for part, picture in pictures.items():
        picture.save(FOLDER / f"{name}-{part}.png", optimize=True)
    example = Example(
        tool=case.task.name,
        prompt=page.prompt,
        controls=dict(page.controls),
        **{part: f"{name}-{part}.png" for part in pictures},
    )
    text = json.dumps(asdict(example), indent=2) + "\n"
    (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")


def page_of(case: Case) -> Page:
    """What the page holds when a user asks for the case.

    A face takes the shape of the portrait with the edit made.
    """
    task: Any = case.task
    reference = getattr(task, "reference", None)
    if task.name == "face":
        reference = Image.fromarray(case.truth)
    return Page(
        source=canvas(task.source, getattr(task, "mask", None)),
        reference=reference and canvas(reference, getattr(task, "reference_mask", None)),
        prompt=task.prompt,
        controls=controls_of(task),
    )


def canvas(image: Image.Image, mask: np.ndarray | None) -> Canvas:
    """A picture with its mask, or with nothing marked."""
    empty = np.zeros((image.height, image.width), np.bool_)
    return Canvas(image=image, mask=empty if mask is None else mask)


def controls_of(task: Any) -> dict[str, Any]:
    """The values of the tab's own controls."""
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


def thumbnail(name: str, page: Page) -> Image.Image:
    """The picture with its marks as lines, and the second one beside it."""
    tool = TOOLS[name]
    arrows = tool.arrows(page) if tool.arrows else []
    region = tool.task(page).region() if tool.click else page.source.mask
    shown = [overlay.draw(canvas(page.source.image, None), region, arrows)]
    if page.reference is not None:
        shown.append(overlay.draw(canvas(page.reference.image, None), page.reference.mask))
    strip = Image.fromarray(np.hstack(shown))
    return strip.resize((THUMB * len(shown), THUMB), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
