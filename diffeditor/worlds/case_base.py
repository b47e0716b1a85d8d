"""A case, and what all of them are made from: a world before and after an edit.

The region of a case is all that the edit may change: the pixels that differ between the pictures of
both worlds, and the places of the object, with a halo and without holes.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from diffeditor.tasks import Task
from diffeditor.worlds.common import Render
from diffeditor.worlds.world import WorldSpec, render

FIRST_WORLD, LAST_WORLD = 1 << 31, 1 << 32
"""Seeds of the worlds that cases are drawn from; training keeps below them."""

VISIBLE_CHANGE = 2
"""Grey levels by which a pixel must differ to count as changed."""
HALO = 1 / 64
"""How far round the changed pixels a region reaches, in sides of the picture."""


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


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A world before and after, and both pictures of it."""

    spec: WorldSpec
    truth_spec: WorldSpec
    source: Render
    truth: Render

    @classmethod
    def of(cls, spec: WorldSpec, truth_spec: WorldSpec, size: int) -> Edit:
        """The edit from one world to the other, seen in pictures of `size` pixels."""
        source, truth = render(spec, size), render(truth_spec, size)
        return cls(spec=spec, truth_spec=truth_spec, source=source, truth=truth)

    def region(self, *more: np.ndarray) -> np.ndarray:
        """The pixels that differ and those of the masks `more`, with a halo."""
        before, after = (one.image.astype(np.int16) for one in (self.source, self.truth))
        changed = (abs(after - before) > VISIBLE_CHANGE).any(-1)
        return _grown(np.logical_or.reduce([changed, *more]))

    def case(self, seed: int, task: Task, region: np.ndarray, **more: np.ndarray) -> Case:
        """The case of this edit that a task asks for; `more` may hold its target_landmarks."""
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


def _grown(mask: np.ndarray) -> np.ndarray:
    """A mask with a halo and without holes."""
    reach = max(1, round(HALO * mask.shape[0]))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    grown = cv2.dilate(mask.astype(np.uint8), disc)
    outlines, _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(grown, outlines, -1, 1, cv2.FILLED) > 0
