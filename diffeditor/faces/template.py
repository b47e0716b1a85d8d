"""A face placed by three clicks, for portraits on which no landmarks are found."""

from collections.abc import Sequence

import numpy as np

from diffeditor.errors import InvalidEdit
from diffeditor.tasks.base import checked_pair

_MEAN_FACE = """
-2.18,0.12 -2.14,0.75 -2.02,1.29 -1.82,1.78 -1.54,2.22 -1.21,2.59 -0.84,2.87 -0.43,3.05
0.00,3.11 0.43,3.05 0.84,2.87 1.21,2.59 1.54,2.22 1.82,1.78 2.02,1.29 2.14,0.75 2.18,0.12
-1.76,-0.74 -1.42,-0.83 -1.09,-0.86 -0.75,-0.84 -0.42,-0.76 0.42,-0.76 0.75,-0.84 1.09,-0.86
1.42,-0.83 1.76,-0.74 0.00,-0.13 0.00,0.18 0.00,0.49 0.00,0.79 -0.48,0.86 -0.24,0.98 0.00,1.03
0.24,0.98 0.48,0.86 -1.52,-0.01 -1.20,-0.21 -0.80,-0.21 -0.48,0.05 -0.81,0.19 -1.19,0.19
0.48,0.05 0.80,-0.21 1.20,-0.21 1.52,-0.01 1.19,0.19 0.81,0.19 -0.83,1.64 -0.50,1.56 -0.17,1.49
0.00,1.53 0.17,1.49 0.50,1.56 0.83,1.64 0.52,2.08 0.21,2.26 0.00,2.27 -0.21,2.26 -0.52,2.08
-0.72,1.65 -0.33,1.68 0.00,1.70 0.33,1.68 0.72,1.65 0.33,1.95 0.00,1.99 -0.33,1.95
"""
MEAN_FACE = np.array([pair.split(",") for pair in _MEAN_FACE.split()], dtype=np.float64)
"""(68, 2) iBUG landmarks x, y: the mean of 3,000 faces drawn at random by `worlds`, each laid with
its eyes at (-1, 0) and (1, 0) and its mouth below, and of their mirror images."""

EYE, OTHER_EYE, MOUTH = slice(36, 42), slice(42, 48), slice(48, 68)
"""The landmarks whose means are what is clicked."""

FLATTEST = 0.1
"""The mouth lies at least this far from the line of the eyes, in distances of the eyes."""


def fit_template(
    left_eye: Sequence[float], right_eye: Sequence[float], mouth: Sequence[float]
) -> np.ndarray:
    """The 68 iBUG landmarks of a mean face, float64 (68, 2), laid on three clicks by a similarity.

    left_eye, right_eye, mouth: their middles (x, y) in pixels, the eyes in any order. A similarity
    is steadier than the affine map that would meet all three exactly.

    Raises:
        InvalidEdit: the three are not places, or lie almost on a line.
    """
    clicks = (left_eye, right_eye, mouth)
    names = ("left eye", "right eye", "mouth")
    a, b, c = (complex(*checked_pair(p, n)) for p, n in zip(clicks, names, strict=True))
    across = ((b - a).conjugate() * (c - a)).imag
    if abs(across) <= FLATTEST * abs(b - a) ** 2:
        raise InvalidEdit("Click the two eyes and the mouth; the three must not lie on a line.")
    places = np.array([a, b, c] if across > 0 else [b, a, c])
    face = MEAN_FACE @ (1, 1j)
    fitted = _similarity(np.array([face[part].mean() for part in (EYE, OTHER_EYE, MOUTH)]), places)
    placed = fitted[0] * face + fitted[1]
    return np.stack([placed.real, placed.imag], axis=-1)


def _similarity(source: np.ndarray, target: np.ndarray) -> tuple[complex, complex]:
    """a, b of the map a z + b that takes complex places (n,) nearest to others."""
    from_mean, to_mean = source - source.mean(), target - target.mean()
    a = np.vdot(from_mean, to_mean) / np.vdot(from_mean, from_mean)
    return complex(a), complex(target.mean() - a * source.mean())
