from dataclasses import fields, replace
from typing import Any

import pytest

from diffeditor import PRESETS, Preset
from diffeditor.errors import InvalidSetting
from ui import text
from ui.controls import changed_preset, read_preset, strength_fields, whole

STRENGTHS = [field.name for field in strength_fields()]


def test_an_untouched_page_runs_the_preset_itself(values: dict[str, Any]) -> None:
    untouched = {f"preset.{name}": None for name in [*STRENGTHS, "resolution"]}
    for name, preset in PRESETS.items():
        assert read_preset(values | untouched | {"preset": name}) == preset


@pytest.mark.parametrize("name", STRENGTHS)
def test_every_strength_changes_its_field_and_no_other(name: str, values: dict[str, Any]) -> None:
    changed = read_preset(values | {f"preset.{name}": 1.0})
    assert changed == replace(PRESETS["diffeditor"], **{name: 1.0})


def test_steps_and_working_size_change_their_fields(values: dict[str, Any]) -> None:
    changed = read_preset(values | {"steps": 20, "preset.resolution": 256.0})
    assert changed == replace(PRESETS["diffeditor"], steps=20, resolution=256)
    assert isinstance(changed.resolution, int)


def test_every_optional_number_of_a_preset_is_on_the_page() -> None:
    optional = {field.name for field in fields(Preset) if field.default is None}
    assert optional == {*STRENGTHS, "resolution"}
    assert set(text.STRENGTHS) == set(STRENGTHS)


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("best", {}, "no preset 'best'"),
        ("diffeditor", {"speed": 9}, "no setting 'speed'"),
        ("diffeditor", {"guide": []}, "no setting 'guide'"),
        ("diffeditor", {"steps": "many"}, "whole number, not 'many'"),
        ("diffeditor", {"steps": None}, "whole number, not None"),
        ("diffeditor", {"resolution": 100.5}, "whole number, not 100.5"),
        ("diffeditor", {"steps": 1}, "steps must be from"),
        ("diffeditor", {"energy_scale": float("nan")}, "energy_scale must be"),
        ("diffeditor", {"energy_scale": "strong"}, "energy_scale must be"),
        ("diffeditor", {"eta_in": -1}, "eta_in must be"),
    ],
)
def test_what_a_preset_does_not_take_is_refused(name: str, changes: Any, words: str) -> None:
    with pytest.raises(InvalidSetting, match=words):
        changed_preset(name, changes)


@pytest.mark.parametrize("value", [None, "1", 1.5, True, float("nan"), float("inf")])
def test_what_is_not_a_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(InvalidSetting, match=text.SEED):
        whole(value, text.SEED)


def test_a_whole_number_may_come_as_a_float() -> None:
    assert whole(7.0, "Seed") == 7
