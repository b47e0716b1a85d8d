"""The canvas component: `Canvas`, the `Value` that handlers get and the `Patch` they return."""

from ui.canvas.component import Canvas
from ui.canvas.patch import Patch
from ui.canvas.value import Edit, Placement, Side, Value

__all__ = ["Canvas", "Edit", "Patch", "Placement", "Side", "Value"]
