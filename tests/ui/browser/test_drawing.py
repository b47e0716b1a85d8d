"""Every tool of the canvas on the page itself, with a real mouse, and undo and redo of each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.ui.browser.page import OpenPage
from tests.ui.canvas.demo import BALL, ball_mask

pytestmark = [
    pytest.mark.browser,
    # Gradio keeps statistics with what pandas has given up.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.queueing"),
]

Read = Callable[[dict[str, Any]], Any]


def near(*expected: float, by: float = 1.0) -> Any:
    return pytest.approx(expected[0] if len(expected) == 1 else list(expected), abs=by)


def there_and_back(page: OpenPage, read: Read, do: Callable[[], None]) -> Any:
    """Does a step, undoes and redoes it; returns what it led to."""
    before, rev = read(page.told()), page.rev()
    do()
    page.wait_past(rev)
    after = read(page.told())
    assert after != before
    page.act("undo").click()
    assert read(page.told()) == before
    page.act("redo").click()
    assert read(page.told()) == after
    return after


def arrows(told: dict[str, Any]) -> Any:
    return told["arrows"]


def mask(told: dict[str, Any]) -> Any:
    return told["source"]["mask"]


def fill(told: dict[str, Any]) -> Any:
    return told["source"]["fill"]


def faces(told: dict[str, Any]) -> Any:
    return [told[side]["landmarks"] for side in ("source", "reference")]


def placed(tool: str) -> Read:
    return lambda told: [told[tool][name] for name in ("dx", "dy", "scale")]


def test_arrows(page: OpenPage, tmp_path: Path) -> None:
    page.load(tmp_path)
    for drawn, expected in (
        (((40, 40), (80, 60)), [near(40, 40, 80, 60)]),
        (((80, 60), (100, 30)), [near(40, 40, 100, 30)]),  # the end
        (((40, 40), (20, 20)), [near(20, 20, 100, 30)]),  # the start
        (((20, 90), (60, 110)), [near(20, 20, 100, 30), near(20, 90, 60, 110)]),
    ):
        assert there_and_back(page, arrows, lambda drawn=drawn: page.drag(*drawn)) == expected
    delete = page.act("delete")
    page.click((20, 20))
    assert there_and_back(page, arrows, delete.click) == [near(20, 90, 60, 110)]
    assert there_and_back(page, arrows, lambda: page.click((60, 110), button="right")) == []
    page.drag((20, 20), (60, 20))
    page.drag((20, 60), (60, 60))
    assert there_and_back(page, arrows, page.act("none").click) == []


def test_masks(page: OpenPage, tmp_path: Path) -> None:
    page.load(tmp_path)
    Image.fromarray(ball_mask()).save(tmp_path / "mask.png")
    page.mode("brush")
    brushed = there_and_back(page, mask, lambda: page.drag((40, 40), (80, 40)))
    page.mode("erase")
    erased = there_and_back(page, mask, lambda: page.drag((80, 20), (80, 60)))
    assert 0 < erased[0] < brushed[0]
    page.mode("box")
    _, *corners = there_and_back(page, mask, lambda: page.drag((10, 10), (100, 60)))
    assert corners == near(10, 10, 100, 60)
    all_of_it = 240 * 160
    boxed = mask(page.told())[0]
    assert there_and_back(page, mask, page.act("invert").click)[0] == all_of_it - boxed
    assert there_and_back(page, mask, page.act("clear").click) == [0]

    def open_mask() -> None:
        with page.page.expect_file_chooser() as chooser:
            page.act("upload").click()
        chooser.value.set_files(tmp_path / "mask.png")

    assert there_and_back(page, mask, open_mask)[0] == ball_mask().sum()


def test_selecting(page: OpenPage, tmp_path: Path) -> None:
    """With the page's own segmenter."""
    page.load(tmp_path)
    page.mode("segment")
    left, top, right, bottom = BALL
    _, *found = there_and_back(
        page, mask, lambda: page.drag((left - 8, top - 8), (right + 8, bottom + 8))
    )
    assert found == near(*BALL, by=6)
    page.act("exclude").click()
    before = mask(page.told())
    rev = page.rev()
    page.click(((left + right) / 2, (top + bottom) / 2))
    page.wait_past(rev)
    assert mask(page.told()) != before
    page.key("Control+z", "Control+z")
    assert mask(page.told()) == [0]


def test_moving_and_resizing(page: OpenPage, tmp_path: Path) -> None:
    page.load(tmp_path)
    page.tool("move")
    page.mode("box")
    page.drag(BALL[:2], BALL[2:])
    page.act("fill").click()
    assert there_and_back(page, fill, lambda: page.drag((10, 10), (40, 40)))[0] == near(900, by=70)
    page.mode("place")
    read = placed("move")
    assert there_and_back(page, read, lambda: page.drag((120, 100), (140, 90))) == near(20, -10, 1)
    corner = (BALL[2] + 20, BALL[3] - 10)
    larger = there_and_back(page, read, lambda: page.drag(corner, (corner[0] + 15, corner[1] + 15)))
    assert larger[2] == near(1.5, by=0.05)
    page.page.mouse.move(*page.at((140, 90)))
    smaller = there_and_back(page, read, lambda: page.page.mouse.wheel(0, 100))
    assert smaller[2] < larger[2]
    nudged = there_and_back(page, read, lambda: page.key("Shift+ArrowLeft"))
    assert nudged[0] == near(smaller[0] - 10, by=0.01)
    assert there_and_back(page, read, page.act("back").click) == [0, 0, 1]


def test_pasting(page: OpenPage, tmp_path: Path) -> None:
    page.load(tmp_path)
    page.tool("paste")
    page.load(tmp_path, "reference", colour="gold")
    page.mode("box")

    def second(told: dict[str, Any]) -> Any:
        return told["reference"]["mask"]

    def marked() -> None:
        page.drag(BALL[:2], BALL[2:], side="reference")

    assert there_and_back(page, second, marked)[0] == near(3600, by=150)
    page.mode("place")
    read = placed("paste")
    x, y, _ = read(page.told())
    at = (120 + x, 100 + y)
    away = there_and_back(page, read, lambda: page.drag(at, (at[0] + 20, at[1] + 10)))
    assert away == near(x + 20, y + 10, 1)


def test_points_of_faces(page: OpenPage, tmp_path: Path) -> None:
    page.load(tmp_path)
    page.tool("face")
    page.load(tmp_path, "reference", colour="gold")

    def find() -> None:
        rev = page.rev()
        page.act("find").click()
        page.wait_past(rev + 1)

    find()
    found = faces(page.told())
    assert None not in found
    x, y = found[0][30]
    moved = there_and_back(page, faces, lambda: page.drag((x, y), (x + 9, y + 4)))
    assert moved[0][30] == near(x + 9, y + 4)
    assert moved[1] == found[1]
    assert there_and_back(page, faces, page.act("forget").click) == [None, None]

    def three() -> None:
        page.act("three").click()
        for place in ((100, 60), (140, 60), (120, 110)):
            page.click(place)

    assert np.mean(there_and_back(page, faces, three)[0], axis=0)[0] == near(120, by=6)


def test_the_view_is_no_part_of_the_edit(page: OpenPage, tmp_path: Path) -> None:
    page.load(tmp_path)
    page.drag((40, 40), (80, 60))
    before = page.told()
    for act in ("larger", "larger", "smaller"):
        page.act(act).click()
    page.mode("hand")
    page.drag((40, 40), (80, 60))
    page.act("fit").click()
    page.mode("place")
    assert page.told() == before
    page.drag((100, 100), (140, 120))
    assert arrows(page.told())[1] == near(100, 100, 140, 120)


def test_tabs_share_the_picture_the_mask_and_the_history(page: OpenPage, tmp_path: Path) -> None:
    page.load(tmp_path)
    page.drag((120, 100), (130, 100))
    page.mode("box")
    page.drag(BALL[:2], BALL[2:])
    page.page.get_by_label("What your picture shows (optional)").fill("a ball")
    page.tool("move")
    page.mode("place")
    page.drag((120, 100), (140, 90))
    for tool in ("paste", "appearance", "face", "drag", "move"):
        page.tool(tool)
    told = page.told()
    assert len(told["arrows"]) == 1 and mask(told)[0] == near(3600, by=150)
    assert placed("move")(told) == near(20, -10, 1)
    expect(page.page.get_by_label("What your picture shows (optional)")).to_have_value("a ball")
    page.edit()
    task, *_ = page.served.editor.runs[-1]
    assert (task.name, task.prompt) == ("move", "a ball")
    for _ in range(3):
        page.act("undo").click()
    told = page.told()
    assert (told["arrows"], mask(told), placed("move")(told)) == ([], [0], [0, 0, 1])
