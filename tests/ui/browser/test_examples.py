"""From one click on an example to its result."""

import re

import pytest
from playwright.sync_api import expect

from tests.ui.browser.page import OpenPage
from ui import text
from ui.tabs import TOOLS

pytestmark = [
    pytest.mark.browser,
    # Gradio keeps statistics with what pandas has given up.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.queueing"),
]


def show_example(page: OpenPage, tool: str) -> None:
    """Opens the tool's tab, clicks its first example and waits for its preview."""
    page.tool(tool)
    expect(page.page.get_by_text(TOOLS[tool].hint)).to_be_visible()
    page.page.locator(".examples:visible button").first.click()
    expect(page.act("peek")).to_be_visible()
    page.says(text.READY)


def test_one_click_and_edit_lead_to_a_result(page: OpenPage) -> None:
    for tool in TOOLS:
        show_example(page, tool)
        second = page.page.get_by_label(text.REFERENCE_PROMPT, exact=True)
        expect(second).to_be_visible(visible=TOOLS[tool].reference_prompt)
        page.edit()
        page.says("Done in 2.2 s. It went 86 % of its way.")
        expect(page.page.locator("#result img")).to_have_count(2)
        assert page.served.editor.runs[-1][0].name == tool


def test_the_controls_beside_the_canvas_are_followed(page: OpenPage) -> None:
    show_example(page, "face")
    for part in ("Mouth", "Eyes", "Brows", "Nose", "Jaw"):
        page.page.get_by_label(part, exact=True).uncheck()
    page.says(re.compile("groups must be"))
    page.page.get_by_label("Brows", exact=True).check()
    page.says(text.READY)
    strength = page.page.get_by_label(f"number input for {text.STRENGTH}")
    strength.fill("50")
    strength.press("Tab")
    page.edit()
    task, *_ = page.served.editor.runs[-1]
    assert (task.groups, task.strength) == (("brows",), 0.5)
