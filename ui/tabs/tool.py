"""What a tab is to the rest of the page."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gradio.components import Component

from ui.state import Arrow, Page, Place


@dataclass(frozen=True, kw_only=True)
class Click:
    """What a click on the picture leads to.

    Attributes:
        changes: new values of the tab's controls, by local name.
        start: a first click that waits for its second.
    """

    changes: dict[str, Any]
    start: Place | None = None


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One tab, for one task.

    Attributes:
        name, title, hint: the task's name; the tab's title; one sentence on how to use it.
        build: draws the tab's controls and returns them by local name.
        task: the engine's task for an input; raises InvalidEdit where something is missing.
        click: what a click at a place does, after the first one at `start`; None ignores clicks.
        arrows: the arrows to draw for an input, whether or not the task accepts it.
        reference: whether the task needs a second picture.
    """

    name: str
    title: str
    hint: str
    build: Callable[[], dict[str, Component]]
    task: Callable[[Page], Any]
    click: Callable[[Page, Place, Place | None], Click] | None = None
    arrows: Callable[[Page], list[Arrow]] | None = None
    reference: bool = False
