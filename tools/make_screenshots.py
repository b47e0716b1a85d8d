"""Make docs/images/page-*.png: the page with each tool before and after an edit, dark, on a phone.

    python tools/make_screenshots.py [SHOT ...] [--out docs/images]

The page is served here, on the embedded model, and driven in the Chromium of the path. Examples,
gestures and seeds are fixed, so that the pictures change only with the page or the model (and the
seconds that they tell). They take minutes: the edits are real. Without a SHOT all are made.
"""

import argparse
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from ui import results, settings, text
from ui.launch import launch
from ui.models import Models
from ui.tabs import TOOLS

ROOT = Path(__file__).resolve().parents[1]
DESK = {"viewport": {"width": 1440, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True}
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LEVELS = 63
"""Steps from dark to light of each colour in a picture."""
PATIENCE = 900_000
"""Milliseconds that an edit may take."""
SETTLED = 800
"""Milliseconds after which what moves on the page stands still."""


@dataclass
class Desk:
    """The open page, and what a user does on it."""

    page: Page

    def wait(self, script: str, argument: Any = None) -> None:
        self.page.wait_for_function(script, arg=argument)

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def example(self, tool: str, number: int) -> None:
        """Opens a tool's tab and its example, counted from 1, and waits for the preview."""
        self.page.get_by_role("tab", name=TOOLS[tool].title, exact=True).click()
        self.page.locator(".examples:visible button").nth(number - 1).click()
        self.wait("tool => document.querySelector('#board .canvas').dataset.tool === tool", tool)
        self.previewed()

    def keys(self, *keys: str) -> None:
        """Presses keys on the first picture."""
        surface = self.page.locator("#board .stage[data-side=source] canvas")
        for key in keys:
            surface.press(key)
        self.previewed()

    def previewed(self) -> None:
        """Waits until the preview of the present state is on the canvas."""
        self.page.locator("#board [data-act=peek]").wait_for()
        self.settle()

    def settle(self) -> None:
        """Leaves the page at rest, seen from its top."""
        self.page.mouse.move(0, 0)
        self.page.evaluate("scrollTo(0, 0)")
        self.page.wait_for_timeout(SETTLED)

    def option(self, label: str, option: str) -> None:
        """Chooses the option whose name begins so in a list."""
        self.page.get_by_label(label, exact=True).click()
        self.page.get_by_role("option").filter(has_text=option).first.click()

    def edit(self, results_then: int = 1) -> None:
        """Runs the edit to its end, after which the history has so many results."""
        self.press(text.EDIT)
        number = "document.querySelectorAll('#history .thumbnail-item').length"
        self.wait(f"then => {number} === then", results_then)
        self.wait("document.querySelector('#status textarea').value.includes('Done in')")
        self.wait("[...document.querySelectorAll('#result img')].every((img) => img.complete)")
        self.settle()


# Gestures, each on an example of its tool


def drag(desk: Desk) -> None:
    """Pulls a ring further than the example does."""
    desk.example("drag", 3)
    desk.keys(".", ".", *3 * ["ArrowRight"])


def move(desk: Desk) -> None:
    """Moves a ring to the right, and up."""
    desk.example("move", 1)
    desk.keys("v", "Shift+ArrowUp")


def paste(desk: Desk) -> None:
    """Brings a cylinder over, a bit larger."""
    desk.example("paste", 3)
    desk.keys("v", "+", "+")


def appearance(desk: Desk) -> None:
    """Gives a cylinder the look of a ring."""
    desk.example("appearance", 3)


def face(desk: Desk) -> None:
    """Lets a man laugh; the points of both faces are found and shown."""
    desk.example("face", 1)
    desk.press("Find points")
    desk.wait("document.querySelector('#board .canvas').ariaBusy === 'false'")
    desk.previewed()


GESTURES: dict[str, Callable[[Desk], None]] = {
    "drag": drag,
    "move": move,
    "paste": paste,
    "appearance": appearance,
    "face": face,
}


# Shots: the name of a picture and when to take it


def tool(name: str, desk: Desk) -> Iterator[str]:
    """A tool before and after its edit."""
    GESTURES[name](desk)
    yield f"{name}-before"
    desk.edit()
    yield f"{name}-after"


def compared(desk: Desk) -> Iterator[str]:
    """The baseline and the method on the same edit, on the two halves of the slider."""
    move(desk)
    desk.option(settings.PRESET, "dragondiffusion")
    desk.edit()
    desk.option(settings.PRESET, "diffeditor")
    desk.edit(results_then=2)
    desk.option(results.COMPARE, "1: move")
    desk.settle()
    yield "compare"


def dark(desk: Desk) -> Iterator[str]:
    """Four seeds of a quick preset, in the dark."""
    desk.example("drag", 2)
    desk.option(settings.PRESET, "fast")
    desk.page.get_by_label(f"number input for {settings.VARIATIONS}").fill("4")
    desk.edit(results_then=4)
    yield "dark"


def phone(desk: Desk) -> Iterator[str]:
    """The canvas on a phone, then the result."""
    move(desk)
    yield "phone-before"
    desk.edit()
    desk.page.locator("#go button").first.evaluate("one => one.scrollIntoView()")
    yield "phone-after"


SHOTS: dict[str, tuple[Callable[[Desk], Iterator[str]], dict[str, Any]]] = {
    **{name: (partial(tool, name), DESK) for name in TOOLS},
    "compare": (compared, DESK),
    "dark": (dark, {**DESK, "color_scheme": "dark"}),
    "phone": (phone, PHONE),
}
"""What is done, and the screen that it is done on."""


def saved(png: bytes, path: Path) -> None:
    """Writes a screenshot with a few levels less, which nobody sees and half the bytes need."""
    levels = [round(round(v * LEVELS / 255) * 255 / LEVELS) for v in range(256)]
    picture = Image.open(BytesIO(png)).convert("RGB").point(3 * levels)
    picture.save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size // 1024} kB", flush=True)


def take(browser: Browser, url: str, shot: str, out: Path) -> None:
    """The pictures of one shot, in a session of its own."""
    perform, screen = SHOTS[shot]
    context = browser.new_context(**screen)
    context.set_default_timeout(PATIENCE)
    desk = Desk(context.new_page())
    desk.page.goto(url)
    desk.page.locator("#board .canvas[data-ready=true]").wait_for()
    for name in perform(desk):
        saved(desk.page.screenshot(), out / f"page-{name}.png")
    context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Screenshots of the page.")
    parser.add_argument("shots", nargs="*", metavar="SHOT", help=", ".join(SHOTS))
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    options = parser.parse_args()
    unknown = set(options.shots) - set(SHOTS)
    if unknown:
        parser.error(f"There is no shot {min(unknown)}; choose from {', '.join(SHOTS)}.")
    page = launch(Models(["embedded"]), port=None, prevent_thread_lock=True, quiet=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium
        browser = chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        for shot in options.shots or SHOTS:
            take(browser, page.local_url, shot, options.out)
        browser.close()
    page.close()


if __name__ == "__main__":
    main()
