"""The browser of the tests, and what must not happen on a page while a test drives it."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ELSEWHERE = re.compile(r"^(?!http://127\.0\.0\.1[:/]|data:|blob:)")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        yield launched
        launched.close()


def watched(pages: Page | BrowserContext) -> list[str]:
    """A list that gets console errors, faults, and addresses of other hosts, from now on.

    Nothing is ever fetched from another host.
    """
    wrong: list[str] = []
    context = pages if isinstance(pages, BrowserContext) else pages.context
    context.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    context.on("weberror", lambda error: wrong.append(str(error.error)))
    context.on("request", lambda asked: _note(asked.url, wrong))
    context.route(ELSEWHERE, lambda route: route.abort())
    return wrong


def _note(address: str, wrong: list[str]) -> None:
    if ELSEWHERE.match(address):
        wrong.append(address)
