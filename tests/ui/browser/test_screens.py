"""Phones, fingers, the dark, and the keyboard alone."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import FileChooser, Page, expect

from tests.ui.browser.conftest import OpenNew
from tests.ui.browser.page import DONE, OpenPage
from tests.ui.canvas.demo import picture
from tests.ui.canvas.test_page import luminance
from ui import text
from ui.tabs import TOOLS

pytestmark = [
    pytest.mark.browser,
    # Gradio keeps statistics with what pandas has given up.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.queueing"),
]

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}
READ_WELL = 4.5
"""Contrast of text [WCAG 2 AA]."""


def test_an_edit_with_fingers_on_a_phone(open_page: OpenNew, tmp_path: Path) -> None:
    page = open_page(**PHONE)
    page.load(tmp_path)
    page.surface().scroll_into_view_if_needed()
    tap(page, "brush")
    page.touch([page.at((40, 40))], [page.at((90, 60))], [page.at((120, 100))])
    tap(page, "place")
    page.touch([page.at((40, 40))], [page.at((60, 60))], [page.at((100, 80))])
    page.button(text.EDIT).tap()
    page.says(DONE)
    task, *_ = page.served.editor.runs[-1]
    assert np.array(task.points) == pytest.approx(np.array([((40, 40), (100, 80))]), abs=1.5)
    assert task.mask[60, 90]
    expect(page.page.locator("#result img").last).to_be_visible()


def tap(page: OpenPage, mode: str) -> None:
    page.root.locator(f"[data-mode={mode}]").tap()
    expect(page.root).to_have_attribute("data-mode", mode)


def test_no_tap_right_after_a_quick_stroke_is_lost(open_page: OpenNew, tmp_path: Path) -> None:
    page = open_page(**PHONE)
    page.load(tmp_path)
    page.surface().scroll_into_view_if_needed()
    tap(page, "place")
    for _ in range(8):  # about every second one was, as long as a stroke could be a fling
        rev = page.rev()
        page.touch([page.at((40, 40))], [page.at((60, 60))], [page.at((100, 80))])
        expect(page.root).to_have_attribute("data-rev", str(rev + 1))
        page.act("undo").tap()
        expect(page.root).to_have_attribute("data-rev", str(rev + 2))


def test_nothing_is_cut_off_on_a_phone(open_page: OpenNew, tmp_path: Path) -> None:
    page = open_page(**PHONE)
    page.load(tmp_path)
    for tool in TOOLS:
        page.tool(tool)
        assert page.page.evaluate("document.documentElement.scrollWidth") <= 390, tool
        assert cut_off(page.page) == [], tool


def test_a_swipe_does_not_leave_the_page(page: OpenPage) -> None:
    style = "getComputedStyle(document.documentElement).overscrollBehaviorX"
    assert page.page.evaluate(style) == "none"


def cut_off(page: Page) -> list[str]:
    """What is to be pressed, filled in or read, and is not on the screen in its whole width."""
    return page.evaluate(
        "() => [...document.querySelectorAll('#board button, #board input, #board canvas,"
        " [role=tab], button.lg, button.sm, textarea, .status')]"
        ".filter((one) => one.checkVisibility({visibilityProperty: true}))"
        ".filter((one) => !one.closest('.examples'))"
        ".filter((one) => { const {left, right, width} = one.getBoundingClientRect();"
        " return width > 1 && (left < 0 || right > innerWidth + 0.5); })"
        ".map((one) => one.outerHTML.slice(0, 200))"
    )


TEXTS = (
    "#board .status",
    "#board [data-mode]:not([hidden])",
    "#board [data-act]:not(:disabled)",
    "#board .caption",
    "#status textarea",
    "[role=tab]",
    ".shelf p",
    "button.primary",
    "button.secondary:not(:disabled)",
    "label > span",
)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_text_is_read_well(theme: str, open_page: OpenNew, tmp_path: Path) -> None:
    page = open_page(f"?__theme={theme}")
    assert page.page.evaluate("document.body.classList.contains('dark')") == (theme == "dark")
    page.load(tmp_path)
    for mode in ("brush", "place"):
        page.mode(mode)
        page.page.mouse.move(0, 0)
        page.page.wait_for_timeout(300)  # colours change slowly
        measured = {key: value for one in TEXTS for key, value in contrasts(page.page, one).items()}
        assert len(measured) > 15
        assert {key: value for key, value in measured.items() if value < READ_WELL} == {}


def contrasts(page: Page, selector: str) -> dict[str, float]:
    """By text, the contrast of each visible element with what lies behind it."""
    found = page.evaluate(
        "selector => [...document.querySelectorAll(selector)]"
        ".filter((one) => one.checkVisibility({visibilityProperty: true}))"
        ".map((one) => { let behind = one;"
        " const clear = (one) => /, 0\\)$|^transparent$/.test("
        "getComputedStyle(one).backgroundColor);"
        " while (behind.parentElement && clear(behind)) behind = behind.parentElement;"
        " const name = one.dataset.mode ?? one.dataset.act ?? one.textContent.trim();"
        " return [name.slice(0, 40), getComputedStyle(one).color,"
        " getComputedStyle(behind).backgroundColor]; })",
        selector,
    )
    measured: dict[str, float] = {}
    for name, colour, behind in found:
        dark, light = sorted(luminance(one) for one in (colour, behind))
        measured[f"{selector} {name}"] = (light + 0.05) / (dark + 0.05)
    return measured


def tab_to(page: Page, reached: str, key: str = "Tab", most: int = 60) -> None:
    """Presses a key until what has the focus matches a selector."""
    for _ in range(most):
        page.keyboard.press(key)
        if page.evaluate("selector => document.activeElement.matches(selector)", reached):
            return
    pytest.fail(f"{reached} is not reached by {key}.")


def test_an_edit_with_the_keyboard_alone(page: OpenPage, tmp_path: Path) -> None:
    """From the tabs to the result; only the file dialog is not the page's."""
    keys, chosen = page.page.keyboard, list[FileChooser]()
    page.page.on("filechooser", lambda chooser: chosen.append(chooser))
    page.page.get_by_role("tab", name=TOOLS["drag"].title, exact=True).focus()
    keys.press("Tab")
    expect(page.page.get_by_role("tab", name=TOOLS["move"].title)).to_be_focused()
    keys.press("Enter")
    expect(page.root).to_have_attribute("data-tool", "move")
    keys.press("Shift+Tab")
    keys.press("Enter")
    expect(page.root).to_have_attribute("data-tool", "drag")

    rev = page.rev()
    tab_to(page.page, ".stage[data-side=source] .empty")
    keys.press("Enter")
    page.until(lambda: chosen)
    picture().save(tmp_path / "picture.png")
    chosen[0].set_files(tmp_path / "picture.png")
    page.wait_past(rev)

    page.page.get_by_role("tab", name=TOOLS["drag"].title, exact=True).focus()
    tab_to(page.page, ".stage[data-side=source] canvas")
    cursor = ("r", "Enter")  # in the middle of the picture
    begin = ("Shift+ArrowLeft", *["Shift+ArrowUp"] * 3, "Enter")
    box = (*["Shift+ArrowRight"] * 3, *["Shift+ArrowDown"] * 4, "Enter")
    inside = ("v", "Shift+ArrowUp", "Shift+ArrowLeft")
    arrow = ("Enter", "Shift+ArrowLeft", "ArrowUp", "Enter")
    for key in (*cursor, *begin, *box, *inside, *arrow):
        keys.press(key)
    page.says(re.compile("^Ready"))
    tab_to(page.page, "button.primary")
    keys.press("Enter")
    page.says(DONE)
    task, *_ = page.served.editor.runs[-1]
    [((x0, y0), (x1, y1))] = task.points
    step = 240 / 256
    assert (x1 - x0, y1 - y0) == pytest.approx((-10 * step, -step), abs=0.1)
    expect(page.page.locator("#result img").last).to_be_visible()
    tab_to(page.page, "#result input, #result [role=slider], #history button, #result button")
