"""Edits whose right answer is known: a task, and the same world rendered with the edit made.

Every case is drawn from its task's name and its seed alone. Shifts and scales are measured on the
masks of the two renders, so they are what a user who sees both pictures would ask for. Prompts of
the tasks leave out what the edit changes (places, expressions, looks), because one prompt has to
describe the picture before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import cv2
import numpy as np

from diffeditor.errors import InvalidSetting
from diffeditor.masks import bounding_box, box_centre
from diffeditor.tasks import Appearance, Drag, Face, Move, Paste, Task
from diffeditor.worlds.common import Render
from diffeditor.worlds.face_spec import FaceSpec, random_face
from diffeditor.worlds.scene_spec import (
    SceneSpec,
    Solid,
    apart,
    caption,
    fits,
    frame_width,
    project,
    random_scene,
)
from diffeditor.worlds.solids import SHAPES
from diffeditor.worlds.world import WorldSpec, render

Pair = tuple[tuple[float, float], tuple[float, float]]
"""The start and the end of a drag, pixels (x, y)."""

FIRST_WORLD, LAST_WORLD = 1 << 31, 1 << 32
"""Seeds of the worlds that cases are drawn from; training keeps below them."""

VISIBLE_CHANGE = 2
"""Grey levels by which a pixel must differ to count as changed."""
HALO = 1 / 64
"""How far round the changed pixels a region reaches, in sides of the picture."""
CLEAR = 1.0
"""How far apart the objects of a case stand (see `apart`), so that none hides another."""
LOWEST = 0.97
"""Where the lowest point of an object may be seen, in sides of the picture."""

MOVE_SPAN = (0.2, 0.5)
"""Displacements of `move`, in sides of the picture."""
RESIZE = ((0.68, 0.85), (1.18, 1.4))
"""Resize factors of `move` and `paste`."""
GROWTH = (1.25, 1.5)
"""Factors by which an object grows in `drag`."""
SLIDE_SPAN = (0.08, 0.15)
"""Displacements of `drag`, in sides of the picture."""
PATIENCE = 1000
"""Scenes in which a place for an object is looked for before another object is taken."""
MOST_SOLIDS = 3
"""How many objects a scene holds at most, also after `paste`."""

HANDLES: dict[str, tuple[tuple[float, float], ...]] = {
    "taller": ((0.5, 0.06), (0.3, 0.25), (0.7, 0.25)),
    "wider": ((0.06, 0.6), (0.94, 0.6)),
    "larger": ((0.5, 0.06), (0.06, 0.6), (0.94, 0.6), (0.5, 0.5)),
    "slid": ((0.5, 0.5),),
}
"""Where an object is dragged for each change, in its box: (0, 0) upper left, (1, 1) lower right."""

FaceRanges = dict[str, tuple[float, float]]
FACE_EDITS: dict[str, tuple[FaceRanges, FaceRanges]] = {
    "open the mouth": ({"open": (0.0, 0.0)}, {"open": (0.6, 1.0)}),
    "turn to the left": ({"yaw": (-0.1, 0.1)}, {"yaw": (-0.36, -0.24)}),
    "change the expression": (
        {"smile": (-0.6, -0.2), "brow": (-0.5, 0.0), "open": (0.0, 0.0)},
        {"smile": (0.6, 1.0), "brow": (0.5, 1.0)},
    ),
    "turn to the right": ({"yaw": (-0.1, 0.1)}, {"yaw": (0.24, 0.36)}),
    "close the mouth": ({"open": (0.6, 1.0)}, {"open": (0.0, 0.0)}),
    "raise the brows": ({"brow": (-0.6, -0.2)}, {"brow": (0.7, 1.0)}),
}
"""What is drawn anew in a face before and after each edit."""
FACE_KINDS = tuple(FACE_EDITS)[:5]
"""The edits that `face` cases take turns at."""
LANDMARKS_DRAGGED: dict[str, tuple[int, ...]] = {
    "open the mouth": (8, 48, 51, 54, 57, 62, 66),
    "raise the brows": (17, 19, 21, 22, 24, 26),
    "turn to the left": (8, 30, 36, 45, 48, 54),
    "turn to the right": (8, 30, 36, 45, 48, 54),
}
"""Landmarks that `drag` cases pull for each edit of a face."""
LEAST_DRAG = 1 / 128
"""The shortest drag of a landmark that is worth a point, in sides of the picture."""
CHANGING_CLAUSES = ("smiling", "neutral", "frowning", "mouth", "facing")
"""First words of what a face's caption says of pose and expression."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One edit with its right answer.

    task: what the user asks for. truth: uint8 (H, W, 3), the world with the edit made.
    region: bool (H, W), all that the edit may change, with a small halo.
    target_landmarks: (68, 2) where the landmarks of a face shall be, or (P, 2) where the points of
    a drag shall be, pixels (x, y); None for the other tasks.
    prompt: the caption of the truth. spec, truth_spec: the worlds before and after.
    """

    name: str
    seed: int
    task: Task
    truth: np.ndarray
    region: np.ndarray
    prompt: str
    spec: WorldSpec
    truth_spec: WorldSpec
    target_landmarks: np.ndarray | None = None


def make_case(task: str, seed: int, size: int = 128) -> Case:
    """The case of a task ("move", "drag", "face", "paste" or "appearance"), `size` pixels wide.

    The same arguments give the same case. Raises InvalidSetting for another task.
    """
    if task not in _MAKERS:
        raise InvalidSetting(f"There is no task {task!r}; choose from {', '.join(_MAKERS)}.")
    rng = np.random.default_rng([list(_MAKERS).index(task), seed])
    return _MAKERS[task](seed, rng, size)


@dataclass(frozen=True, kw_only=True)
class _Edit:
    """A world before and after, and both pictures of it."""

    spec: WorldSpec
    truth_spec: WorldSpec
    source: Render
    truth: Render

    @classmethod
    def of(cls, spec: WorldSpec, truth_spec: WorldSpec, size: int) -> _Edit:
        source, truth = render(spec, size), render(truth_spec, size)
        return cls(spec=spec, truth_spec=truth_spec, source=source, truth=truth)

    def region(self, *more: np.ndarray) -> np.ndarray:
        """The pixels that differ and those of the masks `more`, with a halo."""
        before, after = (one.image.astype(np.int16) for one in (self.source, self.truth))
        changed = (abs(after - before) > VISIBLE_CHANGE).any(-1)
        return _grown(np.logical_or.reduce([changed, *more]))

    def case(self, seed: int, task: Task, region: np.ndarray, **more: np.ndarray) -> Case:
        return Case(
            name=f"{task.name}-{seed}",
            seed=seed,
            task=task,
            truth=self.truth.image,
            region=region,
            prompt=self.truth.caption,
            spec=self.spec,
            truth_spec=self.truth_spec,
            **more,
        )


# --- scenes -----------------------------------------------------------------------------------


def _move(seed: int, rng: np.random.Generator, size: int) -> Case:
    """An object shifted along the picture, in half of the cases resized as well."""
    factor = _factor(rng)

    def propose(scene: SceneSpec, index: int) -> Solid | None:
        step = rng.choice([-1, 1]) * round(rng.uniform(*MOVE_SPAN) * size) / size
        moved = _resized(_shifted(scene, scene.solids[index], step), factor)
        return moved if _stands_clear(scene, index, moved) else None

    scene, index, moved = _first(rng, propose)
    edit = _Edit.of(scene, _with(scene, index, moved), size)
    src, dst = edit.source.masks[index], edit.truth.masks[index]
    shift, scale = _placement(src, dst)
    task = Move(
        image=edit.source.image,
        mask=src,
        shift=shift,
        scale=1.0 if factor == 1.0 else scale,
        prompt=caption(scene, places=False),
    )
    return edit.case(seed, task, edit.region(src, dst))


def _paste(seed: int, rng: np.random.Generator, size: int) -> Case:
    """An object of a second scene, under the same camera and sun, put into the first."""
    factor = _factor(rng)
    reference, index, donor = _first(rng, lambda scene, index: scene.solids[index])
    for scene, _ in islice(_scenes(rng), PATIENCE):
        pasted = _resized(replace(donor, x=float(rng.uniform(-1.5, 1.5))), factor)
        if len(scene.solids) < MOST_SOLIDS and _stands_clear(scene, None, pasted):
            return _pasted(seed, reference, index, scene, pasted, factor, size)
    return _paste(seed, rng, size)


def _pasted(
    seed: int,
    reference: SceneSpec,
    index: int,
    scene: SceneSpec,
    pasted: Solid,
    factor: float,
    size: int,
) -> Case:
    """The `paste` case of solid `index` of the reference, which shall be `pasted` in the scene."""
    whole = replace(scene, solids=(*scene.solids, pasted))
    reference = replace(reference, pitch=scene.pitch, height=scene.height, light=scene.light)
    edit, other = _Edit.of(scene, whole, size), render(reference, size)
    shift, scale = _placement(other.masks[index], edit.truth.masks[-1])
    task = Paste(
        image=edit.source.image,
        reference=other.image,
        reference_mask=other.masks[index],
        shift=shift,
        scale=1.0 if factor == 1.0 else scale,
        prompt=caption(whole, places=False),
        reference_prompt=caption(reference, places=False),
    )
    return edit.case(seed, task, edit.region(edit.truth.masks[-1]))


def _appearance(seed: int, rng: np.random.Generator, size: int) -> Case:
    """An object given the colour and the pattern of an object of a second scene."""
    reference, other, donor = _first(rng, lambda scene, index: scene.solids[index])

    def propose(scene: SceneSpec, index: int) -> Solid | None:
        old = scene.solids[index]
        new = replace(old, colour=donor.colour, pattern=donor.pattern, texture=donor.texture)
        return new if new.colour != old.colour else None

    scene, index, changed = _first(rng, propose)
    edit, shown = _Edit.of(scene, _with(scene, index, changed), size), render(reference, size)
    task = Appearance(
        image=edit.source.image,
        mask=edit.source.masks[index],
        reference=shown.image,
        reference_mask=shown.masks[other],
        prompt=caption(scene, places=False, looks=False),
        reference_prompt=caption(reference, places=False, looks=False),
    )
    return edit.case(seed, task, edit.region(edit.source.masks[index]))


def _drag(seed: int, rng: np.random.Generator, size: int) -> Case:
    """Even seeds: an object grown or slid by its handles; odd seeds: landmarks of a face pulled."""
    if seed % 2:
        return _drag_face(seed, rng, size)
    kind = tuple(HANDLES)[seed // 2 % len(HANDLES)]

    def propose(scene: SceneSpec, index: int) -> Solid | None:
        changed = _changed(scene, scene.solids[index], kind, rng)
        return changed if _stands_clear(scene, index, changed) else None

    scene, index, changed = _first(rng, propose)
    edit = _Edit.of(scene, _with(scene, index, changed), size)
    src, dst = edit.source.masks[index], edit.truth.masks[index]
    pairs = [_handle(at, src, dst) for at in HANDLES[kind]]
    return _dragged(seed, edit, pairs, caption(scene, places=False), src, dst)


def _changed(scene: SceneSpec, solid: Solid, kind: str, rng: np.random.Generator) -> Solid:
    """The solid taller, wider, larger or slid."""
    if kind == "slid":
        return _shifted(scene, solid, rng.choice([-1, 1]) * rng.uniform(*SLIDE_SPAN))
    factor = float(rng.uniform(*GROWTH))
    if kind == "larger":
        return _resized(solid, factor)
    x, y, z = solid.stretch
    stretch = (x, y * factor, z) if kind == "taller" else (x * factor, y, z * factor)
    return replace(solid, stretch=stretch)


def _first(
    rng: np.random.Generator, propose: Callable[[SceneSpec, int], Solid | None]
) -> tuple[SceneSpec, int, Solid]:
    """The first of many random scenes that suits: the scene, one of its solids, what is proposed.

    propose: takes a scene and the index of a solid that no other hides; None turns them down.
    """
    for scene, index in _scenes(rng):
        found = propose(scene, index)
        if found is not None:
            return scene, index, found
    raise AssertionError("There is no end of scenes.")


def _scenes(rng: np.random.Generator) -> Iterator[tuple[SceneSpec, int]]:
    """Random scenes without end, each with the index of a solid that no other hides.

    The solid's shape is drawn first, so that no shape is rarer for needing more room.
    """
    shape = str(rng.choice(SHAPES))
    while True:
        scene = random_scene(int(rng.integers(FIRST_WORLD, LAST_WORLD)))
        for index, solid in enumerate(scene.solids):
            if solid.shape == shape and _stands_clear(scene, index, solid):
                yield scene, index


def _stands_clear(scene: SceneSpec, index: int | None, solid: Solid) -> bool:
    """Whether `solid`, in the place of solid `index`, is wholly in the frame and apart from all."""
    others = (other for i, other in enumerate(scene.solids) if i != index)
    foot = project(scene, (solid.x, 0.0, solid.z - solid.reach))[1]
    top = project(scene, (solid.x, solid.extent[1], solid.z))[1]
    inside = fits(solid) and foot < LOWEST and top > 1 - LOWEST
    return inside and all(apart(solid, other, CLEAR) for other in others)


def _with(scene: SceneSpec, index: int, solid: Solid) -> SceneSpec:
    """The scene with solid `index` exchanged."""
    return replace(scene, solids=(*scene.solids[:index], solid, *scene.solids[index + 1 :]))


def _shifted(scene: SceneSpec, solid: Solid, step: float) -> Solid:
    """The solid moved sideways by `step` sides of the picture, at the same depth."""
    return replace(solid, x=solid.x + float(step) * frame_width(scene, solid.centre))


def _factor(rng: np.random.Generator) -> float:
    """The resize factor of a case; 1 for half of them."""
    if rng.random() < 0.5:
        return 1.0
    return float(rng.uniform(*RESIZE[int(rng.integers(len(RESIZE)))]))


def _resized(solid: Solid, factor: float) -> Solid:
    """The solid smaller or larger, still standing on the floor."""
    return replace(solid, radius=solid.radius * factor)


def _placement(src: np.ndarray, dst: np.ndarray) -> tuple[tuple[int, int], float]:
    """The shift of the box's centre in whole pixels and the growth of its sides, src to dst."""
    start, end = box_centre(src), box_centre(dst)
    before, after = bounding_box(src).size, bounding_box(dst).size
    scale = (after.width + after.height) / (before.width + before.height)
    return (round(end.x - start.x), round(end.y - start.y)), scale


def _handle(at: tuple[float, float], src: np.ndarray, dst: np.ndarray) -> Pair:
    """A point of the object near `at` in its box, and where the change of boxes takes it."""
    left, top, right, bottom = bounding_box(src)
    wanted = np.array([left + at[0] * (right - left), top + at[1] * (bottom - top)])
    inside = np.argwhere(src)[:, ::-1] + 0.5
    x, y = inside[np.square(inside - wanted).sum(1).argmin()]
    u, v = (x - left) / (right - left), (y - top) / (bottom - top)
    left, top, right, bottom = bounding_box(dst)
    return (float(x), float(y)), (left + u * (right - left), top + v * (bottom - top))


# --- faces ------------------------------------------------------------------------------------


def _face(seed: int, rng: np.random.Generator, size: int) -> Case:
    """The same person with another pose or expression, given by all landmarks."""
    edit = _face_edit(FACE_KINDS[seed % len(FACE_KINDS)], rng, size)
    now, then = _landmarks(edit.source), _landmarks(edit.truth)
    task = Face(
        image=edit.source.image,
        source_landmarks=now,
        target_landmarks=then,
        prompt=_lasting(edit.source.caption),
    )
    region = edit.region(edit.source.masks[0], edit.truth.masks[0])
    return edit.case(seed, task, region, target_landmarks=then)


def _drag_face(seed: int, rng: np.random.Generator, size: int) -> Case:
    kind = tuple(LANDMARKS_DRAGGED)[seed // 2 % len(LANDMARKS_DRAGGED)]
    edit = _face_edit(kind, rng, size)
    chosen = list(LANDMARKS_DRAGGED[kind])
    now, then = _landmarks(edit.source)[chosen], _landmarks(edit.truth)[chosen]
    far = np.hypot(*(then - now).T) > LEAST_DRAG * size
    pairs: list[Pair] = [
        ((float(a[0]), float(a[1])), (float(b[0]), float(b[1])))
        for a, b in zip(now[far], then[far], strict=True)
    ]
    return _dragged(seed, edit, pairs, _lasting(edit.source.caption))


def _dragged(
    seed: int, edit: _Edit, pairs: Sequence[Pair], prompt: str, *masks: np.ndarray
) -> Case:
    """The `drag` case of an edit whose points are known."""
    ends = np.array([end for _, end in pairs])
    region = edit.region(_marked(pairs, edit.truth.image.shape[0]), *masks)
    task = Drag(image=edit.source.image, mask=region, points=pairs, prompt=prompt)
    return edit.case(seed, task, region, target_landmarks=ends)


def _face_edit(kind: str, rng: np.random.Generator, size: int) -> _Edit:
    before, after = FACE_EDITS[kind]
    face = _drawn(random_face(int(rng.integers(FIRST_WORLD, LAST_WORLD))), before, rng)
    return _Edit.of(face, _drawn(face, after, rng), size)


def _drawn(face: FaceSpec, ranges: FaceRanges, rng: np.random.Generator) -> FaceSpec:
    """The face with these of its values drawn anew."""
    values = {name: float(rng.uniform(*span)) for name, span in ranges.items()}
    return replace(face, **values)  # pyright: ignore[reportArgumentType]


def _landmarks(picture: Render) -> np.ndarray:
    if picture.landmarks is None:
        raise TypeError("Only faces have landmarks.")
    return picture.landmarks


def _lasting(text: str) -> str:
    """A face's caption without its pose and expression."""
    clauses = text.split(", ")
    return ", ".join(c for c in clauses if not c.startswith(CHANGING_CLAUSES))


# --- regions ----------------------------------------------------------------------------------


def _grown(mask: np.ndarray) -> np.ndarray:
    """A mask with a halo and without holes."""
    reach = max(1, round(HALO * mask.shape[0]))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    grown = cv2.dilate(mask.astype(np.uint8), disc)
    outlines, _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(grown, outlines, -1, 1, cv2.FILLED) > 0


def _marked(pairs: Sequence[Pair], size: int) -> np.ndarray:
    """The pixels of all starts and ends."""
    mask = np.zeros((size, size), bool)
    for x, y in (point for pair in pairs for point in pair):
        mask[int(y), int(x)] = True
    return mask


_MAKERS: dict[str, Callable[[int, np.random.Generator, int], Case]] = {
    "move": _move,
    "drag": _drag,
    "face": _face,
    "paste": _paste,
    "appearance": _appearance,
}
