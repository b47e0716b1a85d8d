"""Make docs/images/settings-*.png: one edit with several values of a setting, for docs/settings.md.

    python tools/make_settings_sheets.py [FIELD ...] [--preset NAME] [--out docs/images]

A sheet shows the source with its mask or arrows, the results, and the ground truth (the same world
rendered with the edit made). Everything but the one setting is the preset's, and the seed 0. By
default all steps are made and the source's fine detail is left out, so that each setting has its
whole effect and what is seen is the network's.

There is no sheet of `crop`: worlds have no objects that are small enough for one.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from make_edits_sheet import GAP, ROOT, TILE, drawn, enlarged
from PIL import Image, ImageDraw

from diffeditor import PRESETS, Editor, Preset, load_editor
from diffeditor.config import StepWindow
from diffeditor.worlds import Case, make_case

HEAD = 18
BASE = replace(PRESETS["no-sketch"], detail=False)
"""Every setting has all its steps there, and nothing is the source's own."""
PRESET_FIELDS = tuple(item.name for item in fields(Preset))


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One setting with the values that are shown, on one case of WorldBench.

    field: of the preset or of the task, or "seed".
    values: by label.
    times: values are multiples of the strength in force, which depends on task and model.
    """

    field: str
    task: str
    case: int
    values: Mapping[str, Any]
    times: bool = False


def numbers(*values: float) -> dict[str, float]:
    """Values that are their own labels."""
    return {f"{value:g}": value for value in values}


def factors(*values: float) -> dict[str, float]:
    """Multiples of a strength."""
    return {"as it is" if value == 1 else f"times {value:g}": value for value in values}


def guided_until(*stops: float) -> dict[str, tuple[StepWindow, ...]]:
    """The preset's guided steps, cut off or lengthened."""
    return {
        f"until {stop:g}": (
            StepWindow(stop=min(0.2, stop)),
            StepWindow(start=0.2, stop=max(0.2, stop), every=2),
        )
        for stop in stops
    }


def rounds_until(*stops: float) -> dict[str, StepWindow]:
    """The preset's window of time travel, emptied or lengthened."""
    return {f"0.4 to {stop:g}": replace(BASE.travel, stop=stop) for stop in stops}


def noise_until(*stops: float) -> dict[str, StepWindow]:
    """The preset's window of noise, emptied or lengthened."""
    return {f"0.2 to {stop:g}": replace(BASE.sde, stop=stop) for stop in stops}


SHEETS = (
    Sheet(field="steps", task="move", case=12, values=numbers(8, 20, 50)),
    Sheet(field="resolution", task="move", case=12, values=numbers(64, 96, 128, 192)),
    Sheet(field="detail", task="move", case=12, values={"without": False, "with": True}),
    Sheet(field="guidance_scale", task="move", case=12, values=numbers(1, 2, 4, 8)),
    Sheet(field="energy_scale", task="drag", case=1, values=factors(0, 0.5, 1, 4), times=True),
    Sheet(field="gradient_limit", task="face", case=0, values=numbers(0, 0.2, 0.35, 1)),
    Sheet(field="w_edit", task="drag", case=1, values=factors(0.25, 1, 4), times=True),
    Sheet(field="w_content", task="move", case=12, values=factors(0, 1, 4), times=True),
    Sheet(field="w_contrast", task="move", case=12, values=factors(0, 1, 4), times=True),
    Sheet(field="w_inpaint", task="move", case=12, values=factors(0, 1, 4), times=True),
    Sheet(field="eta_in", task="move", case=12, values=numbers(0, 0.2, 0.4, 1)),
    Sheet(field="eta_out", task="move", case=12, values=numbers(0, 0.2, 1)),
    Sheet(field="image_prompt_scale", task="move", case=12, values=numbers(0, 0.1, 0.5, 1)),
    Sheet(field="guide", task="drag", case=1, values=guided_until(0.1, 0.3, 0.6, 1)),
    Sheet(field="sde", task="move", case=12, values=noise_until(0.2, 0.4, 0.8)),
    Sheet(field="travel", task="drag", case=1, values=rounds_until(0.4, 0.6, 0.9)),
    Sheet(field="travel_rounds", task="drag", case=1, values=numbers(1, 3, 6)),
    Sheet(
        field="regional_guidance", task="move", case=12, values={"by region": True, "sum": False}
    ),
    Sheet(field="sketch_until", task="move", case=12, values=numbers(0, 0.2, 0.4, 0.7)),
    Sheet(field="bank_from", task="move", case=12, values=numbers(0, 0.1, 0.5, 1)),
    Sheet(field="bank_until", task="paste", case=1, values=numbers(0, 0.3, 0.7, 1)),
    Sheet(field="seed", task="move", case=12, values=numbers(0, 1, 2, 3)),
    Sheet(field="strength", task="face", case=0, values=numbers(0, 0.5, 1, 1.5)),
)


def make(editor: Editor, sheet: Sheet, preset: Preset = BASE) -> Image.Image:
    """The sheet of one setting, with the preset's values of all others."""
    case = make_case(sheet.task, seed=sheet.case, size=editor.native_size)
    results = {
        label: _edited(editor, case, sheet, preset, value) for label, value in sheet.values.items()
    }
    tiles = {"source and edit": drawn(case), **results, "ground truth": Image.fromarray(case.truth)}
    return _row(list(tiles.items()))


def _edited(editor: Editor, case: Case, sheet: Sheet, preset: Preset, value: Any) -> Image.Image:
    if sheet.times:
        value = value * _in_force(editor, case, preset)[sheet.field]
    if sheet.field == "seed":
        return editor.edit(case.task, preset, seed=int(value)).image
    if sheet.field in PRESET_FIELDS:
        return editor.edit(case.task, replace(preset, **{sheet.field: value})).image
    return editor.edit(replace(case.task, **{sheet.field: value}), preset).image


def _in_force(editor: Editor, case: Case, preset: Preset) -> Mapping[str, float]:
    """The strengths of task and model, as an edit of few steps tells them."""
    few = replace(preset, steps=4)
    return editor.edit(case.task, few).metadata["strengths"]


def _row(tiles: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Pictures side by side with their labels above."""
    canvas = Image.new("RGB", (len(tiles) * (TILE + GAP) - GAP, HEAD + TILE), "white")
    pen = ImageDraw.Draw(canvas)
    for column, (label, picture) in enumerate(tiles):
        left = column * (TILE + GAP)
        pen.text((left + 4, 3), label, fill="black")
        canvas.paste(enlarged(picture), (left, HEAD))
    return canvas


def main() -> None:
    known = [sheet.field for sheet in SHEETS]
    parser = argparse.ArgumentParser(description="Edits with several values of a setting.")
    parser.add_argument("fields", nargs="*", metavar="FIELD", help=f"default: all of {known}")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--preset", choices=list(PRESETS), help="default: no-sketch, no detail")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    args = parser.parse_args()
    unknown = sorted(set(args.fields) - set(known))
    if unknown:
        parser.error(f"there is no sheet of {', '.join(unknown)}")
    editor = load_editor(args.model)
    args.out.mkdir(parents=True, exist_ok=True)
    for sheet in SHEETS:
        if sheet.field in (args.fields or known):
            preset = PRESETS[args.preset] if args.preset else BASE
            picture = make(editor, sheet, preset)
            picture.save(args.out / f"settings-{sheet.field}.png", optimize=True)
            print(sheet.field, flush=True)


if __name__ == "__main__":
    main()
