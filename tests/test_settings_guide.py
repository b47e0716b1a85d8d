"""docs/settings.md tells of every setting as it is; the program of its pictures makes them."""

import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from diffeditor import PRESETS, Preset
from diffeditor.config import StepWindow
from diffeditor.tasks import Task
from tests.tiny import quick

ROOT = Path(__file__).resolve().parents[1]
GUIDE = " ".join((ROOT / "docs" / "settings.md").read_text("utf-8").split())
TABLE = re.findall(r"\| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| from (\d+) \| (\d+) \|", GUIDE)


@pytest.fixture
def sheets(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The program of the pictures."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    import make_settings_sheets

    yield make_settings_sheets
    for name in ("make_settings_sheets", "make_edits_sheet"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", [f.name for f in fields(Preset) if f.name != "description"])
def test_every_setting_is_told(name: str) -> None:
    assert f"`{name}`" in GUIDE


@pytest.mark.parametrize("item", [f for f in fields(Preset) if "range" in f.metadata])
def test_ranges_are_those_of_the_preset(item: Any) -> None:
    name = "w_inpaint" if item.name.startswith("w_") else item.name  # one range for all weights
    told = re.search(rf"`{name}`[^.`]*? (\d+) to (\d+)", GUIDE)
    assert told and tuple(map(float, told.groups())) == item.metadata["range"]


def window(window: StepWindow, total: int) -> list[int]:
    return [i for i in range(total) if (i, total) in window]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0])
def test_the_table_of_steps_is_that_of_the_windows(row: tuple[str, ...]) -> None:
    total = int(row[0])
    preset = quick(steps=total)
    guided = [i for i in range(total) if preset.guides(i)]
    rounds = sum(preset.rounds(i) for i in range(total))
    travelling = [i for i in range(total) if preset.rounds(i) > 1]
    assert [int(cell) for cell in row[1:]] == [
        len(guided),
        len(window(preset.sde, total)),
        len(travelling),
        len(window(preset.image_prompt, total)),
        window(StepWindow(start=preset.bank_from), total)[0],
        total + 2 * rounds + (rounds - total),
    ]


def test_the_table_has_the_steps_of_the_presets() -> None:
    assert {str(preset.steps) for preset in PRESETS.values()} <= {row[0] for row in TABLE}


def test_every_picture_of_the_guide_has_a_sheet(sheets: ModuleType) -> None:
    shown = re.findall(r"images/settings-(\w+)\.png", GUIDE)
    assert shown and set(shown) == {sheet.field for sheet in sheets.SHEETS}


class Copying:
    """An editor whose results are the sources."""

    native_size = 32

    def __init__(self) -> None:
        self.asked: list[tuple[Task, Preset, int]] = []

    def edit(self, task: Task, preset: Preset, seed: int = 0) -> SimpleNamespace:
        self.asked.append((task, preset, seed))
        return SimpleNamespace(image=task.source, metadata={"strengths": vars(task.strengths)})


def test_a_sheet_shows_one_edit_for_each_value_and_nothing_else_changes(
    sheets: ModuleType,
) -> None:
    for sheet in sheets.SHEETS:
        editor = Copying()
        picture = sheets.make(editor, sheet)
        edits = [asked for asked in editor.asked if not (sheet.times and asked[1].steps == 4)]
        assert len(edits) == len(sheet.values)
        assert picture.width == (len(sheet.values) + 2) * (sheets.TILE + sheets.GAP) - sheets.GAP
        varied = {
            key
            for _, preset, _ in edits
            for key in vars(preset)
            if getattr(preset, key) != getattr(sheets.BASE, key)
        }
        assert varied <= {sheet.field}
