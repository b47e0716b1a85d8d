"""The five edits. Each is data, masks and one energy; none knows another."""

from diffeditor.tasks.appearance import Appearance
from diffeditor.tasks.base import Task
from diffeditor.tasks.drag import Drag
from diffeditor.tasks.face import Face
from diffeditor.tasks.move import Move
from diffeditor.tasks.paste import Paste

TASKS: dict[str, type[Task]] = {task.name: task for task in (Drag, Move, Paste, Appearance, Face)}

__all__ = ["TASKS", "Appearance", "Drag", "Face", "Move", "Paste", "Task"]
