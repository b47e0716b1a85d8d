"""Presets and windows: the release's steps at N = 50, the same fractions at every other N."""

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from diffeditor.config import (
    PRESETS,
    STRENGTHS,
    Preset,
    StepWindow,
    Strengths,
    find_preset,
    misfits,
)
from diffeditor.errors import InvalidSetting
from diffeditor.tasks import TASKS
from tests.tiny import quick

NAMES = (
    "diffeditor",
    "dragondiffusion",
    "release",
    "no-sketch",
    "no-image-prompt",
    "no-regional-sde",
    "no-regional-guidance",
    "no-time-travel",
    "random-time-travel",
    "fast",
    "turbo",
)
steps = st.integers(4, 1000)


def inside(window: StepWindow, total: int) -> list[int]:
    return [i for i in range(total) if (i, total) in window]


def guided(preset: Preset) -> list[int]:
    return [i for i in range(preset.steps) if preset.guides(i)]


@pytest.mark.parametrize(("until", "last"), [(0.6, 28), (0.8, 38), (1.0, 48), (0.3, 14), (0.0, 9)])
def test_the_guidance_ends_where_the_strengths_say(until: float, last: int) -> None:
    steps = [i for i in range(50) if PRESETS["diffeditor"].guides(i, until)]
    assert steps == [*range(10), *range(10, last + 1, 2)]


def test_windows_of_ones_own_end_where_they_say() -> None:
    own = quick(guide=(StepWindow(stop=0.1),))
    for preset in (own, PRESETS["dragondiffusion"]):
        assert [preset.guides(i, 1.0) for i in range(50)] == [preset.guides(i) for i in range(50)]


def travelled(preset: Preset) -> list[int]:
    return [i for i in range(preset.steps) if preset.rounds(i) > 1]


def test_all_presets_are_there() -> None:
    assert tuple(PRESETS) == NAMES
    fewer = {"fast": 20, "turbo": 8}
    assert all(p.steps == fewer.get(name, 50) and p.description for name, p in PRESETS.items())


def test_fifty_steps_have_the_releases_windows() -> None:
    preset = PRESETS["release"]
    assert guided(preset) == [*range(10), *range(10, 30, 2)]
    assert travelled(preset) == [22, 24, 26, 28] and preset.travel_rounds == 3
    assert inside(preset.sde, 50) == list(range(11, 20))
    assert inside(preset.image_prompt, 50) == list(range(10, 20))
    assert inside(StepWindow(start=preset.bank_from), 50) == list(range(5, 50))
    until = StepWindow(stop=preset.bank_until, through_stop=True)
    assert inside(until, 50) == list(range(36))
    assert sum(preset.rounds(i) for i in range(50)) == 58
    assert sum(preset.rounds(i) for i in guided(preset)) == 28


def test_the_baseline_has_none_of_the_paper() -> None:
    preset = PRESETS["dragondiffusion"]
    assert guided(preset) == list(range(30))
    assert travelled(preset) == []
    assert inside(preset.sde, 50) == inside(preset.image_prompt, 50) == []
    assert not preset.regional_guidance and not preset.image_prompt_inversion
    assert not preset.clear_vacated and not preset.hold_outside and preset.sketch_until == 0
    assert not preset.detail


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        (
            "release",
            {
                "image_prompt_inversion",
                "face_everywhere",
                "whole_cells",
                "clear_vacated",
                "hold_outside",
                "sketch_until",
                "detail",
            },
        ),
        ("no-sketch", {"sketch_until"}),
        ("no-image-prompt", {"sketch_until", "image_prompt", "image_prompt_inversion"}),
        ("no-regional-sde", {"sketch_until", "sde"}),
        ("no-regional-guidance", {"sketch_until", "regional_guidance"}),
        ("no-time-travel", {"sketch_until", "travel"}),
        ("random-time-travel", {"sketch_until", "travel_by"}),
        ("fast", {"steps"}),
        ("turbo", {"steps", "guidance_scale"}),
    ],
)
def test_an_ablation_changes_one_thing(name: str, changed: set[str]) -> None:
    ours, base = vars(PRESETS[name]), vars(PRESETS["diffeditor"])
    assert {key for key in ours if ours[key] != base[key]} == changed | {"description"}


@settings(max_examples=12)
@given(total=steps)
@example(total=4)
@example(total=1000)
def test_windows_are_the_same_fractions_of_every_run(total: int) -> None:
    preset = quick(steps=total)
    early = [i for i in range(total) if 5 * i < total]
    middle = [i for i in range(total) if total <= 5 * i < 3 * total and i % 2 == 0]
    assert guided(preset) == early + middle
    assert inside(preset.sde, total) == [i for i in range(total) if total < 5 * i < 2 * total]
    assert travelled(preset) == [
        i for i in range(total) if 2 * total < 5 * i < 3 * total and i % 2 == 0
    ]
    assert inside(preset.image_prompt, total) == [
        i for i in range(total) if total <= 5 * i < 2 * total
    ]
    assert inside(StepWindow(start=0.1), total) == [i for i in range(total) if 10 * i >= total]
    until = StepWindow(stop=0.7, through_stop=True)
    assert inside(until, total) == [i for i in range(total) if 10 * i <= 7 * total]


@pytest.mark.parametrize(("name", "counts"), [("fast", (8, 3, 1)), ("turbo", (4, 2, 1))])
def test_few_steps_leave_some_for_every_window(name: str, counts: tuple[int, int, int]) -> None:
    preset = PRESETS[name]
    assert 1000 % preset.steps == 0
    stochastic = inside(preset.sde, preset.steps)
    assert (len(guided(preset)), len(stochastic), len(travelled(preset))) == counts
    assert inside(preset.image_prompt, preset.steps)


def test_distilled_weights_and_their_preset_belong_together() -> None:
    strengths = TASKS["move"].strengths
    for name, files, says in [
        ("turbo", ["embedded"], "8 steps without guidance are for weights distilled"),
        ("turbo", ["owner/model", "loras/style.safetensors:0.6"], "take the preset fast"),
        ("turbo", ["lcm/model", "style.safetensors"], "add an LCM LoRA"),
        ("turbo", ["owner/model", "loras/LCM-LoRA-sdv1-5.safetensors:1"], None),
        ("diffeditor", ["embedded"], None),
        ("fast", ["owner/model"], None),
        ("fast", ["models/dreamshaper_8LCM.safetensors"], "take the preset turbo"),
    ]:
        preset = PRESETS[name]
        told = list(misfits(preset, preset.strengths(strengths, {}), files))
        assert len(told) == (says is not None), (name, files)
        assert all(says in text and text.endswith(".") for text in told if says)


@settings(max_examples=12)
@given(total=steps)
@example(total=4)
@example(total=1000)
def test_windows_are_sane_for_every_run(total: int) -> None:
    preset = quick(steps=total)
    assert preset.guides(0)
    assert abs(len(guided(preset)) - 0.4 * total) <= 2
    assert abs(len(inside(preset.sde, total)) - 0.2 * total) <= 1
    assert abs(len(travelled(preset)) - 0.1 * total) <= 1
    assert all(preset.guides(i) for i in travelled(preset))


@given(
    total=st.integers(4, 100),
    start=st.floats(0, 1),
    stop=st.floats(0, 1),
    every=st.integers(1, 5),
)
def test_a_window_and_what_it_leaves_out(total: int, start: float, stop: float, every: int) -> None:
    closed = inside(StepWindow(start=start, stop=stop, through_stop=True, every=every), total)
    opened = inside(StepWindow(start=start, stop=stop, after_start=True, every=every), total)
    assert set(opened) <= set(closed) and len(closed) - len(opened) <= 2
    assert all(i % every == 0 for i in closed)
    assert inside(StepWindow(stop=0.0), total) == []


@pytest.mark.parametrize(
    "wrong",
    [{"start": -0.1}, {"stop": 1.1}, {"every": 0}, {"start": float("nan")}],
)
def test_a_wrong_window_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidSetting, match="fractions from 0 to 1"):
        StepWindow(**wrong)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"steps": 3}, "steps must be from 4 to 1000, not 3"),
        ({"steps": 1001}, "steps must be from 4 to 1000"),
        ({"steps": "50"}, "steps must be a whole number, not '50'"),
        ({"steps": True}, "steps must be a whole number"),
        ({"steps": 10.0}, "steps must be a whole number"),
        ({"resolution": 63}, "resolution must be from 64 to 4096 pixels, not 63"),
        ({"resolution": "large"}, "resolution must be a whole number"),
        ({"resolution": float("nan")}, "resolution must be a whole number"),
        ({"crop": "always"}, "crop must be 'auto' or 'none', not 'always'"),
        ({"crop": None}, "crop must be 'auto' or 'none'"),
        ({"detail": 1}, "detail must be True or False, not 1"),
        ({"travel_by": "train"}, "travel_by must be 'inversion' or 'noise'"),
        ({"travel_rounds": 0}, "travel_rounds must be from 1 to 20, not 0"),
        ({"travel_rounds": 2.5}, "travel_rounds must be a whole number"),
        ({"bank_from": 1.5}, "bank_from must be a number from 0 to 1, not 1.5"),
        ({"bank_until": None}, "bank_until must be a number from 0 to 1"),
        ({"guidance_scale": 0.5}, "guidance_scale must be a number from 1 to 20, not 0.5"),
        ({"energy_scale": -1}, "energy_scale must be a number from 0 to 100"),
        ({"energy_scale": float("inf")}, "energy_scale must be a number"),
        ({"eta_in": 1.5}, "eta_in must be a number from 0 to 1"),
        ({"eta_out": float("nan")}, "eta_out must be a number"),
        ({"image_prompt_scale": "much"}, "image_prompt_scale must be a number"),
        ({"w_edit": True}, "w_edit must be a number"),
    ],
)
def test_a_wrong_preset_is_refused_in_words(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        replace(PRESETS["diffeditor"], **wrong)
    assert says in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_preset_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        PRESETS["diffeditor"].steps = 10  # type: ignore[misc]


def test_find_preset_takes_names_and_presets() -> None:
    own = quick(steps=7)
    assert find_preset(own) is own
    assert find_preset("release") is PRESETS["release"]


@pytest.mark.parametrize("unknown", ["paper", "", None, ["release"], 3])
def test_an_unknown_preset_is_refused_with_the_known_ones(unknown: Any) -> None:
    with pytest.raises(InvalidSetting, match=r"no preset .*; choose one of diffeditor, "):
        find_preset(unknown)


def test_strengths_come_from_task_then_model_then_preset() -> None:
    task = Strengths(
        guidance_scale=4.0, energy_scale=0.5, eta_in=0.4, image_prompt_scale=0.1, w_edit=4.0
    )
    model = {"energy_scale": 0.7, "eta_in": 0.3}
    got = quick(eta_in=0.0).strengths(task, model)
    assert (got.guidance_scale, got.energy_scale, got.eta_in, got.w_edit) == (4.0, 0.7, 0.0, 4.0)


def test_the_table_of_the_release_is_the_tasks_own() -> None:
    table = {
        "move": (4, 0.5, 4, 6, 0.2, 0.8, 0.4, 0.0, 0.1, 0.0, 0.0, 0.6),
        "drag": (4, 2, 4, 6, 0, 0.2, 0.4, 0.0, 0.1, 0.0, 0.0, 0.6),
        "face": (4, 3, 12, 0, 0, 0, 0.2, 0.2, 0.05, 0.0, 0.0, 0.6),
        "appearance": (5, 2, 3.5, 5, 0, 0, 0.4, 0.0, 0.1, 0.0, 0.0, 0.6),
        "paste": (4, 1.5, 4, 6, 0, 0, 0.4, 0.0, 0.1, 0.0, 0.0, 0.6),
    }
    order = (
        "guidance_scale",
        "energy_scale",
        "w_edit",
        "w_content",
        "w_contrast",
        "w_inpaint",
        "eta_in",
        "eta_out",
        "image_prompt_scale",
        "sketch_until",
        "gradient_limit",
        "guide_until",
    )
    assert set(order) == set(STRENGTHS)
    ours = {n: tuple(getattr(t.strengths, key) for key in order) for n, t in TASKS.items()}
    assert ours == table
