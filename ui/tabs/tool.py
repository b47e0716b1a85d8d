"""What a tab is to the rest of the page."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gradio.components import Component

from ui.state import Inputs


def no_controls() -> dict[str, Component]:
    """Of a tool for which the canvas is enough."""
    return {}


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One tab, for one task.

    Attributes:
        name, title, hint: the task's name; the tab's title; one sentence on what it does.
        task: the engine's task for an input; raises InvalidEdit where something is missing.
        controls: draws what the tool has beside the canvas, and returns it by local name.
        reference_prompt: whether the task wants words for a second picture.
    """

    name: str
    title: str
    hint: str
    task: Callable[[Inputs], Any]
    controls: Callable[[], dict[str, Component]] = no_controls
    reference_prompt: bool = False
