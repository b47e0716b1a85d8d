"""Edits whose right answer is known: a task, and the same world rendered with the edit made.

Every case is drawn from its task's name and its seed alone. Shifts and scales are measured on the
masks of the two renders, so they are what a user who sees both pictures would ask for. Prompts of
the tasks leave out what the edit changes (places, expressions, looks), because one prompt has to
describe the picture before and after.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from diffeditor.errors import InvalidSetting
from diffeditor.worlds.case_base import Case
from diffeditor.worlds.case_drags import drag_case
from diffeditor.worlds.case_faces import face_case
from diffeditor.worlds.case_objects import appearance_case, move_case, paste_case

_MAKERS: dict[str, Callable[[int, np.random.Generator, int], Case]] = {
    "move": move_case,
    "drag": drag_case,
    "face": face_case,
    "paste": paste_case,
    "appearance": appearance_case,
}


def make_case(task: str, seed: int, size: int = 128) -> Case:
    """The case of a task ("move", "drag", "face", "paste" or "appearance"), `size` pixels wide.

    The same arguments give the same case. Raises InvalidSetting for another task.
    """
    if task not in _MAKERS:
        raise InvalidSetting(f"There is no task {task!r}; choose from {', '.join(_MAKERS)}.")
    rng = np.random.default_rng([list(_MAKERS).index(task), seed])
    return _MAKERS[task](seed, rng, size)
