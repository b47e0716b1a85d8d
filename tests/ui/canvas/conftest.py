"""A value of the canvas with uploads behind it, and the demo page."""

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect
from starlette.middleware import Middleware

from tests.ui.canvas.demo import ball_mask, build, picture
from tests.ui.canvas.driver import PATIENCE, Driver
from tests.ui.watch import watched
from ui.canvas import Patch
from ui.canvas.bundle import MODULES, source
from ui.canvas.leaving import AsksBeforeLeaving
from ui.canvas.value import TOOLS, VERSION

ORIGIN = "http://canvas.test"
Run = Callable[..., Any]


@pytest.fixture
def photo() -> Image.Image:
    """A landscape of 240 x 160 pixels."""
    return picture()


@pytest.fixture
def payload(photo: Image.Image) -> dict[str, Any]:
    """What the browser would send after everything was done once."""
    patch = Patch(
        source=photo,
        reference=photo.transpose(Image.Transpose.ROTATE_90),
        mask=ball_mask(),
        reference_mask=np.rot90(ball_mask()),
        arrows=[((1.5, 2.0), (3.0, 4.0))],
    )
    placement = {"dx": 0, "dy": 0, "scale": 1}
    return {
        "version": VERSION,
        "rev": 7,
        "tool": TOOLS[0],
        "fill_mask": None,
        "move": {"dx": 10.0, "dy": -4, "scale": 1.5},
        "paste": placement,
        "landmarks": [[float(i), 1.0] for i in range(68)],
        "reference_landmarks": None,
        **patch.wire()["patch"],
    }


@pytest.fixture(scope="module")
def demo() -> Iterator[str]:
    """The address of the running demo page."""
    page = build().queue()
    page.launch(
        server_name="127.0.0.1",
        server_port=None,
        ssr_mode=False,
        quiet=True,
        prevent_thread_lock=True,
        theme=gr.themes.Default(font=["sans-serif"], font_mono=["monospace"]),
        app_kwargs={"middleware": [Middleware(AsksBeforeLeaving)]},
    )
    yield page.local_url
    page.close()


@pytest.fixture
def screen() -> dict[str, Any]:
    """Options of the browser's context; tests of other screens override it."""
    return {"viewport": {"width": 1000, "height": 900}}


@pytest.fixture
def driver(browser: Browser, demo: str, screen: dict[str, Any]) -> Iterator[Driver]:
    """The open demo page, watched: console errors and requests to elsewhere fail the test."""
    context = browser.new_context(**screen)
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    wrong = watched(context)
    opened.goto(demo)
    driven = Driver(opened, {})
    driven.settle()
    yield driven
    context.close()
    assert wrong == []


@pytest.fixture(scope="module")
def modules(browser: Browser) -> Iterator[Page]:
    """An empty page that may import the canvas's modules."""
    opened = browser.new_page()
    opened.route("**/*", _module)
    opened.goto(ORIGIN)
    yield opened
    opened.close()


def _module(route: Route) -> None:
    """Serves the modules; nothing reaches a network."""
    name = route.request.url.removeprefix(f"{ORIGIN}/")
    if name.endswith(".js"):
        route.fulfill(content_type="text/javascript", body=source(name.removesuffix(".js")))
    else:
        route.fulfill(content_type="text/html", body="<!doctype html>")


@pytest.fixture
def run(modules: Page) -> Run:
    """Evaluates the body of a function of all modules, by name, and of `given`."""

    def evaluate(body: str, **given: Any) -> Any:
        names = ("schema", *MODULES)
        imports = "".join(f"const {name} = await import('/{name}.js');" for name in names)
        return modules.evaluate(f"async (given) => {{ {imports} {body} }}", given)

    return evaluate
