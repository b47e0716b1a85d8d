"""The running page in a real browser."""

import re
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.ui.canvas.conftest import QUIET
from tests.ui.canvas.driver import PATIENCE, Driver
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

RUNNING = re.compile(r"(Inverting|Editing) \d+/100")
DONE = "Done in 2.2 s. It went 86 % of its way."


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
    opened = browser.new_page(viewport={"width": 1440, "height": 900})
    opened.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    wrong = watched(opened, url)
    show(opened, url)
    yield opened
    opened.close()
    assert wrong == []


def show(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.locator("#board .canvas")).to_have_attribute("data-ready", "true")


def status(page: Page) -> Locator:
    return page.get_by_label(text.STATUS, exact=True)


def show_example(page: Page, tool: str) -> None:
    """Opens the tool's tab, clicks its first example and waits for its preview."""
    page.get_by_role("tab", name=TOOLS[tool].title, exact=True).click()
    expect(page.get_by_text(TOOLS[tool].hint)).to_be_visible()
    page.locator(".examples:visible button").first.click()
    expect(page.locator("#board [data-act=peek]")).to_be_visible()
    expect(status(page)).to_have_value(text.READY)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def run_slowly(page: Page, editor: FakeEditor) -> None:
    """Starts an edit that takes long, and waits until it is under way."""
    editor.pause, editor.steps = 0.3, 100
    press(page, text.EDIT)
    expect(status(page)).to_have_value(RUNNING)


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
    second = page.get_by_label(text.REFERENCE_PROMPT, exact=True)
    expect(second).to_be_visible(visible=TOOLS[tool].reference_prompt)
    press(page, text.EDIT)
    expect(status(page)).to_have_value(DONE)
    expect(page.locator("#result img")).to_have_count(2)
    assert editor.runs[-1][0].name == tool


def test_an_edit_that_is_started_at_once_uses_the_gesture(page: Page, served: Served) -> None:
    _, editor = served
    show_example(page, "drag")
    canvas = Driver(page, {"source": (128, 128)})
    edit = page.get_by_role("button", name=text.EDIT, exact=True).bounding_box()
    assert edit is not None
    canvas.drag((50, 100), (50, 110))
    page.mouse.click(edit["x"] + edit["width"] / 2, edit["y"] + edit["height"] / 2)
    expect(status(page)).to_have_value(DONE)
    start, end = editor.runs[-1][0].points[-1]
    assert start == pytest.approx((50, 100), abs=1)
    assert end == pytest.approx((50, 110), abs=1)


def test_the_controls_beside_the_canvas_are_followed(page: Page, served: Served) -> None:
    _, editor = served
    show_example(page, "face")
    for part in ("Mouth", "Eyes", "Brows", "Nose", "Jaw"):
        page.get_by_label(part, exact=True).uncheck()
    expect(status(page)).to_have_value(re.compile("groups must be"))
    page.get_by_label("Brows", exact=True).check()
    expect(status(page)).to_have_value(text.READY)
    press(page, text.EDIT)
    expect(status(page)).to_have_value(DONE)
    assert editor.runs[-1][0].groups == ("brows",)


def test_cancel_frees_the_device_and_keeps_what_was_entered(page: Page, served: Served) -> None:
    _, editor = served
    show_example(page, "move")
    closed = editor.closed
    run_slowly(page, editor)
    press(page, text.CANCEL)
    expect(status(page)).to_have_value(text.STOPPED)
    wait_until(lambda: editor.closed == closed + 1)
    editor.pause, editor.steps = 0.0, 3
    press(page, text.EDIT)
    expect(status(page)).to_have_value(DONE)
    assert editor.runs[-1][0].shift != (0, 0)


def test_a_closed_browser_frees_the_device(page: Page, served: Served) -> None:
    _, editor = served
    show_example(page, "move")
    closed = editor.closed
    run_slowly(page, editor)
    page.close()
    wait_until(lambda: editor.closed == closed + 1)


def test_who_waits_sees_the_place_in_the_queue(
    browser: Browser, page: Page, served: Served
) -> None:
    url, editor = served
    show_example(page, "move")
    run_slowly(page, editor)
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    other = context.new_page()
    show(other, url)
    show_example(other, "paste")
    press(other, text.EDIT)
    expect(status(other)).to_have_value(text.WAITING)
    expect(other.get_by_text("queue: 1/1")).to_be_visible()
    editor.pause, editor.steps = 0.0, 3
    press(page, text.CANCEL)
    expect(status(other)).to_have_value(DONE)
    assert editor.runs[-1][0].name == "paste"
    context.close()


def test_who_waits_may_give_up(browser: Browser, page: Page, served: Served) -> None:
    url, editor = served
    show_example(page, "move")
    run_slowly(page, editor)
    ran = len(editor.runs)
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    other = context.new_page()
    show(other, url)
    show_example(other, "paste")
    press(other, text.EDIT)
    expect(other.get_by_text("queue: 1/1")).to_be_visible()
    press(other, text.CANCEL)
    expect(status(other)).to_have_value(text.STOPPED)
    press(page, text.CANCEL)
    expect(status(page)).to_have_value(text.STOPPED)
    editor.pause, editor.steps = 0.0, 3
    wait_until(lambda: editor.closed == len(editor.runs))
    press(page, text.EDIT)
    expect(status(page)).to_have_value(DONE)
    assert [task.name for task, *_ in editor.runs[ran:]] == ["move"]
    expect(status(other)).to_have_value(text.STOPPED)
    context.close()
