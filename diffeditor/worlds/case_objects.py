"""Cases of whole objects: moved, pasted from a second scene, or given the looks of another.

What is edited are the solids of a scene; shifts and scales are then measured on the pictures.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np

from diffeditor.masks import bounding_box, box_centre
from diffeditor.tasks import Appearance, Move, Paste
from diffeditor.worlds.case_base import Case, Edit
from diffeditor.worlds.case_scenes import (
    endless_scenes,
    exchanged,
    first_suitable,
    resized,
    shifted,
    stands_clear,
)
from diffeditor.worlds.scene_spec import SceneSpec, Solid, caption
from diffeditor.worlds.world import render

MOVE_SPAN = (0.2, 0.5)
"""Displacements of `move`, in sides of the picture."""
RESIZE = ((0.68, 0.85), (1.18, 1.4))
"""Resize factors of `move` and `paste`."""
PATIENCE = 1000
"""Scenes in which a place for an object is looked for before another object is taken."""
MOST_SOLIDS = 3
"""How many objects a scene holds at most, also after `paste`."""


def move_case(seed: int, rng: np.random.Generator, size: int) -> Case:
    """An object shifted along the picture, in half of the cases resized as well."""
    factor = _factor(rng)

    def propose(scene: SceneSpec, index: int) -> Solid | None:
        step = rng.choice([-1, 1]) * round(rng.uniform(*MOVE_SPAN) * size) / size
        moved = resized(shifted(scene, scene.solids[index], step), factor)
        return moved if stands_clear(scene, index, moved) else None

    scene, index, moved = first_suitable(rng, propose)
    edit = Edit.of(scene, exchanged(scene, index, moved), size)
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


def paste_case(seed: int, rng: np.random.Generator, size: int) -> Case:
    """An object of a second scene, under the same camera and sun, put into the first."""
    factor = _factor(rng)
    reference, index, donor = first_suitable(rng, lambda scene, index: scene.solids[index])
    for scene, _ in islice(endless_scenes(rng), PATIENCE):
        pasted = resized(replace(donor, x=float(rng.uniform(-1.5, 1.5))), factor)
        if len(scene.solids) < MOST_SOLIDS and stands_clear(scene, None, pasted):
            return _pasted(seed, reference, index, scene, pasted, factor, size)
    return paste_case(seed, rng, size)


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
    edit, other = Edit.of(scene, whole, size), render(reference, size)
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


def appearance_case(seed: int, rng: np.random.Generator, size: int) -> Case:
    """An object given the colour and the pattern of an object of a second scene."""
    reference, other, donor = first_suitable(rng, lambda scene, index: scene.solids[index])

    def propose(scene: SceneSpec, index: int) -> Solid | None:
        old = scene.solids[index]
        new = replace(old, colour=donor.colour, pattern=donor.pattern, texture=donor.texture)
        return new if new.colour != old.colour else None

    scene, index, changed = first_suitable(rng, propose)
    edit, shown = Edit.of(scene, exchanged(scene, index, changed), size), render(reference, size)
    task = Appearance(
        image=edit.source.image,
        mask=edit.source.masks[index],
        reference=shown.image,
        reference_mask=shown.masks[other],
        prompt=caption(scene, places=False, looks=False),
        reference_prompt=caption(reference, places=False, looks=False),
    )
    return edit.case(seed, task, edit.region(edit.source.masks[index]))


def _factor(rng: np.random.Generator) -> float:
    """The resize factor of a case; 1 for half of them."""
    if rng.random() < 0.5:
        return 1.0
    return float(rng.uniform(*RESIZE[int(rng.integers(len(RESIZE)))]))


def _placement(src: np.ndarray, dst: np.ndarray) -> tuple[tuple[int, int], float]:
    """The shift of the box's centre in whole pixels and the growth of its sides, src to dst."""
    start, end = box_centre(src), box_centre(dst)
    before, after = bounding_box(src).size, bounding_box(dst).size
    scale = (after.width + after.height) / (before.width + before.height)
    return (round(end.x - start.x), round(end.y - start.y)), scale
