"""What is drawn fast is what is edited: the last gesture too, and none is lost."""

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

from tests.ui.browser.page import DONE, OpenPage
from ui import text

pytestmark = [
    pytest.mark.browser,
    # Gradio keeps statistics with what pandas has given up.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.queueing"),
]


def press_as_the_pointer_rises(page: Page) -> None:
    """Edit is clicked in the very event in which the next gesture ends."""
    page.evaluate(
        "name => { const edit = [...document.querySelectorAll('button')]"
        ".find((one) => one.textContent.trim() === name);"
        " window.addEventListener('pointerup', () => edit.click(), {once: true}); }",
        text.EDIT,
    )


def test_of_a_hundred_fast_arrows_all_reach_the_edit(page: OpenPage, tmp_path: Path) -> None:
    page.load(tmp_path)
    page.mode("box")
    page.drag((1, 1), (239, 159))
    page.mode("place")
    mouse, drawn = page.page.mouse, []
    page.surface().scroll_into_view_if_needed()
    for n in range(100):
        start = (12 + 22 * (n % 10), 8 + 14 * (n // 10))
        end = (start[0] + 11, start[1] + 5)
        (x0, y0), (x1, y1) = page.at(start), page.at(end)
        mouse.move(x0, y0)
        mouse.down()
        mouse.move(x1, y1)
        mouse.up()
        drawn.append((start, end))
    page.edit()
    task, *_ = page.served.editor.runs[-1]
    assert np.array(task.points) == pytest.approx(np.array(drawn), abs=0.6)


def test_of_fifty_fast_strokes_all_reach_the_edit(page: OpenPage, tmp_path: Path) -> None:
    page.load(tmp_path)
    page.drag((120, 80), (121, 90))
    page.mode("brush")
    page.brush(30)
    mouse, places = page.page.mouse, [(12 + 24 * (n % 10), 10 + 34 * (n // 10)) for n in range(50)]
    for x, y in places:
        mouse.move(*page.at((x, y)))
        mouse.down()
        mouse.move(*page.at((x + 8, y + 6)))
        mouse.up()
    page.drag((116, 80), (124, 80))  # where the arrow starts
    page.edit()
    task, *_ = page.served.editor.runs[-1]
    assert all(task.mask[y, x] and task.mask[y + 6, x + 8] for x, y in places)
    assert not task.mask[27, 12:230].any()


def test_an_edit_in_the_instant_in_which_an_arrow_ends(page: OpenPage, tmp_path: Path) -> None:
    page.load(tmp_path)
    page.mode("box")
    page.drag((10, 10), (200, 150))
    page.mode("place")
    press_as_the_pointer_rises(page.page)
    page.drag((50, 60), (70, 90))
    page.says(DONE)
    task, *_ = page.served.editor.runs[-1]
    assert np.array(task.points) == pytest.approx(np.array([((50, 60), (70, 90))]), abs=0.6)


def test_an_edit_in_the_instant_in_which_a_stroke_ends(page: OpenPage, tmp_path: Path) -> None:
    page.load(tmp_path)
    page.drag((50, 60), (70, 90))
    page.mode("brush")
    page.drag((40, 60), (60, 60))
    page.edit()
    ran = len(page.served.editor.runs)
    press_as_the_pointer_rises(page.page)
    page.drag((150, 120), (190, 120))
    page.until(lambda: len(page.served.editor.runs) > ran)
    task, *_ = page.served.editor.runs[-1]
    assert task.mask[120, 170] and task.mask[60, 50]
