"""Uploaded recipes: everything that they say, put back on the page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from diffeditor import Appearance, Drag, Face, Move, Paste, Recipe
from diffeditor.errors import InvalidSetting
from ui import settings
from ui.canvas import Patch, Placement
from ui.models import Parts
from ui.state import Updates


@dataclass(frozen=True, kw_only=True, eq=False)
class Restored:
    """What a recipe puts on the page.

    Attributes:
        patch: for the canvas: pictures, masks, arrows, placement, landmarks, tool.
        updates: for the other components, by name.
        tool: the name of the task, whose tab is to be opened.
        model: the name of the model that the recipe was made with, which may be a stranger's.
        parts: the VAE and the LoRA files that it had.
    """

    patch: Patch
    updates: Updates
    tool: str
    model: str
    parts: Parts


def restore(path: str | None) -> Restored:
    """What the recipe in an uploaded JSON file, or in a result's PNG, puts on the page.

    Raises:
        InvalidEdit: it is no recipe, or describes no edit that the page can hold.
    """
    if path is None:
        raise InvalidSetting("Choose the file of a recipe.")
    recipe = Recipe.load(path)
    task: Any = recipe.task()
    name = recipe.task_name
    prompts = {key: getattr(task, key, "") for key in ("prompt", "reference_prompt")}
    own = {f"{name}.{key}": value for key, value in _controls(task).items()}
    return Restored(
        patch=Patch(tool=task.name, source=task.image, **_MARKS[type(task)](task)),
        updates=settings.show(recipe.preset(), recipe.seed) | prompts | own,
        tool=name,
        model=recipe.model,
        parts=(recipe.vae, tuple(recipe.loras)),
    )


def _move(task: Move) -> Updates:
    placed = {"mask": task.mask, "move": _placement(task)}
    return placed if task.fill_mask is None else placed | {"fill_mask": task.fill_mask}


def _paste(task: Paste) -> Updates:
    return {**_reference(task), "paste": _placement(task)}


def _drag(task: Drag) -> Updates:
    return {"mask": task.mask, "arrows": tuple(task.points)}


def _appearance(task: Appearance) -> Updates:
    return {**_reference(task), "mask": task.mask}


def _face(task: Face) -> Updates:
    """Target landmarks come without a portrait: they are laid on the source's own."""
    marks: Updates = {"reference": task.image if task.reference is None else task.reference}
    if task.source_landmarks is not None:
        marks["landmarks"] = task.source_landmarks
    if task.target_landmarks is not None:
        marks["reference_landmarks"] = task.target_landmarks
    return marks


_MARKS: Mapping[type, Callable[[Any], Updates]] = {
    Move: _move,
    Paste: _paste,
    Drag: _drag,
    Appearance: _appearance,
    Face: _face,
}


def _reference(task: Paste | Appearance) -> Updates:
    return {"reference": task.reference, "reference_mask": task.reference_mask}


def _placement(task: Move | Paste) -> Placement:
    dx, dy = task.shift
    return Placement(dx=dx, dy=dy, scale=task.scale)


def _controls(task: Any) -> Updates:
    """The values of the tool's own controls, by their local names."""
    if not isinstance(task, Face):
        return {}
    return {"groups": list(cast(Any, task.groups)), "strength": round(100 * task.strength)}
