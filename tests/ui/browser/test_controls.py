"""Every control changes what is run, and every sentence about what is missing can be reached."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_origin

import pytest
from playwright.sync_api import Locator, expect

from diffeditor import PRESETS
from tests.ui.browser.page import OpenPage, write
from tests.ui.canvas.demo import BALL
from tests.ui.test_settings import other
from ui import preset_fields, settings, text
from ui.preset_fields import CONTROLS, Control

pytestmark = [
    pytest.mark.browser,
    # Gradio keeps statistics with what pandas has given up.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.queueing"),
]

DEFAULT = PRESETS[settings.DEFAULT]
MIDDLE = (120, 100)


def ready(page: OpenPage, folder: Path) -> None:
    page.load(folder)
    page.mode("box")
    page.drag((20, 20), (220, 140))
    page.mode("place")
    page.drag((40, 40), (80, 60))


# Controls


def boxes(page: OpenPage) -> dict[str, Locator]:
    """The box of every control of the settings; a slider's own bar is left out."""
    found = page.page.locator(
        f"xpath=//button[contains(., '{settings.SETTINGS}')]/following-sibling::*"
        "//input[not(@type='range')]"
    )
    expect(found).to_have_count(len(CONTROLS))
    return {control.name: found.nth(n) for n, control in enumerate(CONTROLS)}


def choose(box: Locator, words: str) -> None:
    """Chooses the option with these words in a list."""
    box.fill(words)
    box.press("Enter")


def enter(box: Locator, control: Control, value: Any) -> None:
    """Enters a value, and waits until the box shows it without being written in."""
    if control.hint is bool:
        box.set_checked(value)
    elif get_origin(control.hint) is Literal:
        choose(box, value)
        expect(box).to_have_value(value)
    else:
        write(box, f"{value:g}")


def changed(control: Control) -> Any:
    """Another value, that fits with the other values of the default preset too."""
    if control.path[0] == "guide" and control.path[-1] in ("start", "stop"):
        return {"start": 0.05, "stop": 0.95}[str(control.path[-1])]
    return other(control)


def test_every_setting_reaches_the_edit(page: OpenPage, tmp_path: Path) -> None:
    ready(page, tmp_path)
    page.settings()
    found = boxes(page)
    expected = {control.name: changed(control) for control in CONTROLS}
    for control in (*CONTROLS, *CONTROLS):  # and once more what was taken back meanwhile
        enter(found[control.name], control, expected[control.name])
    write(page.page.get_by_label(settings.SEED, exact=True), "7")
    write(page.page.get_by_label(f"number input for {settings.VARIATIONS}"), "2")
    ran = len(page.served.editor.runs)
    page.press(text.EDIT)
    expect(page.page.locator("#history img")).to_have_count(2)
    runs = page.served.editor.runs[ran:]
    assert [seed for *_, seed in runs] == [7, 8]
    _, preset, _ = runs[0]
    ran_with = preset_fields.values_of(preset)
    other_than_set = {
        name: (value, ran_with[name])
        for name, value in expected.items()
        if ran_with[name] != (pytest.approx(value) if isinstance(value, float) else value)
    }
    assert not other_than_set
    assert all(control.of(preset) != control.of(DEFAULT) for control in CONTROLS)


def test_a_chosen_preset_is_what_runs(page: OpenPage, tmp_path: Path) -> None:
    ready(page, tmp_path)
    for name in reversed(PRESETS):
        choose(page.page.get_by_label(settings.PRESET, exact=True), f"{name}:")
        page.edit()
        page.until(lambda name=name: page.served.editor.runs[-1][1] == PRESETS[name])


# What is missing


def box(page: OpenPage, a: Any = BALL[:2], b: Any = BALL[2:], side: str = "source") -> None:
    page.mode("box")
    page.drag(a, b, side=side)


def arrow(page: OpenPage, a: Any, b: Any) -> None:
    page.mode("place")
    page.drag(a, b)


def outside(page: OpenPage) -> None:
    box(page)
    arrow(page, (20, 20), (110, 100))


def past_the_mask(page: OpenPage) -> None:
    box(page)
    arrow(page, (110, 100), (30, 30))


def everything(page: OpenPage) -> None:
    page.mode("box")
    page.act("invert").click()
    arrow(page, (110, 100), (30, 30))


def moved(*places: Any) -> Callable[[OpenPage], None]:
    def draw(page: OpenPage) -> None:
        box(page)
        arrow(page, MIDDLE, places[0])
        for a, b in zip(places, places[1:], strict=False):
            page.drag(a, b)

    return draw


def nudged_out(page: OpenPage) -> None:
    box(page)
    page.mode("place")
    page.key(*["Shift+ArrowRight"] * 16)


def pasted(page: OpenPage) -> None:
    box(page, side="reference")
    page.mode("place")
    page.key(*["Shift+ArrowLeft"] * 10)


Draw = Callable[[OpenPage], Any]
MISSING: list[tuple[str, bool, Draw, str]] = [
    ("drag", False, lambda page: box(page), "There are no points"),
    ("drag", False, lambda page: arrow(page, (20, 20), (60, 60)), "The mask is empty"),
    ("drag", False, everything, "The mask covers the whole picture"),
    ("drag", False, outside, "Point 1 starts outside the mask"),
    ("drag", False, past_the_mask, f"{text.READY} Point 1 ends outside the mask"),
    ("move", False, lambda page: box(page), "The object stays where it is"),
    ("move", False, nudged_out, "The object leaves the picture entirely"),
    ("move", False, moved((225, 100)), f"{text.READY} Part of the object leaves the picture"),
    ("paste", False, lambda page: None, text.NO_REFERENCE),
    ("paste", True, lambda page: None, "The reference mask is empty"),
    ("paste", True, pasted, f"{text.READY} Part of the object leaves the picture"),
    ("appearance", False, lambda page: box(page), text.NO_REFERENCE),
    ("appearance", True, lambda page: None, "The mask is empty"),
    ("appearance", True, lambda page: box(page), "The reference mask is empty"),
    ("face", False, lambda page: None, text.NO_REFERENCE),
]


def test_every_sentence_about_what_is_missing_is_told_and_nothing_runs(
    page: OpenPage, tmp_path: Path
) -> None:
    page.press(text.EDIT)
    page.says(text.NO_PICTURE)
    editor = page.served.editor
    page.load(tmp_path)
    for with_reference in (False, True):
        for tool, reference, draw, words in MISSING:
            if reference != with_reference:
                continue
            page.tool(tool)
            for side in ("source", "reference") if reference else ("source",):
                page.load(tmp_path, side)  # which takes away what was drawn on the one before
            ran = len(editor.runs)
            draw(page)
            page.says(re.compile(f"^{re.escape(words)}"))
            if not words.startswith(text.READY):
                page.press(text.EDIT)
                page.page.wait_for_timeout(100)
                page.says(re.compile(f"^{re.escape(words)}"))
                assert len(editor.runs) == ran
