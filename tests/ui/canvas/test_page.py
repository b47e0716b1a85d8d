"""The canvas as a part of a page: its value, patches, screens, keyboard and names."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.ui.canvas.demo import ball_mask, picture
from tests.ui.canvas.driver import Driver
from ui.canvas.value import TOOLS

pytestmark = [
    pytest.mark.browser,
    # Gradio keeps statistics with what pandas has given up.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.queueing"),
]

BALL = int(ball_mask().sum())


def near(*expected: float, by: float = 1.0) -> Any:
    return pytest.approx(list(expected), abs=by)


# The value


def test_of_a_hundred_fast_gestures_none_is_lost(driver: Driver) -> None:
    driver.example()
    driver.tool("drag")
    mouse = driver.page.mouse
    for n in range(100):
        x, y = driver.at((20 + 20 * (n % 10), 10 + 12 * (n // 10)))
        mouse.move(x, y)
        mouse.down()
        mouse.move(x + 30, y + 14)
        mouse.up()
    assert len(driver.told()["arrows"]) == 100
    driver.drag((5, 5), (15, 150))
    expect(driver.status()).to_contain_text("There are 100 arrows")
    driver.key(*["Control+z"] * 100)
    assert driver.told()["arrows"] == []


@pytest.mark.parametrize("mode", ["place", "brush"])
def test_what_is_pressed_as_a_gesture_ends_uses_that_gesture(mode: str, driver: Driver) -> None:
    driver.example()
    driver.mode(mode)
    before = driver.told()
    driver.page.evaluate(
        "window.addEventListener('pointerup', () => document.querySelector('#read').click(),"
        " {once: true})"
    )
    driver.drag((110, 100), (60, 60))
    told = driver.page.locator("#told textarea")
    expect(told).not_to_have_value(json.dumps(before, separators=(",", ":")))
    after = json.loads(told.input_value())
    assert after["rev"] == before["rev"] + 1
    if mode == "place":
        assert [after["move"]["dx"], after["move"]["dy"]] == near(-50, -40)
    else:
        assert after["source"]["mask"][0] > BALL


def test_tabs_share_one_picture_mask_and_history(driver: Driver) -> None:
    driver.example()
    driver.drag((120, 100), (140, 90))
    driver.tool("drag")
    driver.drag((30, 30), (60, 40))
    driver.tool("face")
    driver.tool("appearance")
    driver.tool("move")
    told = driver.told()
    assert [told["move"]["dx"], told["move"]["dy"]] == near(20, -10)
    assert told["source"]["mask"][0] == BALL and len(told["arrows"]) == 1
    driver.act("undo").click()
    driver.act("undo").click()
    told = driver.told()
    assert told["arrows"] == [] and told["move"] == {"dx": 0, "dy": 0, "scale": 1}
    expect(driver.status()).to_contain_text("Undone: the object is moved.")


def test_undo_brings_the_picture_before_back(driver: Driver, tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), "gold").save(tmp_path / "other.png")
    driver.example()
    driver.drag((120, 100), (140, 90))
    driver.open(tmp_path / "other.png", (300, 200))
    told = driver.told()
    assert told["source"] == {"size": [300, 200], "mask": [0], "fill": None, "landmarks": None}
    assert told["move"]["dx"] == 0
    rev = driver.rev()
    driver.act("undo").click()
    driver.wait_past(rev)
    told = driver.told()
    assert told["source"]["size"] == [240, 160] and told["source"]["mask"][0] == BALL
    assert told["move"]["dx"] == pytest.approx(20, abs=1)


def test_a_patch_changes_only_what_it_says(driver: Driver) -> None:
    driver.example()
    driver.drag((120, 100), (140, 90))
    before = driver.told()
    driver.press("arrows")
    after = driver.told()
    assert after["arrows"] == [[10, 10, 60, 40]]
    assert {**after, "arrows": [], "rev": 0} == {**before, "rev": 0}
    driver.act("undo").click()
    assert driver.told()["arrows"] == []


def test_what_follows_a_patch_reads_the_whole_value(driver: Driver) -> None:
    driver.example()
    told = driver.page.locator("#told textarea")
    expect(told).to_have_value(re.compile(rf'"mask":\[{BALL},'))


def test_a_canvas_is_wiped_and_filled_again(driver: Driver) -> None:
    driver.example()
    driver.press("wipe")
    assert driver.told()["source"] is None
    expect(driver.status()).to_contain_text("Open a picture")
    driver.example()
    assert driver.told()["source"]["mask"][0] == BALL


def test_the_page_is_told_of_every_change_but_the_preview(driver: Driver) -> None:
    edits = driver.page.locator("#edits input")
    driver.example()
    expect(edits).to_have_value("1")
    driver.drag((120, 100), (140, 90))
    expect(edits).to_have_value("2")
    driver.page.locator("#preview").click()
    expect(driver.act("peek")).to_be_visible()
    driver.drag((140, 90), (120, 100))
    expect(edits).to_have_value("3")


# What is shown


def colour(driver: Driver, place: tuple[float, float], side: str = "source") -> tuple[int, ...]:
    """The colour that is drawn at a place of a picture."""
    box = driver.surface(side).bounding_box()
    assert box is not None
    x, y = driver.at(place, side)
    driver.page.evaluate("() => new Promise(requestAnimationFrame)")
    return tuple(
        driver.surface(side).evaluate(
            "(canvas, [x, y]) => [...canvas.getContext('2d').getImageData("
            "x * devicePixelRatio, y * devicePixelRatio, 1, 1).data].slice(0, 3)",
            [x - box["x"], y - box["y"]],
        )
    )


SKY, BALL_RED, GOLD = (135, 206, 235), (220, 20, 60), (255, 215, 0)


def test_the_preview_is_a_layer_of_one_state(driver: Driver) -> None:
    driver.example()
    before = driver.told()
    assert colour(driver, (30, 30)) == SKY
    driver.page.locator("#preview").click()
    expect(driver.act("peek")).to_be_visible()
    driver.page.wait_for_load_state("networkidle")
    shown = colour(driver, (30, 30))
    assert shown == pytest.approx(GOLD, abs=6)
    assert driver.told() == before
    driver.act("peek").click()
    assert colour(driver, (30, 30)) == SKY
    driver.act("peek").click()
    assert colour(driver, (30, 30)) == shown
    driver.key("ArrowRight")
    expect(driver.act("peek")).to_be_hidden()
    assert colour(driver, (30, 30)) == SKY


def test_the_object_is_seen_where_it_goes(driver: Driver) -> None:
    driver.example()
    driver.drag((120, 100), (60, 40))
    seen = np.array(colour(driver, (60, 40)))
    assert np.abs(seen - BALL_RED).max() < 40


def test_an_object_of_another_picture_is_seen_on_the_first(driver: Driver) -> None:
    driver.example()
    driver.tool("paste")
    driver.second()
    driver.mode("place")
    driver.drag((120, 100), (60, 40))
    seen = np.array(colour(driver, (60, 40)))
    assert np.abs(seen - GOLD).max() < 40


def test_zoom_and_pan_move_the_view_not_the_edit(driver: Driver) -> None:
    driver.example()
    driver.tool("drag")
    x, y = driver.at((120, 80))
    mouse = driver.page.mouse
    mouse.move(x, y)
    driver.page.keyboard.down("Control")
    mouse.wheel(0, -800)
    driver.page.keyboard.up("Control")
    driver.mode("hand")
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 60, y)
    mouse.up()
    driver.mode("place")
    mouse.move(x + 60, y)  # the place that was zoomed at
    mouse.down()
    mouse.move(x + 120, y)
    mouse.up()
    [arrow] = driver.told()["arrows"]
    scale = (driver.at((220, 80))[0] - x) / 100 * np.exp(0.0015 * 800)
    assert arrow == near(120, 80, 120 + 60 / scale, 80, by=0.3)
    driver.act("fit").click()
    driver.drag((30, 30), (60, 50))
    assert driver.told()["arrows"][1] == near(30, 30, 60, 50)


def test_space_and_the_middle_button_pan(driver: Driver) -> None:
    driver.example()
    driver.tool("drag")
    driver.drag((100, 80), (120, 80), button="middle")
    driver.surface().focus()
    driver.page.keyboard.down(" ")
    driver.drag((100, 80), (120, 80))
    driver.page.keyboard.up(" ")
    assert driver.told()["arrows"] == []
    driver.drag((140, 80), (160, 80))
    assert driver.told()["arrows"] == [near(100, 80, 120, 80)]


# Pictures


@pytest.mark.parametrize(("size", "name"), [((4000, 3000), "large.jpg"), ((480, 1200), "tall.png")])
def test_pictures_of_any_shape_are_edited_in_their_own_pixels(
    size: tuple[int, int], name: str, driver: Driver, tmp_path: Path
) -> None:
    width, height = size
    Image.radial_gradient("L").convert("RGB").resize(size).save(tmp_path / name)
    driver.open(tmp_path / name, size)
    driver.drag((0.2 * width, 0.3 * height), (0.5 * width, 0.6 * height))
    driver.mode("box")
    driver.drag((0.5 * width, 0.5 * height), (0.75 * width, 0.75 * height))
    told = driver.told()
    assert told["source"]["size"] == [width, height]
    expected = [0.2 * width, 0.3 * height, 0.5 * width, 0.6 * height]
    assert told["arrows"] == [near(*expected, by=width / 200)]
    _, *box = told["source"]["mask"]
    share = [box[0] / width, box[1] / height, box[2] / width, box[3] / height]
    assert share == near(0.5, 0.5, 0.75, 0.75, by=0.01)


def test_a_picture_is_dropped_and_pasted(driver: Driver) -> None:
    make = (
        "async (target, [kind, key]) => {"
        " const canvas = new OffscreenCanvas(64, 48); canvas.getContext('2d').fillRect(0, 0, 9, 9);"
        " const data = new DataTransfer();"
        " data.items.add(new File([await canvas.convertToBlob()], 'a.png', {type: 'image/png'}));"
        " target.dispatchEvent(new (kind === 'drop' ? DragEvent : ClipboardEvent)(kind,"
        " {[key]: data, bubbles: true})); }"
    )
    for kind, key in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        rev = driver.rev()
        driver.stage().evaluate(make, [kind, key])
        driver.wait_past(rev)
        assert driver.told()["source"]["size"] == [64, 48]


@pytest.mark.parametrize(("kind", "stays"), [("Files", True), ("text/plain", False)])
def test_a_file_that_is_dropped_beside_a_picture_does_not_open(
    kind: str, stays: bool, driver: Driver
) -> None:
    prevented = driver.page.evaluate(
        "(kind) => ['dragover', 'drop'].map((name) => { const data = new DataTransfer();"
        " if (kind === 'Files') data.items.add(new File(['x'], 'x.png'));"
        " else data.setData(kind, 'x');"
        " const event = new DragEvent(name, {dataTransfer: data, bubbles: true, cancelable: true});"
        " document.body.dispatchEvent(event); return event.defaultPrevented; })",
        kind,
    )
    assert prevented == [stays, stays]
    assert driver.rev() == 0


def test_the_browser_asks_before_it_leaves_a_picture(driver: Driver) -> None:
    asked: list[str] = []
    driver.page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    driver.example()
    driver.page.evaluate(  # with an answer of Python under way
        """() => {
            document.querySelector("#arrows").click();
            setTimeout(() => { location.href = "about:blank"; }, 60);
        }"""
    )
    driver.page.wait_for_timeout(1000)
    assert asked == ["beforeunload"]
    driver.press("arrows")  # who stays goes on
    assert driver.told()["arrows"] == [[10, 10, 60, 40]]


LEAVE = """() => {
    const event = new Event("beforeunload", {cancelable: true});
    window.dispatchEvent(event);
    return event.defaultPrevented;
}"""


def test_the_browser_does_not_ask_before_it_leaves_nothing(browser: Browser, demo: str) -> None:
    """On a page that is not watched: Gradio, which is left, complains that it cannot go on."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(demo)
        Driver(page, {}).settle()
        assert page.evaluate(LEAVE) is False


def test_a_file_that_is_no_picture_is_refused_in_words(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "note.png").write_text("no picture")
    with driver.page.expect_file_chooser() as chooser:
        driver.stage().locator("[data-open]:visible").click()
    chooser.value.set_files(tmp_path / "note.png")
    expect(driver.status()).to_contain_text("The image")
    assert driver.told().get("source") is None


def test_the_name_of_a_file_is_never_markup(driver: Driver, tmp_path: Path) -> None:
    path = tmp_path / "<img src=x onerror=document.title=1>.png"
    picture().save(path)
    driver.open(path, (240, 160))
    assert driver.root.locator("img").count() == 0
    assert driver.page.title() == "Canvas"


# Screens

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.mark.parametrize("screen", [PHONE])
def test_fingers_draw_erase_and_zoom_on_a_phone(driver: Driver) -> None:
    driver.example()
    driver.tool("drag")
    a, b = driver.at((60, 60)), driver.at((120, 90))
    driver.touch([a], [((a[0] + b[0]) / 2, a[1])], [b])
    assert driver.told()["arrows"] == [near(60, 60, 120, 90)]
    driver.mode("brush")
    driver.touch([driver.at((20, 20))], [driver.at((60, 20))])
    count = driver.told()["source"]["mask"][0]
    assert count > BALL
    c = driver.at((120, 80))
    driver.touch(
        [(c[0] - 20, c[1]), (c[0] + 20, c[1])],
        [(c[0] - 40, c[1]), (c[0] + 40, c[1])],
        [(c[0] - 60, c[1]), (c[0] + 60, c[1])],
    )
    assert driver.told()["source"]["mask"][0] == count
    driver.mode("box")
    driver.act("clear").click()
    driver.touch([(c[0] - 30, c[1] - 30)], [(c[0] + 30, c[1] + 30)])
    _, left, _, right, _ = driver.told()["source"]["mask"]
    scale = driver.at((121, 80))[0] - c[0]
    assert right - left == pytest.approx(60 / scale / 3, abs=3)


@pytest.mark.parametrize("screen", [PHONE])
def test_nothing_is_cut_off_on_a_phone(driver: Driver) -> None:
    driver.example()
    driver.second()
    for tool in TOOLS:
        driver.tool(tool)
        for box in boxes(driver, "button, input, canvas, .status"):
            assert box["left"] >= 0 and box["right"] <= 390, tool
        assert driver.page.evaluate("document.documentElement.scrollWidth") <= 390


def boxes(driver: Driver, selector: str) -> list[dict[str, float]]:
    """Where the visible elements are on the screen."""
    return driver.root.evaluate(
        "(root, selector) => [...root.querySelectorAll(selector)]"
        ".filter((one) => one.checkVisibility())"
        ".map((one) => one.getBoundingClientRect().toJSON())",
        selector,
    )


@pytest.mark.parametrize("dark", [False, True])
def test_text_is_read_well_in_light_and_dark(dark: bool, driver: Driver) -> None:
    driver.page.evaluate("dark => document.body.classList.toggle('dark', dark)", dark)
    driver.example()
    driver.mode("brush")
    for text in (".status", "[data-act=invert]", "[data-mode=brush]", "[data-mode=box]"):
        assert contrast(driver, text) > 4.5, text


def contrast(driver: Driver, selector: str) -> float:
    """WCAG contrast of an element's text with what lies behind it."""
    text, behind = driver.root.locator(selector).evaluate(
        "element => { const style = getComputedStyle(element); let behind = element;"
        " const clear = (one) => getComputedStyle(one).backgroundColor.endsWith(', 0)');"
        " while (behind.parentElement && clear(behind)) behind = behind.parentElement;"
        " return [style.color, getComputedStyle(behind).backgroundColor]; }"
    )
    dark, light = sorted(luminance(one) for one in (text, behind))
    return (light + 0.05) / (dark + 0.05)


def luminance(css: str) -> float:
    numbers = css[css.index("(") + 1 : -1].split(",")[:3]
    channels = [float(number) / 255 for number in numbers]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


# Keyboard and names


def test_everything_is_done_with_the_keyboard_alone(driver: Driver) -> None:
    driver.example()
    driver.tool("drag")
    driver.surface().focus()
    step = 240 / 256
    driver.key("Enter", "Enter", "Shift+ArrowRight", "Shift+ArrowDown", "Enter")
    [arrow] = driver.told()["arrows"]
    assert arrow == near(120, 80, 120 + 10 * step, 80 + 10 * step, by=0.1)
    driver.key("Escape", ".", "ArrowLeft", "Shift+ArrowUp")
    assert driver.told()["arrows"][0][:2] == near(119, 70, by=0.1)
    driver.key("Control+z")
    assert driver.told()["arrows"][0][:2] == near(120, 80, by=0.1)
    driver.key(",", "Delete")
    assert driver.told()["arrows"] == []
    driver.key("r", "Enter", "Shift+ArrowLeft", *["Shift+ArrowUp"] * 5, "Enter")
    assert driver.told()["source"]["mask"][0] > BALL
    driver.key("e", "]", "Enter", "Shift+ArrowDown", "Enter")
    driver.key("s", "Enter")
    driver.page.wait_for_load_state("networkidle")
    driver.key("Control+z", "Control+z", "Control+z")
    assert driver.told()["source"]["mask"][0] == BALL


def test_the_focus_goes_from_the_tools_to_the_pictures(driver: Driver) -> None:
    driver.example()
    driver.tool("paste")
    driver.second()
    driver.root.locator("[data-mode=place]").focus()
    seen: list[str] = []
    for _ in range(6):
        driver.page.keyboard.press("Tab")
        seen.append(
            driver.page.evaluate(
                "document.activeElement.closest('.canvas') &&"
                " (document.activeElement.ariaLabel ?? document.activeElement.tagName)"
            )
        )
    assert [name for name in seen if name] == [
        *("Brush size", "Your picture", "Open another picture"),
        *("Second picture", "Open another second picture"),
    ]


def test_arrow_keys_go_through_the_tools(driver: Driver) -> None:
    driver.example()
    driver.root.locator("[data-mode=place]").focus()
    driver.page.keyboard.press("ArrowRight")
    driver.page.keyboard.press("Enter")
    expect(driver.root).to_have_attribute("data-mode", "brush")
    driver.page.keyboard.press("Tab")
    expect(driver.root.locator(".size input")).to_be_focused()


def test_the_tools_keep_a_tab_stop_when_a_group_of_them_goes(driver: Driver) -> None:
    driver.example()
    driver.mode("segment")
    driver.act("exclude").click()
    stops = (
        "root => [...root.querySelectorAll('.bar button')]"
        ".filter((one) => one.tabIndex === 0 && one.checkVisibility() && !one.disabled).length"
    )
    assert driver.root.evaluate(stops) == 1
    driver.key("v")
    expect(driver.act("exclude")).to_be_hidden()
    assert driver.root.evaluate(stops) == 1


def test_every_control_has_a_name_and_says_what_it_does(driver: Driver) -> None:
    driver.example()
    for tool in TOOLS:
        driver.tool(tool)
        for mode in driver.root.locator("[data-mode]:visible").all():
            mode.click()
            assert nameless(driver) == []


def nameless(driver: Driver) -> list[str]:
    """Visible controls without a name, or buttons of the tool bar without a tooltip."""
    return driver.root.evaluate(
        "root => [...root.querySelectorAll('button, input, canvas')]"
        ".filter((one) => one.checkVisibility())"
        ".filter((one) => !(one.ariaLabel || one.textContent.trim())"
        " || (one.closest('.bar') && !one.title))"
        ".map((one) => one.outerHTML)"
    )
