"""What must not happen on a page while a browser test drives it."""

from playwright.sync_api import Page


def watched(page: Page, url: str) -> list[str]:
    """A list that gets console errors, and requests to elsewhere than `url`, from now on."""
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: None if _is_local(asked.url, url) else wrong.append(asked.url))
    return wrong


def _is_local(asked: str, page: str) -> bool:
    return asked.startswith((page, "data:", "blob:"))
