"""Every tool of the canvas with a real mouse, and undo and redo of each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.ui.canvas.demo import ball_mask, portrait
from tests.ui.canvas.driver import Driver

pytestmark = [
    pytest.mark.browser,
    # Gradio keeps statistics with what pandas has given up.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.queueing"),
]

BALL = int(ball_mask().sum())


def near(*expected: float, by: float = 1.0) -> Any:
    """Equal to a number, or to a list of several, up to some."""
    return pytest.approx(expected[0] if len(expected) == 1 else list(expected), abs=by)


def steps_back_and_forth(driver: Driver, read: Callable[[dict[str, Any]], Any], before: Any) -> Any:
    """Undoes and redoes the last step; returns what it led to."""
    after = read(driver.told())
    assert after != before
    driver.act("undo").click()
    assert read(driver.told()) == before
    driver.key("Control+Shift+Z")
    assert read(driver.told()) == after
    return after


def arrows(told: dict[str, Any]) -> Any:
    return told["arrows"]


def mask(told: dict[str, Any]) -> Any:
    return told["source"]["mask"]


# Drag


def test_arrows_are_drawn_dragged_again_and_deleted(driver: Driver) -> None:
    driver.example()
    driver.tool("drag")
    driver.drag((40, 40), (80, 60))
    [first] = steps_back_and_forth(driver, arrows, [])
    assert first == near(40, 40, 80, 60)
    driver.drag((80, 60), (100, 30))
    assert steps_back_and_forth(driver, arrows, [first]) == [near(40, 40, 100, 30)]
    driver.drag((40, 40), (20, 20))
    assert arrows(driver.told()) == [near(20, 20, 100, 30)]
    driver.drag((200, 100), (220, 140))
    two = arrows(driver.told())
    driver.click((20, 20), button="right")
    assert steps_back_and_forth(driver, arrows, two) == [two[1]]
    driver.page.mouse.dblclick(*driver.at((220, 140)))
    assert arrows(driver.told()) == []


def test_the_chosen_arrow_is_deleted_by_key_and_by_button(driver: Driver) -> None:
    driver.example()
    driver.tool("drag")
    for y in (20, 60, 100):
        driver.drag((40, y), (80, y))
    driver.click((80, 60))
    driver.key("Delete")
    assert [arrow[1] for arrow in arrows(driver.told())] == near(20, 100)
    driver.click((40, 100))
    driver.act("delete").click()
    assert [arrow[1] for arrow in arrows(driver.told())] == [near(20)]
    driver.act("none").click()
    assert arrows(driver.told()) == []


def test_a_click_is_no_arrow_and_an_arrow_ends_at_the_edge(driver: Driver) -> None:
    driver.example()
    driver.tool("drag")
    driver.click((120, 30))
    assert arrows(driver.told()) == []
    driver.drag((120, 30), (400, 30))
    [arrow] = arrows(driver.told())
    assert arrow == near(120, 30, 240, 30) and arrow[2] < 240


def test_escape_gives_a_gesture_up(driver: Driver) -> None:
    driver.example()
    driver.tool("drag")
    driver.page.mouse.move(*driver.at((40, 40)))
    driver.page.mouse.down()
    driver.page.mouse.move(*driver.at((90, 90)))
    driver.key("Escape")
    driver.page.mouse.up()
    assert arrows(driver.told()) == []


# Masks


def test_the_brush_marks_and_the_eraser_takes_away(driver: Driver) -> None:
    driver.example()
    driver.mode("brush")
    driver.brush(40)
    driver.drag((20, 20), (60, 20))
    count, *box = steps_back_and_forth(driver, mask, [BALL, 90, 70, 151, 131])
    assert count > BALL + 40 * 4
    assert box[:2] == near(20, 20, by=5) and box[2:] == [151, 131]
    driver.mode("erase")
    driver.drag((10, 20), (80, 20))
    assert steps_back_and_forth(driver, mask, [count, *box])[0] < count
    driver.mode("brush")
    driver.drag((120, 70), (120, 130), button="right")
    assert mask(driver.told())[0] < BALL


def test_the_size_of_the_brush_follows_slider_and_keys(driver: Driver) -> None:
    driver.example()
    driver.mode("brush")
    driver.act("clear").click()
    counts: list[int] = []
    for value in (20, 60):
        driver.brush(value)
        driver.click((120, 30))
        counts.append(mask(driver.told())[0])
    driver.key("]", "]", "]")
    driver.click((120, 30))
    counts.append(mask(driver.told())[0])
    assert counts[0] < counts[1] < counts[2]


def test_boxes_are_marked_and_taken_away(driver: Driver) -> None:
    driver.example()
    driver.mode("box")
    driver.act("clear").click()
    driver.drag((20, 30), (70, 60))
    count, *box = steps_back_and_forth(driver, mask, [0])
    assert box == near(20, 30, 70, 60) and count == near(50 * 30, by=90)
    driver.page.keyboard.down("Alt")
    driver.drag((20, 30), (45, 60))
    driver.page.keyboard.up("Alt")
    assert steps_back_and_forth(driver, mask, [count, *box])[1] == near(45)


def test_clicks_segment_with_and_without(driver: Driver) -> None:
    driver.example()
    driver.mode("segment")
    driver.act("clear").click()
    rev = driver.rev()
    driver.click((50, 50))
    driver.wait_past(rev + 1)
    one, *box = steps_back_and_forth(driver, mask, [0])
    assert box == near(35, 35, 66, 66, by=2)
    rev = driver.rev()
    driver.click((100, 50))
    driver.wait_past(rev + 1)
    two = steps_back_and_forth(driver, mask, [one, *box])
    assert two[0] == pytest.approx(2 * one, rel=0.02)
    rev = driver.rev()
    driver.click((60, 50), button="right")
    driver.wait_past(rev + 1)
    assert steps_back_and_forth(driver, mask, two)[0] < two[0] - one / 2
    rev = driver.rev()
    driver.act("exclude").click()
    driver.click((100, 50))
    driver.wait_past(rev + 1)
    assert mask(driver.told())[3] == near(55, by=2)


def test_a_box_segments_and_adds_to_what_was_there(driver: Driver) -> None:
    driver.example()
    driver.mode("segment")
    rev = driver.rev()
    driver.drag((10, 10), (40, 30))
    driver.wait_past(rev + 1)
    count, *box = steps_back_and_forth(driver, mask, [BALL, 90, 70, 151, 131])
    assert count == near(BALL + 600, by=80) and box == near(10, 10, 151, 131)


def test_a_mask_file_is_added(driver: Driver, tmp_path: Path) -> None:
    inside = np.zeros((320, 480), np.bool_)
    inside[:20, :40] = True
    Image.fromarray(inside).save(tmp_path / "mask.png")
    driver.example()
    driver.mode("brush")
    rev = driver.rev()
    with driver.page.expect_file_chooser() as chooser:
        driver.act("upload").click()
    chooser.value.set_files(tmp_path / "mask.png")
    driver.wait_past(rev)
    before = [BALL, 90, 70, 151, 131]
    assert steps_back_and_forth(driver, mask, before) == [BALL + 200, 0, 0, 151, 131]


def test_a_mask_file_of_another_shape_is_refused_in_words(driver: Driver, tmp_path: Path) -> None:
    Image.new("1", (100, 100), 1).save(tmp_path / "mask.png")
    driver.example()
    driver.mode("brush")
    with driver.page.expect_file_chooser() as chooser:
        driver.act("upload").click()
    chooser.value.set_files(tmp_path / "mask.png")
    expect(driver.status()).to_contain_text("100 x 100 pixels and its picture 240 x 160")
    assert mask(driver.told())[0] == BALL


def test_a_mask_is_inverted_and_cleared(driver: Driver) -> None:
    driver.example()
    driver.mode("brush")
    driver.act("invert").click()
    before = [BALL, 90, 70, 151, 131]
    assert steps_back_and_forth(driver, mask, before) == [240 * 160 - BALL, 0, 0, 240, 160]
    driver.act("invert").click()
    driver.act("clear").click()
    assert steps_back_and_forth(driver, mask, before) == [0]


def test_the_fill_mask_is_another_mask(driver: Driver) -> None:
    driver.example()
    driver.mode("box")
    driver.act("fill").click()
    driver.drag((0, 120), (60, 160))
    fill = steps_back_and_forth(driver, lambda told: told["source"]["fill"], None)
    assert fill[1:] == near(0, 120, 60, 160)
    assert mask(driver.told())[0] == BALL


# Objects


def placement(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda told: list(told[name].values())


def test_the_object_is_dragged_and_resized(driver: Driver) -> None:
    driver.example()
    move = placement("move")
    driver.drag((120, 100), (150, 80))
    first = steps_back_and_forth(driver, move, [0, 0, 1])
    assert first == near(30, -20, 1)
    driver.drag((180, 110), (195, 125))  # the lower right corner, away from the centre
    second = steps_back_and_forth(driver, move, first)
    assert second == [*first[:2], pytest.approx(1.5, abs=0.05)]
    driver.page.mouse.move(*driver.at((150, 80)))
    driver.page.mouse.wheel(0, -300)
    driver.page.wait_for_function(
        "document.querySelector('#board .status').textContent.includes('resized')"
    )
    third = steps_back_and_forth(driver, move, second)
    assert third[2] > second[2]
    driver.act("back").click()
    assert steps_back_and_forth(driver, move, third) == [0, 0, 1]


def test_keys_nudge_and_resize_the_object_in_one_step_each(driver: Driver) -> None:
    driver.example()
    driver.key("ArrowRight", "ArrowRight", "ArrowUp", "Shift+ArrowDown")
    move = placement("move")
    assert steps_back_and_forth(driver, move, [0, 0, 1]) == [2, 9, 1]
    driver.key("+", "+", "-", "+")
    assert steps_back_and_forth(driver, move, [2, 9, 1]) == [2, 9, near(1.0404, by=1e-3)]


def test_an_object_of_the_second_picture_is_pasted(driver: Driver) -> None:
    driver.example()
    driver.tool("paste")
    driver.second()
    driver.mode("place")
    driver.drag((120, 100), (60, 60))
    paste = placement("paste")
    first = steps_back_and_forth(driver, paste, [0, 0, 1])
    assert first == near(-60, -40, 1)
    driver.drag((90, 90), (75, 75))
    assert steps_back_and_forth(driver, paste, first)[2] == near(0.5, by=0.05)
    assert placement("move")(driver.told()) == [0, 0, 1]


def test_the_mask_of_the_second_picture_is_drawn_there(driver: Driver) -> None:
    driver.example()
    driver.tool("appearance")
    driver.second()
    driver.mode("box")
    driver.drag((10, 10), (40, 40), side="reference")
    read: Callable[[dict[str, Any]], Any] = lambda told: told["reference"]["mask"]  # noqa: E731
    before = [BALL, 90, 70, 151, 131]
    assert steps_back_and_forth(driver, read, before)[1:] == near(10, 10, 151, 131)
    driver.act("clear").click()
    told = driver.told()
    assert (read(told), mask(told)) == ([0], before)


# Faces


def test_landmarks_are_found_and_moved_on_both_pictures(driver: Driver) -> None:
    driver.example()
    driver.tool("face")
    driver.second()
    rev = driver.rev()
    driver.act("find").click()
    driver.wait_past(rev + 1)
    found = np.array(driver.told()["reference"]["landmarks"])
    assert np.allclose(found, portrait(), atol=0.01)
    for side in ("source", "reference"):
        driver.drag(tuple(found[0]), (200, 90), side=side)
        read: Callable[[dict[str, Any]], Any] = lambda told, side=side: told[side]["landmarks"]  # noqa: E731
        after = steps_back_and_forth(driver, read, found.tolist())
        assert after[0] == near(200, 90) and after[1:] == found[1:].tolist()
    driver.act("forget").click()
    assert driver.told()["source"]["landmarks"] is None


def test_three_clicks_place_landmarks(driver: Driver) -> None:
    driver.example()
    driver.tool("face")
    driver.second()
    driver.act("three").click()
    expect(driver.status()).to_contain_text("eye that is on the left")
    driver.click((90, 60))
    expect(driver.status()).to_contain_text("eye on the right")
    driver.click((150, 60))
    rev = driver.rev()
    driver.click((120, 120))
    driver.wait_past(rev)
    read: Callable[[dict[str, Any]], Any] = lambda told: told["source"]["landmarks"]  # noqa: E731
    points = np.array(steps_back_and_forth(driver, read, None))
    assert points.mean(0).tolist() == near(120, 80)


def test_a_picture_without_a_face_is_told_in_words(driver: Driver, tmp_path: Path) -> None:
    Image.new("RGB", (100, 200), "teal").save(tmp_path / "tall.png")
    driver.open(tmp_path / "tall.png", (100, 200))
    driver.tool("face")
    driver.act("find").click()
    expect(driver.status()).to_contain_text("No face was found.")
