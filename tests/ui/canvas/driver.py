"""The demo page in a browser, with what a user does on it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from playwright.sync_api import Locator, Page, TimeoutError, expect

MARGIN = 12
"""CSS pixels round a picture that is fitted to its stage (`MARGIN` in geometry.js)."""
PATIENCE = 60_000
"""Milliseconds; a busy machine is slow to paint."""

Place: TypeAlias = tuple[float, float]


@dataclass
class Driver:
    """One open demo page. Places are pixels (x, y) of the pictures.

    Attributes:
        sizes: width and height of the picture on each side.
    """

    page: Page
    sizes: dict[str, tuple[int, int]]

    @property
    def root(self) -> Locator:
        return self.page.locator("#board .canvas")

    def stage(self, side: str = "source") -> Locator:
        return self.root.locator(f".stage[data-side={side}]")

    def surface(self, side: str = "source") -> Locator:
        return self.stage(side).locator("canvas")

    def act(self, name: str) -> Locator:
        """A button of the tool bar."""
        return self.root.locator(f"[data-act={name}]")

    def status(self) -> Locator:
        return self.root.locator(".status")

    def settle(self) -> None:
        """Waits until everything is loaded and answered."""
        expect(self.root).to_have_attribute("data-ready", "true")
        expect(self.root).to_have_attribute("aria-busy", "false")

    def rev(self) -> int:
        return int(self.root.get_attribute("data-rev") or 0)

    def wait_past(self, rev: int) -> None:
        """Waits until the canvas is in a later state, and settled."""
        self.page.wait_for_function(
            "rev => Number(document.querySelector('#board .canvas').dataset.rev) > rev", arg=rev
        )
        self.settle()

    # The page round the canvas

    def press(self, button: str) -> None:
        """Clicks a button of the page that patches the canvas, and waits for the patch."""
        rev = self.rev()
        self.page.locator(f"#{button}").click()
        self.wait_past(rev)

    def tool(self, name: str) -> None:
        self.page.get_by_role("tab", name=name, exact=True).click()
        expect(self.root).to_have_attribute("data-tool", name)

    def told(self) -> dict[str, Any]:
        """What Python reads from the canvas now."""
        box = self.page.locator("#told textarea")
        newest = "box => box.value && JSON.parse(box.value).rev === Number(" + (
            "document.querySelector('#board .canvas').dataset.rev)"
        )
        for last in (False, False, True):  # a click on the demo's button may come to nothing
            self.page.locator("#read").click()
            try:
                self.page.wait_for_function(
                    newest, arg=box.element_handle(), timeout=PATIENCE if last else PATIENCE / 4
                )
                break
            except TimeoutError:
                if last:
                    raise
        return json.loads(box.input_value())

    def example(self) -> None:
        """The demo's picture with its ball masked."""
        self.press("example")
        expect(self.root).to_have_attribute("data-tool", "move")
        self.sizes["source"] = (240, 160)

    def second(self) -> None:
        """The demo's second picture with its ball masked."""
        self.press("second")
        self.sizes["reference"] = (240, 160)

    def open(self, path: Path, size: tuple[int, int], side: str = "source") -> None:
        """Loads a picture through the file dialog."""
        rev = self.rev()
        with self.page.expect_file_chooser() as chooser:
            self.stage(side).locator("[data-open]:visible").click()
        chooser.value.set_files(path)
        self.wait_past(rev)
        self.sizes[side] = size

    # Modes and gestures

    def mode(self, name: str) -> None:
        self.root.locator(f"[data-mode={name}]").click()
        expect(self.root).to_have_attribute("data-mode", name)

    def brush(self, value: int) -> None:
        """Sets the slider of the brush's size, 0 to 100."""
        self.root.locator(".size input").fill(str(value))

    def at(self, place: Place, side: str = "source") -> Place:
        """Where a place of a fitted picture is on the screen."""
        box = self.surface(side).bounding_box()
        assert box is not None
        width, height = self.sizes[side]
        scale = min((box["width"] - 2 * MARGIN) / width, (box["height"] - 2 * MARGIN) / height)
        left = box["x"] + (box["width"] - scale * width) / 2
        top = box["y"] + (box["height"] - scale * height) / 2
        return left + scale * place[0], top + scale * place[1]

    def drag(self, *places: Place, side: str = "source", button: Any = "left") -> None:
        """Presses at the first place and lets go at the last."""
        first, *rest = (self.at(place, side) for place in places)
        mouse = self.page.mouse
        mouse.move(*first)
        mouse.down(button=button)
        for place in rest:
            mouse.move(*place, steps=2)
        mouse.up(button=button)

    def click(self, place: Place, side: str = "source", **how: Any) -> None:
        self.page.mouse.click(*self.at(place, side), **how)

    def key(self, *keys: str, side: str = "source") -> None:
        """Presses keys while a stage has the focus."""
        self.surface(side).focus()
        for key in keys:
            self.page.keyboard.press(key)

    def touch(self, *moments: list[Place]) -> None:
        """Fingers on the screen, all in each moment, lifted after the last."""
        session = self.page.context.new_cdp_session(self.page)
        for kind, fingers in zip(
            ["touchStart"] + ["touchMove"] * (len(moments) - 1), moments, strict=True
        ):
            points = [
                {"x": x, "y": y, "id": number} for number, (x, y) in enumerate(fingers, start=1)
            ]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        session.detach()
