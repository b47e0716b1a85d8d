"""Make docs/images/edits.png: edits of the embedded model beside their ground truth.

    python tools/make_edits_sheet.py [--rows 2] [--preset diffeditor] [--out docs/images/edits.png]

Each row is one case of WorldBench: the source with its mask or arrows, the reference where there
is one, the result, the ground truth (the same world rendered with the edit made), and where the
result differs from the source. Cases are taken in order of their seeds, none is left out.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from diffeditor import TASKS, Editor, load_editor
from diffeditor.worlds import Case, make_case

ROOT = Path(__file__).resolve().parents[1]
TILE, GAP, LEFT, TOP = 256, 6, 100, 24
HEADS = ("source and edit", "reference", "result", "ground truth", "changed by the result")
MASK_COLOUR, ARROW_COLOUR = (255, 60, 60), (40, 255, 90)


def row(editor: Editor, case: Case, preset: str) -> list[Image.Image | None]:
    """The pictures of one case, in the order of HEADS."""
    task = case.task
    result = editor.edit(task, preset=preset, seed=0).image
    reference = getattr(task, "reference", None)
    shown = None
    if reference is not None:
        shown = _outlined(reference, getattr(task, "reference_mask", None))
    return [
        drawn(case),
        shown,
        result,
        Image.fromarray(case.truth),
        _difference(task.source, result),
    ]


def drawn(case: Case) -> Image.Image:
    task = case.task
    picture = enlarged(_outlined(task.source, getattr(task, "mask", None)))
    scale = TILE / task.source.width
    canvas = np.array(picture)
    for start, end in task.targets():
        tail, head = ((round(p.x * scale), round(p.y * scale)) for p in (start, end))
        cv2.arrowedLine(canvas, tail, head, ARROW_COLOUR, 1, cv2.LINE_AA, tipLength=0.3)
    return Image.fromarray(canvas)


def _outlined(picture: Image.Image, mask: object) -> Image.Image:
    canvas = np.array(enlarged(picture))
    if isinstance(mask, np.ndarray):
        large = cv2.resize(mask.astype(np.uint8), (TILE, TILE), interpolation=cv2.INTER_NEAREST)
        edges, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, edges, -1, MASK_COLOUR, 1, cv2.LINE_AA)
    return Image.fromarray(canvas)


def _difference(source: Image.Image, result: Image.Image) -> Image.Image:
    change = np.abs(np.asarray(source, np.int16) - np.asarray(result, np.int16)).max(-1)
    return Image.fromarray(np.where(change > 0, 64 + change * 0.75, 0).astype(np.uint8)).convert(
        "RGB"
    )


def enlarged(picture: Image.Image) -> Image.Image:
    return picture.resize((TILE, TILE), Image.Resampling.LANCZOS)


def sheet(rows: list[tuple[str, list[Image.Image | None]]]) -> Image.Image:
    """All rows on one sheet, with a label before each."""
    size = (LEFT + len(HEADS) * (TILE + GAP), TOP + len(rows) * (TILE + GAP))
    canvas = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(canvas)
    for column, head in enumerate(HEADS):
        pen.text((LEFT + column * (TILE + GAP) + 4, 6), head, fill="black")
    for line, (label, pictures) in enumerate(rows):
        top = TOP + line * (TILE + GAP)
        pen.text((6, top + TILE // 2), label, fill="black")
        for column, picture in enumerate(pictures):
            if picture is not None:
                canvas.paste(enlarged(picture), (LEFT + column * (TILE + GAP), top))
    return canvas


def main() -> None:
    parser = argparse.ArgumentParser(description="Edits beside their ground truth.")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--preset", default="diffeditor")
    parser.add_argument("--rows", type=int, default=2, help="cases of each task")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "edits.png")
    args = parser.parse_args()
    editor = load_editor(args.model)
    rows = []
    for name in args.tasks:
        for seed in range(args.first_seed, args.first_seed + args.rows):
            case = make_case(name, seed=seed, size=editor.native_size)
            rows.append((f"{name} {seed}", row(editor, case, args.preset)))
            print(f"{name} {seed}", flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    sheet(rows).save(args.out)


if __name__ == "__main__":
    main()
