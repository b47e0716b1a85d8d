"""Runs: cancelled, repeated, waiting for one another, side by side, and left alone."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.ui.browser.page import DONE, RUNNING, OpenPage, Served
from tests.ui.fakes import FakeEditor
from ui import handlers, results, text

pytestmark = [
    pytest.mark.browser,
    # Gradio keeps statistics with what pandas has given up.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.queueing"),
]

OpenNew = Callable[..., OpenPage]
SLOW = {"steps": 200, "pause": 0.1}


class OneAtATime(FakeEditor):
    """A fake editor that notes how many edits run at the same time that are still wanted.

    One that was cancelled may be in its last call when the next one begins: the engine's own lock
    makes that one wait. While `holds` is set, none goes on from its first sampling step before it
    is stopped.
    """

    def __init__(self) -> None:
        super().__init__()
        self.running: list[Callable[[], bool]] = []
        self.most = 0
        self.holds = False

    @property
    def now(self) -> int:
        return len(self.running)

    def stream(self, *task: Any, stopped: Callable[[], bool], **how: Any) -> Iterator[Any]:
        self.running.append(stopped)
        self.most = max(self.most, sum(not unwanted() for unwanted in self.running))
        try:
            for step in super().stream(*task, stopped=stopped, **how):
                yield step
                while self.holds and step.phase == "sample" and not stopped():
                    time.sleep(0.05)
        finally:
            self.running.remove(stopped)


@pytest.fixture(scope="module")
def editor() -> Any:
    return OneAtATime()


def ready(page: OpenPage, folder: Path, colour: str = "crimson", length: float = 30) -> np.ndarray:
    """Loads a picture and draws all that an edit needs; returns the picture's pixels."""
    (folder / colour).mkdir()
    pixels = page.load(folder / colour, colour=colour)
    page.mode("box")
    page.drag((20, 20), (220, 140))
    page.mode("place")
    page.drag((40, 40), (40 + length, 60))
    page.says(re.compile("^Ready"))
    return pixels


def start(page: OpenPage) -> None:
    page.press(text.EDIT)
    page.says(RUNNING)


def idle(page: OpenPage) -> None:
    """Waits until nothing runs."""
    editor = page.served.editor
    page.until(lambda: editor.now == 0)


def test_a_cancelled_run_is_over_and_the_next_one_runs(page: OpenPage, tmp_path: Path) -> None:
    ready(page, tmp_path)
    editor = page.served.fake(**SLOW)
    start(page)
    page.press(text.CANCEL)
    page.says(text.STOPPED)
    idle(page)
    page.page.wait_for_timeout(500)  # late steps would have come by now
    page.says(text.STOPPED)
    said = page.page.locator("#said")  # read out, and not to be seen
    expect(said.locator("p")).to_have_text(text.STOPPED)
    assert (said.bounding_box() or {"width": 0})["width"] <= 1
    page.served.fake()
    page.edit()
    expect(page.page.locator("#said p")).to_contain_text(DONE)
    assert editor.most == 1


ACTS = (results.USE, results.SAVE_PICTURE, results.SAVE_RECIPE, results.DELETE)


def holding(page: OpenPage) -> None:
    """Starts an edit and waits for the look at it, at which it stays."""
    page.served.fake(steps=handlers.LOOK_EVERY - 1)
    page.served.editor.holds = True
    page.press(text.EDIT)
    page.says(RUNNING)
    shows(page, results.BEFORE_AND_AFTER)
    expect(page.page.locator("#result img").last).to_be_visible()


def shows(page: OpenPage, words: str) -> None:
    expect(page.page.locator("#result").get_by_test_id("block-label")).to_contain_text(words)


def stop(page: OpenPage) -> None:
    page.press(text.CANCEL)
    page.says(text.STOPPED)
    page.served.editor.holds = False


def test_after_cancel_the_buttons_act_on_what_is_shown(page: OpenPage, tmp_path: Path) -> None:
    ready(page, tmp_path)
    holding(page)
    stop(page)
    expect(page.page.locator("#result img")).to_have_count(0)
    for name in ACTS:
        expect(page.button(name)).to_be_disabled()
    idle(page)
    page.served.fake()
    page.edit()
    shows(page, "Before | 1: drag")
    holding(page)
    for name in ACTS:
        expect(page.button(name)).to_be_disabled()
    stop(page)
    shows(page, "Before | 1: drag")
    for name in ACTS:
        expect(page.button(name)).to_be_enabled()
    page.press(results.DELETE)
    expect(page.page.locator("#history img")).to_have_count(0)


def test_an_edit_that_is_refused_says_so(page: OpenPage, tmp_path: Path) -> None:
    ready(page, tmp_path)
    page.told()
    value = page.served.told[page.rev()]
    assert value.source is not None
    Path(value.source.file.path).unlink()  # as Gradio does when it is old
    page.press(text.EDIT)
    page.says(text.NOT_MADE)
    expect(page.page.get_by_text(text.GONE)).to_be_visible()


@pytest.mark.parametrize("count", [2, 3])
def test_quick_clicks_on_edit_are_one_edit(count: int, page: OpenPage, tmp_path: Path) -> None:
    ready(page, tmp_path)
    editor = page.served.fake(steps=8, pause=0.1)
    ran = len(editor.runs)
    page.button(text.EDIT).click(click_count=count)
    page.says(DONE)
    expect(page.page.locator("#history img")).to_have_count(1)
    page.page.wait_for_timeout(1000)  # a second edit would have begun by now
    expect(page.page.locator("#history img")).to_have_count(1)
    page.says(DONE)
    idle(page)
    assert len(editor.runs) - ran <= count and editor.most == 1


def test_cancel_stops_all_that_quick_clicks_asked_for(page: OpenPage, tmp_path: Path) -> None:
    ready(page, tmp_path)
    editor = page.served.fake(**SLOW)
    page.button(text.EDIT).click(click_count=3)
    page.says(RUNNING)
    page.press(text.CANCEL)
    page.says(text.STOPPED)
    idle(page)
    ran = len(editor.runs)
    page.page.wait_for_timeout(1000)  # another edit would have begun by now
    assert len(editor.runs) == ran
    page.says(text.STOPPED)
    page.served.fake()
    page.edit()


def test_a_click_on_edit_while_it_runs_runs_what_is_drawn_now(
    page: OpenPage, tmp_path: Path
) -> None:
    ready(page, tmp_path)
    editor = page.served.fake(**SLOW)
    ran = len(editor.runs)
    start(page)
    page.drag((100, 100), (150, 120))
    page.press(text.EDIT)
    page.until(lambda: len(editor.runs) > ran and editor.runs[-1][0].points[1:])
    page.served.fake()  # only now: it would let the first edit end too
    page.says(DONE)
    assert len(editor.runs[-1][0].points) == 2
    expect(page.page.locator("#history img")).to_have_count(1)


def test_who_waits_is_next_and_never_two_run_at_once(
    open_page: OpenNew, served: Served, tmp_path: Path
) -> None:
    first, second = open_page(), open_page()
    ready(first, tmp_path, "crimson")
    ready(second, tmp_path, "gold")
    editor = served.fake(**SLOW)
    start(first)
    second.press(text.EDIT)
    second.says(text.WAITING)
    expect(second.page.get_by_text("queue: 1/1")).to_be_visible()
    first.press(text.CANCEL)
    first.says(text.STOPPED)
    second.says(RUNNING)
    first.says(text.STOPPED)
    second.press(text.CANCEL)
    second.says(text.STOPPED)
    idle(second)
    assert editor.most == 1


def test_who_waits_may_give_up(open_page: OpenNew, served: Served, tmp_path: Path) -> None:
    first, second = open_page(), open_page()
    ready(first, tmp_path, "crimson")
    ready(second, tmp_path, "gold")
    editor = served.fake(**SLOW)
    start(first)
    ran = len(editor.runs)
    second.press(text.EDIT)
    expect(second.page.get_by_text("queue: 1/1")).to_be_visible()
    second.press(text.CANCEL)
    second.says(text.STOPPED)
    first.press(text.CANCEL)
    first.says(text.STOPPED)
    idle(first)
    served.fake()
    first.edit()
    assert len(editor.runs) == ran + 1
    second.says(text.STOPPED)


def test_two_sessions_get_their_own_results(
    open_page: OpenNew, served: Served, tmp_path: Path
) -> None:
    pages = open_page(), open_page()
    editor = served.fake(steps=5, pause=0.1)
    ran = len(editor.runs)
    before = [
        ready(one, tmp_path, colour, length)
        for one, colour, length in zip(pages, ("crimson", "gold"), (30, 60), strict=True)
    ]
    for one in pages:
        one.press(text.EDIT)
    for one, pixels, length in zip(pages, before, (30, 60), strict=True):
        one.says(DONE)
        after = np.asarray(one.result())
        assert np.array_equal(after[80:], pixels[80:])  # the fake editor paints the upper half
        expect(one.page.locator("#history img")).to_have_count(1)
        [task] = [task for task, *_ in editor.runs[ran:] if np.array_equal(task.source, pixels)]
        [((x0, _), (x1, _))] = task.points
        assert x1 - x0 == pytest.approx(length, abs=1)
    assert editor.most == 1


def test_a_closed_tab_frees_the_device(page: OpenPage, tmp_path: Path) -> None:
    ready(page, tmp_path)
    served = page.served
    served.fake(**SLOW)
    start(page)
    other = page.page.context.new_page()
    page.page.close()
    OpenPage(other, {}, served).until(lambda: served.editor.now == 0)
