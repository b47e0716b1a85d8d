"""The page in a browser, with what a user does on it."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.ui.canvas.demo import describe, picture
from tests.ui.canvas.driver import PATIENCE, Driver
from tests.ui.fakes import FakeEditor
from ui import results, settings, text
from ui.canvas import Value
from ui.tabs import TOOLS

DONE = re.compile(r"^Done in ")
RUNNING = re.compile(r"(Inverting|Editing) \d+/\d+")


@dataclass
class Served:
    """A page that is running.

    Attributes:
        url: its address.
        editor: what edits.
        told: by `rev`, the values of the canvas that Python was told of on the page's own events.
    """

    url: str
    editor: Any
    told: dict[int, Value] = field(default_factory=dict)

    def fake(self, steps: int = 3, pause: float = 0.0) -> FakeEditor:
        """The fake editor, at this speed."""
        self.editor.steps, self.editor.pause = steps, pause
        return self.editor


@dataclass
class OpenPage(Driver):
    """One open page."""

    served: Served

    def line(self) -> Locator:
        """The page's line that says what is going on."""
        return self.page.get_by_label(text.STATUS, exact=True)

    def says(self, words: str | re.Pattern[str]) -> None:
        """Waits until the line says so."""
        expect(self.line()).to_have_value(words)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def press(self, button: str) -> None:
        self.button(button).click()

    def tool(self, name: str) -> None:
        self.page.get_by_role("tab", name=TOOLS[name].title, exact=True).click()
        expect(self.root).to_have_attribute("data-tool", name)

    def edit(self) -> None:
        """Presses Edit and waits for the end, with one more result."""
        results = self.page.locator("#history img")
        before = results.count()
        self.press(text.EDIT)
        expect(results).to_have_count(before + 1)
        self.says(DONE)

    def load(self, folder: Path, side: str = "source", **look: Any) -> np.ndarray:
        """Opens the picture with a ball through the file dialog; returns its pixels."""
        image = picture(**look)
        image.save(folder / f"{side}.png")
        self.open(folder / f"{side}.png", image.size, side)
        return np.asarray(image)

    def settings(self) -> None:
        """Opens the settings of the preset, and leaves them a moment to listen.

        A box that is written in before takes back what it was built with.
        """
        self.page.get_by_role("button", name=settings.SETTINGS).click()
        expect(self.page.get_by_role("button", name=settings.RESET)).to_be_visible()
        self.page.wait_for_timeout(1000)

    def result(self) -> Image.Image:
        """The picture that the download button gives."""
        with self.page.expect_download() as download:
            self.press(results.SAVE_PICTURE)
        with Image.open(download.value.path()) as image:
            return image.convert("RGB")

    def told(self) -> dict[str, Any]:
        """What Python was told of the canvas as it is now."""
        rev, told = self.rev(), self.served.told
        self.until(lambda: rev in told)
        return json.loads(describe(told[rev]))

    def until(self, condition: Callable[[], Any]) -> None:
        """Waits for something outside of the browser, which goes on meanwhile."""
        end = time.monotonic() + PATIENCE / 1000
        while not condition():
            if time.monotonic() > end:
                pytest.fail("It did not happen.")
            self.page.wait_for_timeout(50)


def write(box: Locator, number: str) -> None:
    """Writes into a number box until it keeps the number without being written in."""
    for _ in range(5):
        box.fill(number)
        box.press("Tab")
        expect(box).not_to_be_focused()
        box.page.wait_for_timeout(100)
        if box.input_value() == number:
            return
    expect(box).to_have_value(number)
