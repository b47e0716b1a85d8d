"""The page on a fake editor, and browser contexts in which nothing may go wrong."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.ui.browser.page import OpenPage, Served
from tests.ui.canvas.driver import PATIENCE
from tests.ui.fakes import FakeEditor
from tests.ui.watch import watched
from ui import handlers
from ui.launch import launch
from ui.models import Models

SCREEN = {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def editor() -> Any:
    """What edits on the page that is served; modules may take another one."""
    return FakeEditor()


@pytest.fixture(scope="module")
def served(editor: Any) -> Iterator[Served]:
    """The running page."""
    advise = handlers.advise
    with pytest.MonkeyPatch.context() as patch:
        page = launch(Models.of(editor), port=None, prevent_thread_lock=True, quiet=True)
        running = Served(page.local_url, editor)

        def noting(models: Models, values: Any) -> Any:
            if values["canvas"] is not None:
                running.told[values["canvas"].rev] = values["canvas"]
            return advise(models, values)

        patch.setattr(handlers, "advise", noting)
        yield running
        page.close()


@pytest.fixture(autouse=True)
def wrong() -> Iterator[list[list[str]]]:
    """What must not happen in any page of a test: errors, and requests to other hosts."""
    seen: list[list[str]] = []
    yield seen
    assert [one for wrong in seen for one in wrong] == []


OpenNew = Callable[..., OpenPage]


@pytest.fixture
def open_page(browser: Browser, served: Served, wrong: list[list[str]]) -> Iterator[OpenNew]:
    """Opens the page in a context of its own; takes an address's end and a context's options."""
    contexts = []
    if isinstance(served.editor, FakeEditor):
        served.fake()
        served.editor.error = None

    def opened(query: str = "", **options: Any) -> OpenPage:
        context = browser.new_context(**{"viewport": SCREEN, **options})
        contexts.append(context)
        wrong.append(watched(context))
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        served.told.clear()
        page.goto(served.url + query)
        driven = OpenPage(page, {}, served)
        driven.settle()
        return driven

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: OpenNew) -> OpenPage:
    """The page on a desk."""
    return open_page()
