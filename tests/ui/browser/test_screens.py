"""Phones, the light and the dark."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.ui.browser.conftest import OpenNew
from tests.ui.canvas.test_page import luminance
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


def test_nothing_is_cut_off_on_a_phone(open_page: OpenNew, tmp_path: Path) -> None:
    page = open_page(**PHONE)
    page.load(tmp_path)
    for tool in TOOLS:
        page.tool(tool)
        assert page.page.evaluate("document.documentElement.scrollWidth") <= 390, tool
        assert cut_off(page.page) == [], tool


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
