"""The running page in a real browser."""

import re
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.ui.fakes import FakeEditor
from tests.ui.watch import watched
from ui import text
from ui.tabs import TOOLS

pytestmark = [
    pytest.mark.browser,
    # Gradio keeps statistics with what pandas has given up.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.queueing"),
]

Served = tuple[str, FakeEditor]

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
RUNNING = re.compile(r"(Inverting|Editing) \d+/100")
DONE = "Done in 2.2 s. It went 86 % of its way."
PATIENCE = 60_000
"""Milliseconds; a busy machine is slow to paint."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    """The open page, watched: console errors and requests to elsewhere fail the test."""
    url, editor = served
    editor.pause, editor.steps = 0.0, 3
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    wrong = watched(opened, url)
    opened.goto(url)
    expect(opened.get_by_role("tab", name=TOOLS["drag"].title, exact=True)).to_be_visible()
    yield opened
    opened.close()
    assert wrong == []


def show_example(page: Page, tool: str) -> None:
    """Opens the tool's tab and clicks its first example."""
    page.get_by_role("tab", name=TOOLS[tool].title, exact=True).click()
    expect(page.get_by_text(TOOLS[tool].hint)).to_be_visible()
    page.locator(".examples:visible button").first.click()
    expect(page.get_by_label(text.ADVICE)).to_have_value(text.READY)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def wait_until(condition: Callable[[], Any]) -> None:
    for _ in range(PATIENCE // 100):
        if condition():
            return
        time.sleep(0.1)
    pytest.fail("It did not happen.")


@pytest.mark.parametrize("tool", TOOLS)
def test_one_click_and_edit_lead_to_a_result(tool: str, page: Page, served: Served) -> None:
    _, editor = served
    show_example(page, tool)
    press(page, text.EDIT)
    expect(page.get_by_label(text.STATUS)).to_have_value(DONE)
    expect(page.get_by_role("slider").first).to_be_visible()
    assert editor.runs[-1][0].name == tool
    with page.expect_download() as download:
        press(page, text.SAVE_PICTURE)
    assert download.value.suggested_filename == f"{tool}-0.png"
    with page.expect_download() as download:
        press(page, text.SAVE_RECIPE)
    assert download.value.suggested_filename == f"{tool}-0.json"


def test_two_clicks_on_the_picture_are_one_more_point(page: Page, served: Served) -> None:
    _, editor = served
    show_example(page, "drag")
    board = page.locator("#board img")
    box = board.bounding_box()
    assert box is not None
    middle = {"x": box["width"] / 2, "y": 0.8 * box["height"]}
    board.click(position=middle)
    expect(page.get_by_label(text.ADVICE)).to_have_value(text.WHERE_TO)
    board.click(position={**middle, "y": 0.85 * box["height"]})
    expect(page.get_by_label(text.ADVICE)).to_have_value(text.READY)
    press(page, text.EDIT)
    expect(page.get_by_label(text.STATUS)).to_have_value(DONE)
    (x0, y0), (x1, y1) = editor.runs[-1][0].points[-1]
    assert (x0, x1) == pytest.approx((64, 64), abs=1)
    assert (y0, y1) == pytest.approx((0.8 * 128, 0.85 * 128), abs=1)


def test_a_brush_stroke_is_added_to_the_mask(page: Page, served: Served) -> None:
    _, editor = served
    show_example(page, "move")
    canvas = page.locator("canvas").first.bounding_box()
    assert canvas is not None
    x, y = canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2
    press(page, text.EDIT)
    wait_until(lambda: editor.runs and editor.runs[-1][0].name == "move")
    before = editor.runs[-1][0].mask.sum()
    page.mouse.move(x, y - 80)
    page.mouse.down()
    page.mouse.move(x + 40, y - 80, steps=5)
    page.mouse.up()
    wait_until(lambda: press(page, text.EDIT) or editor.runs[-1][0].mask.sum() > before)


def test_cancel_frees_the_device_and_keeps_what_was_entered(page: Page, served: Served) -> None:
    _, editor = served
    show_example(page, "move")
    closed, editor.pause, editor.steps = editor.closed, 0.3, 100
    press(page, text.EDIT)
    expect(page.get_by_label(text.STATUS)).to_have_value(RUNNING)
    press(page, text.CANCEL)
    expect(page.get_by_label(text.STATUS)).to_have_value(text.STOPPED)
    wait_until(lambda: editor.closed == closed + 1)
    expect(page.get_by_label(text.SHIFT_X).first).not_to_have_value("0")
    editor.pause, editor.steps = 0.0, 3
    press(page, text.EDIT)
    expect(page.get_by_label(text.STATUS)).to_have_value(DONE)


def test_a_closed_browser_frees_the_device(browser: Browser, page: Page, served: Served) -> None:
    _, editor = served
    show_example(page, "move")
    closed, editor.pause, editor.steps = editor.closed, 0.3, 100
    press(page, text.EDIT)
    expect(page.get_by_label(text.STATUS)).to_have_value(RUNNING)
    page.close()
    wait_until(lambda: editor.closed == closed + 1)
