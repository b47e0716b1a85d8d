"""Cases of dragged points: the handles of an object that grows or slides, or landmarks of a face.

Every drag starts on what is edited and ends where the same place is seen in the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from diffeditor.masks import bounding_box
from diffeditor.tasks import Drag
from diffeditor.worlds.case_base import Case, Edit
from diffeditor.worlds.case_faces import face_edit, landmarks_of, lasting_caption
from diffeditor.worlds.case_scenes import (
    exchanged,
    first_suitable,
    resized,
    shifted,
    stands_clear,
)
from diffeditor.worlds.scene_spec import SceneSpec, Solid, caption

Pair = tuple[tuple[float, float], tuple[float, float]]
"""The start and the end of a drag, pixels (x, y)."""
GROWTH = (1.25, 1.5)
"""Factors by which an object grows in `drag`."""
SLIDE_SPAN = (0.08, 0.15)
"""Displacements of `drag`, in sides of the picture."""
HANDLES: dict[str, tuple[tuple[float, float], ...]] = {
    "taller": ((0.5, 0.06), (0.3, 0.25), (0.7, 0.25)),
    "wider": ((0.06, 0.6), (0.94, 0.6)),
    "larger": ((0.5, 0.06), (0.06, 0.6), (0.94, 0.6), (0.5, 0.5)),
    "slid": ((0.5, 0.5),),
}
"""Where an object is dragged for each change, in its box: (0, 0) upper left, (1, 1) lower right."""
LANDMARKS_DRAGGED: dict[str, tuple[int, ...]] = {
    "open the mouth": (8, 48, 51, 54, 57, 62, 66),
    "raise the brows": (17, 19, 21, 22, 24, 26),
    "turn to the left": (8, 30, 36, 45, 48, 54),
    "turn to the right": (8, 30, 36, 45, 48, 54),
}
"""Landmarks that `drag` cases pull for each edit of a face."""
LEAST_DRAG = 1 / 128
"""The shortest drag of a landmark that is worth a point, in sides of the picture."""


def drag_case(seed: int, rng: np.random.Generator, size: int) -> Case:
    """Even seeds: an object grown or slid by its handles; odd seeds: landmarks of a face pulled."""
    if seed % 2:
        return _drag_face(seed, rng, size)
    kind = tuple(HANDLES)[seed // 2 % len(HANDLES)]

    def propose(scene: SceneSpec, index: int) -> Solid | None:
        changed = _changed(scene, scene.solids[index], kind, rng)
        return changed if stands_clear(scene, index, changed) else None

    scene, index, changed = first_suitable(rng, propose)
    edit = Edit.of(scene, exchanged(scene, index, changed), size)
    src, dst = edit.source.masks[index], edit.truth.masks[index]
    pairs = [_handle(at, src, dst) for at in HANDLES[kind]]
    return _dragged(seed, edit, pairs, caption(scene, places=False), src, dst)


def _drag_face(seed: int, rng: np.random.Generator, size: int) -> Case:
    kind = tuple(LANDMARKS_DRAGGED)[seed // 2 % len(LANDMARKS_DRAGGED)]
    edit = face_edit(kind, rng, size)
    chosen = list(LANDMARKS_DRAGGED[kind])
    now, then = landmarks_of(edit.source)[chosen], landmarks_of(edit.truth)[chosen]
    far = np.hypot(*(then - now).T) > LEAST_DRAG * size
    pairs: list[Pair] = [
        ((float(a[0]), float(a[1])), (float(b[0]), float(b[1])))
        for a, b in zip(now[far], then[far], strict=True)
    ]
    return _dragged(seed, edit, pairs, lasting_caption(edit.source.caption))


def _dragged(seed: int, edit: Edit, pairs: Sequence[Pair], prompt: str, *masks: np.ndarray) -> Case:
    """The `drag` case of an edit whose points are known."""
    ends = np.array([end for _, end in pairs])
    region = edit.region(_marked(pairs, edit.truth.image.shape[0]), *masks)
    task = Drag(image=edit.source.image, mask=region, points=pairs, prompt=prompt)
    return edit.case(seed, task, region, target_landmarks=ends)


def _changed(scene: SceneSpec, solid: Solid, kind: str, rng: np.random.Generator) -> Solid:
    """The solid taller, wider, larger or slid."""
    if kind == "slid":
        return shifted(scene, solid, rng.choice([-1, 1]) * rng.uniform(*SLIDE_SPAN))
    factor = float(rng.uniform(*GROWTH))
    if kind == "larger":
        return resized(solid, factor)
    x, y, z = solid.stretch
    stretch = (x, y * factor, z) if kind == "taller" else (x * factor, y, z * factor)
    return replace(solid, stretch=stretch)


def _handle(at: tuple[float, float], src: np.ndarray, dst: np.ndarray) -> Pair:
    """A point of the object near `at` in its box, and where the change of boxes takes it."""
    left, top, right, bottom = bounding_box(src)
    wanted = np.array([left + at[0] * (right - left), top + at[1] * (bottom - top)])
    inside = np.argwhere(src)[:, ::-1] + 0.5
    x, y = inside[np.square(inside - wanted).sum(1).argmin()]
    u, v = (x - left) / (right - left), (y - top) / (bottom - top)
    left, top, right, bottom = bounding_box(dst)
    return (float(x), float(y)), (left + u * (right - left), top + v * (bottom - top))


def _marked(pairs: Sequence[Pair], size: int) -> np.ndarray:
    """The pixels of all starts and ends."""
    mask = np.zeros((size, size), bool)
    for x, y in (point for pair in pairs for point in pair):
        mask[int(y), int(x)] = True
    return mask
