"""The tabs, one module for each task."""

from ui.tabs.appearance import APPEARANCE
from ui.tabs.drag import DRAG
from ui.tabs.face import FACE
from ui.tabs.move import MOVE
from ui.tabs.paste import PASTE
from ui.tabs.tool import Tool

TOOLS: dict[str, Tool] = {tool.name: tool for tool in (DRAG, MOVE, PASTE, APPEARANCE, FACE)}
"""In the order of the page."""

__all__ = ["TOOLS", "Tool"]
