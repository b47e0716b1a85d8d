"""Cases of faces: the same person with another pose or another expression.

Only the few values that an edit names are drawn anew, once for the face before and once for the
face after. `face_edit` is what the dragged landmarks of `case_drags` start from, too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from diffeditor.tasks import Face
from diffeditor.worlds.case_base import FIRST_WORLD, LAST_WORLD, Case, Edit
from diffeditor.worlds.common import Render
from diffeditor.worlds.face_spec import FaceSpec, random_face

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
CHANGING_CLAUSES = ("smiling", "neutral", "frowning", "mouth", "facing")
"""First words of what a face's caption says of pose and expression."""


def face_case(seed: int, rng: np.random.Generator, size: int) -> Case:
    """The same person with another pose or expression, given by all landmarks."""
    edit = face_edit(FACE_KINDS[seed % len(FACE_KINDS)], rng, size)
    now, then = landmarks_of(edit.source), landmarks_of(edit.truth)
    task = Face(
        image=edit.source.image,
        source_landmarks=now,
        target_landmarks=then,
        prompt=lasting_caption(edit.source.caption),
    )
    region = edit.region(edit.source.masks[0], edit.truth.masks[0])
    return edit.case(seed, task, region, target_landmarks=then)


def face_edit(kind: str, rng: np.random.Generator, size: int) -> Edit:
    """A random face before and after the edit `kind` of FACE_EDITS."""
    before, after = FACE_EDITS[kind]
    face = _drawn(random_face(int(rng.integers(FIRST_WORLD, LAST_WORLD))), before, rng)
    return Edit.of(face, _drawn(face, after, rng), size)


def landmarks_of(picture: Render) -> np.ndarray:
    """The landmarks of a face (68, 2); raises TypeError for another picture."""
    if picture.landmarks is None:
        raise TypeError("Only faces have landmarks.")
    return picture.landmarks


def lasting_caption(text: str) -> str:
    """A face's caption without its pose and expression."""
    clauses = text.split(", ")
    return ", ".join(c for c in clauses if not c.startswith(CHANGING_CLAUSES))


def _drawn(face: FaceSpec, ranges: FaceRanges, rng: np.random.Generator) -> FaceSpec:
    """The face with these of its values drawn anew."""
    values = {name: float(rng.uniform(*span)) for name, span in ranges.items()}
    return replace(face, **values)  # pyright: ignore[reportArgumentType]
