"""Scenes of which cases are made: random ones, until there is one that an edit suits.

The solid that is edited stands clear of all others and wholly in the frame, before and after, so
that its mask shows all of it and nothing else is uncovered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from diffeditor.worlds.case_base import FIRST_WORLD, LAST_WORLD
from diffeditor.worlds.scene_spec import (
    SceneSpec,
    Solid,
    apart,
    fits,
    frame_width,
    project,
    random_scene,
)
from diffeditor.worlds.solids import SHAPES

CLEAR = 1.0
"""How far apart the objects of a case stand (see `apart`), so that none hides another."""
LOWEST = 0.97
"""Where the lowest point of an object may be seen, in sides of the picture."""


def first_suitable(
    rng: np.random.Generator, propose: Callable[[SceneSpec, int], Solid | None]
) -> tuple[SceneSpec, int, Solid]:
    """The first of many random scenes that suits: the scene, one of its solids, what is proposed.

    propose: takes a scene and the index of a solid that no other hides; None turns them down.
    """
    for scene, index in endless_scenes(rng):
        found = propose(scene, index)
        if found is not None:
            return scene, index, found
    raise AssertionError("There is no end of scenes.")


def endless_scenes(rng: np.random.Generator) -> Iterator[tuple[SceneSpec, int]]:
    """Random scenes without end, each with the index of a solid that no other hides.

    The solid's shape is drawn first, so that no shape is rarer for needing more room.
    """
    shape = str(rng.choice(SHAPES))
    while True:
        scene = random_scene(int(rng.integers(FIRST_WORLD, LAST_WORLD)))
        for index, solid in enumerate(scene.solids):
            if solid.shape == shape and stands_clear(scene, index, solid):
                yield scene, index


def stands_clear(scene: SceneSpec, index: int | None, solid: Solid) -> bool:
    """Whether `solid`, in the place of solid `index`, is wholly in the frame and apart from all."""
    others = (other for i, other in enumerate(scene.solids) if i != index)
    foot = project(scene, (solid.x, 0.0, solid.z - solid.reach))[1]
    top = project(scene, (solid.x, solid.extent[1], solid.z))[1]
    inside = fits(solid) and foot < LOWEST and top > 1 - LOWEST
    return inside and all(apart(solid, other, CLEAR) for other in others)


def exchanged(scene: SceneSpec, index: int, solid: Solid) -> SceneSpec:
    """The scene with solid `index` exchanged."""
    return replace(scene, solids=(*scene.solids[:index], solid, *scene.solids[index + 1 :]))


def shifted(scene: SceneSpec, solid: Solid, step: float) -> Solid:
    """The solid moved sideways by `step` sides of the picture, at the same depth."""
    return replace(solid, x=solid.x + float(step) * frame_width(scene, solid.centre))


def resized(solid: Solid, factor: float) -> Solid:
    """The solid smaller or larger, still standing on the floor."""
    return replace(solid, radius=solid.radius * factor)
