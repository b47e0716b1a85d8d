"""DiffEditor: edit a picture by pointing.

The public names are loaded when they are first used, so that importing the package is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffeditor.config import PRESETS, Preset
    from diffeditor.editor import Editor, load_editor
    from diffeditor.errors import (
        Cancelled,
        DiffEditorError,
        EmptyMask,
        InvalidEdit,
        InvalidImage,
        InvalidSetting,
        ModelUnavailable,
        NoFaceFound,
        OutOfBounds,
        OutOfMemory,
    )
    from diffeditor.faces import fit_template, load_landmark_finder
    from diffeditor.images import load_image
    from diffeditor.preview import preview as instant_preview
    from diffeditor.recipe import Recipe, changed_preset
    from diffeditor.result import Result, Step
    from diffeditor.segment import Segmenter, load_segmenter
    from diffeditor.tasks import TASKS, Appearance, Drag, Face, Move, Paste
    from diffeditor.tasks.face import fit_onto
    from diffeditor.weights import models_here

__version__ = "0.1.0"

__all__ = [
    "PRESETS",
    "TASKS",
    "Appearance",
    "Cancelled",
    "DiffEditorError",
    "Drag",
    "Editor",
    "EmptyMask",
    "Face",
    "InvalidEdit",
    "InvalidImage",
    "InvalidSetting",
    "ModelUnavailable",
    "Move",
    "NoFaceFound",
    "OutOfBounds",
    "OutOfMemory",
    "Paste",
    "Preset",
    "Recipe",
    "Result",
    "Segmenter",
    "Step",
    "__version__",
    "changed_preset",
    "fit_onto",
    "fit_template",
    "instant_preview",
    "load_editor",
    "load_image",
    "load_landmark_finder",
    "load_segmenter",
    "models_here",
]

_HOMES = {
    "config": ("PRESETS", "Preset"),
    "editor": ("Editor", "load_editor"),
    "faces": ("fit_template", "load_landmark_finder"),
    "images": ("load_image",),
    "preview": ("instant_preview",),
    "recipe": ("Recipe", "changed_preset"),
    "result": ("Result", "Step"),
    "segment": ("Segmenter", "load_segmenter"),
    "tasks": ("TASKS", "Appearance", "Drag", "Face", "Move", "Paste"),
    "tasks.face": ("fit_onto",),
    "weights": ("models_here",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_NAMES_AT_HOME = {"instant_preview": "preview"}  # a name of its own module would be hidden by it


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'diffeditor' has no attribute {name!r}")
    home = import_module(f"diffeditor.{_HOME_OF.get(name, 'errors')}")
    return getattr(home, _NAMES_AT_HOME.get(name, name))
