"""Columns by name, and what their results are filed under."""

from dataclasses import replace

import pytest

from diffeditor import PRESETS
from diffeditor.bench.columns import DEFAULT_COLUMNS, Column, column
from diffeditor.editor import Editor
from diffeditor.errors import InvalidSetting
from diffeditor.tasks import Drag, Move
from diffeditor.worlds import make_case
from tests.tiny import quick


def no_editor() -> Editor:
    raise AssertionError("A baseline needs no editor.")


def test_every_default_column_can_be_made() -> None:
    assert [column(name).name for name in DEFAULT_COLUMNS] == list(DEFAULT_COLUMNS)


def test_a_column_changes_fields_of_a_preset() -> None:
    changed = column("diffeditor:energy_scale=2:travel_by=noise").preset
    assert changed == replace(PRESETS["diffeditor"], energy_scale=2, travel_by="noise")


@pytest.mark.parametrize("name", ["nobody", "diffeditor:energy_scale", "diffeditor:speed=1", ""])
def test_unknown_columns_are_refused(name: str) -> None:
    with pytest.raises(InvalidSetting):
        column(name)


@pytest.mark.parametrize("name", ["ground-truth", "no-edit", "copy-paste"])
def test_baselines_need_no_model(name: str) -> None:
    case = make_case("move", 1, 48)
    made = column(name).make(case, no_editor)
    assert made.picture.size == (48, 48)
    assert made.unet_samples == 0


def test_a_preset_counts_what_it_costs(tiny_editor: Editor) -> None:
    preset = quick(steps=4)
    case = make_case("move", 1, tiny_editor.native_size)
    made = Column(name="quick", preset=preset).make(case, lambda: tiny_editor)
    again = Column(name="quick", preset=preset).make(case, lambda: tiny_editor)
    assert made.unet_samples == again.unet_samples > 8  # the inversion is never taken over
    assert made.seconds > 0
    assert made.picture.tobytes() == again.picture.tobytes()


def test_results_are_filed_under_all_settings() -> None:
    one = column("diffeditor")
    keys = {
        one.key(Move, {}),
        one.key(Drag, {}),
        one.key(Move, {"energy_scale": 3.0}),
        column("diffeditor:energy_scale=2").key(Move, {}),
        column("no-time-travel").key(Move, {}),
    }
    assert len(keys) == 5
    assert one.key(Move, {}) == column("diffeditor").key(Move, {})
    assert column("no-edit").key(Move, {}) == "no-edit"
