"""The settings: every control changes its own field of the preset and nothing else."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal, get_args, get_origin

import gradio as gr
import pytest

from diffeditor import PRESETS, Preset
from diffeditor.errors import InvalidSetting
from ui import settings
from ui.preset_fields import CONTROLS, EMPTY, WINDOWS, Control, values_of

DEFAULT = PRESETS["diffeditor"]


def untouched(name: str = "diffeditor") -> dict[str, Any]:
    """What the components hold after a preset was chosen."""
    return {
        "settings.preset": name,
        "settings.seed": 0,
        "settings.variations": 1,
        **values_of(PRESETS[name]),
    }


def other(control: Control) -> Any:
    """Another value of a control than the default preset's."""
    value = control.of(DEFAULT)
    if control.hint is bool:
        return not value
    if get_origin(control.hint) is Literal:
        return next(choice for choice in get_args(control.hint) if choice != value)
    if control.limits:
        return next(limit for limit in control.limits if limit != value)
    return 3.0 if control.whole else 0.15


@pytest.fixture(scope="module")
def built() -> Iterator[settings.Blocks]:
    with gr.Blocks():
        yield settings.build(512)


@pytest.mark.parametrize("name", PRESETS)
def test_an_untouched_page_runs_the_preset_itself(name: str) -> None:
    assert settings.read(untouched(name)).preset == PRESETS[name]


def test_every_field_has_a_control_and_words() -> None:
    named = {str(part) for control in CONTROLS for part in control.path if isinstance(part, str)}
    assert set(vars(DEFAULT)) - {"description"} <= named == set(settings.LABELS)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_every_control_changes_its_value_and_no_other(control: Control) -> None:
    changed = untouched() | {control.name: other(control)}
    if control.path[:2] == ("guide", WINDOWS) and control.path[-1] != "start":
        changed |= {f"settings.guide.{WINDOWS}.start": 0.1}
    preset = settings.read(changed).preset
    assert control.of(preset) == other(control) != control.of(DEFAULT)
    assert preset == replace(DEFAULT, **{str(control.path[0]): getattr(preset, control.path[0])})
    assert values_of(preset).items() >= {k: v for k, v in changed.items() if k in LEFT}.items()


LEFT = {control.name for control in CONTROLS if control.path[0] != "guide"}


def test_components_begin_with_the_default_preset(built: settings.Blocks) -> None:
    values = {
        name: block.value for name, block in built.items() if not isinstance(block, gr.Button)
    }
    assert settings.read(values) == settings.Chosen(preset=DEFAULT, seed=0, variations=1)
    assert set(values) == set(untouched())


def test_numbers_with_a_range_are_sliders_and_those_with_none_are_boxes(
    built: settings.Blocks,
) -> None:
    slider = built["settings.bank_from"]
    assert isinstance(slider, gr.Slider) and (slider.minimum, slider.maximum) == (0, 1)
    own = built["settings.resolution"]
    assert isinstance(own, gr.Number) and own.placeholder == f"{settings.OWN}: 512"
    assert "resolution, 64 to 4096, default the model's own" in own.info


@pytest.mark.parametrize("empty", [EMPTY, None])
def test_an_empty_box_is_the_models_own(empty: Any) -> None:
    values = untouched() | {"settings.energy_scale": empty, "settings.resolution": empty}
    assert settings.read(values).preset == DEFAULT


def test_a_window_without_ends_is_none() -> None:
    ends = {
        f"settings.{window}.{end}" for window in ("sde", "guide.1") for end in ("start", "stop")
    }
    preset = settings.read(untouched() | dict.fromkeys(ends, EMPTY)).preset
    assert len(preset.guide) == 1
    assert not any((i, 50) in preset.sde for i in range(50))


def test_seeds_follow_each_other() -> None:
    chosen = settings.read(untouched() | {"settings.seed": 7.0, "settings.variations": 3})
    assert list(chosen.seeds) == [7, 8, 9]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("preset", "best", "no preset 'best'"),
        ("seed", None, "Seed must be a whole number"),
        ("seed", -1, "Seed must be a whole number from 0"),
        ("seed", 0.5, "not 0.5"),
        ("seed", float("nan"), "not nan"),
        ("seed", float("inf"), "not inf"),
        ("seed", True, "not True"),
        ("seed", 2**53, "Seed must be"),
        ("variations", 5, "Variations must be a whole number from 1 to 4"),
        ("steps", "many", "steps must be a whole number, not 'many'"),
        ("steps", EMPTY, "steps must be a whole number, not None"),
        ("steps", 1, "steps must be from"),
        ("resolution", 100.5, "resolution must be a whole number"),
        ("energy_scale", float("nan"), "energy_scale must be"),
        ("bank_from", -0.1, "bank_from must be"),
        ("crop", "always", "crop must be"),
        ("detail", 1, "detail must be"),
        ("sde.start", 2, "window needs fractions"),
        ("sde.every", 1.5, "every must be a whole number"),
        ("guide.3.start", [], "start must be a number"),
    ],
)
def test_what_cannot_be_run_is_said(name: str, value: Any, words: str) -> None:
    with pytest.raises(InvalidSetting, match=words):
        settings.read(untouched() | {f"settings.{name}": value})


VARIANT = replace(PRESETS["no-time-travel"], steps=20, eta_in=0.5, guide=())


def told(updates: dict[str, Any]) -> dict[str, Any]:
    """The values in updates."""
    return {
        name: update["value"] if isinstance(update, dict) else update
        for name, update in updates.items()
    }


@pytest.mark.parametrize("preset", [*PRESETS.values(), VARIANT])
def test_what_is_shown_reads_as_the_same(preset: Preset) -> None:
    values = untouched() | told(settings.show(preset, seed=9))
    assert settings.read(values) == settings.Chosen(preset=preset, seed=9, variations=1)


def test_what_the_page_cannot_hold_is_refused() -> None:
    crowded = replace(DEFAULT, guide=DEFAULT.guide * WINDOWS)
    with pytest.raises(InvalidSetting, match=f"room for {WINDOWS} windows of guide"):
        settings.show(crowded, seed=0)
    with pytest.raises(InvalidSetting, match="Seed must be"):
        settings.show(DEFAULT, seed=2**60)


def test_the_script_fills_what_python_shows() -> None:
    script = settings._filling_script()
    table, _ = json.JSONDecoder().raw_decode(script[script.index("{") :])
    assert list(table) == list(PRESETS)
    for name, rows in table.items():
        shown = settings.show(PRESETS[name], 0)
        assert rows == [[shown[c.name]["value"], shown[c.name]["info"]] for c in CONTROLS]
