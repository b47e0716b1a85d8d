"""The head in three dimensions: landmarks, outlines and pose.

Head units: x to the picture's right, y up, z towards the viewer, the origin inside the head; half
a head's width is about 0.92. `Pose` projects them (without perspective) to frame units: x to the
right and y down over [0, 1].

The 68 landmarks are those of iBUG 300-W: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, outer lips
48-59, inner lips 60-67, the left of the picture first. As there, the jaw is the visible contour of
the head, which slides over the head as it turns; all other points are fixed to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from diffeditor.worlds.face_spec import FaceSpec

Points = NDArray[np.float64]

EYE_Y, NOSE_Y, MOUTH_Y, CHIN_Y, SKULL_Y = 0.10, -0.27, -0.60, -1.12, 1.14
HALF_WIDTH = 0.92
MOUTH_GAP = 0.36
"""Height of the opening of a mouth that is wide open."""
JAW_DROP = 0.2
SMILE_LIFT = 0.105
"""How far full smiles raise the corners of the mouth."""


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Rotation of the head (yaw, then pitch, then roll; radians), its scale and centre."""

    yaw: float
    pitch: float
    roll: float
    scale: float
    centre: tuple[float, float]

    @staticmethod
    def of(spec: FaceSpec) -> Pose:
        """The pose a spec asks for."""
        return Pose(
            yaw=spec.yaw,
            pitch=spec.pitch,
            roll=spec.roll,
            scale=spec.scale,
            centre=(spec.x, spec.y),
        )

    def project(self, points: Points) -> Points:
        """Head units (M, 3) -> frame units (M, 2)."""
        x, y, z = points.T
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return self._to_frame(x * c + z * s, y, z * c - x * s)

    def contour(self, points: Points, depth: float = 0.9) -> Points:
        """Frame units (M, 2) of silhouette points (x, y, z) (M, 3) of a rounded body.

        Each horizontal cut is an ellipse of half-width |x| and half-depth depth * |x| centred on
        (0, z); the sign of x picks the side. Without yaw this equals `project`.
        """
        x, y, z = points.T
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return self._to_frame(x * np.hypot(c, depth * s) + z * s, y, z * c)

    def _to_frame(self, x: Points, y: Points, z: Points) -> Points:
        y = y * np.cos(self.pitch) + z * np.sin(self.pitch)
        c, s = np.cos(self.roll), np.sin(self.roll)
        x, y = x * c - y * s, x * s + y * c
        return np.stack([self.centre[0] + self.scale * x, self.centre[1] - self.scale * y], axis=1)


@cache
def _spline_matrix(count: int, steps: int, closed: bool) -> Points:
    """Linear map from control points to a Catmull-Rom curve with `steps` points per span."""
    spans = count if closed else count - 1
    t = np.tile(np.arange(steps) / steps, spans)
    span = np.repeat(np.arange(spans), steps)
    if not closed:
        t, span = np.append(t, 1.0), np.append(span, spans - 1)
    weights = (
        (-t + 2 * t**2 - t**3) / 2,
        (2 - 5 * t**2 + 3 * t**3) / 2,
        (t + 4 * t**2 - 3 * t**3) / 2,
        (-(t**2) + t**3) / 2,
    )
    matrix = np.zeros((len(t), count))
    for offset, weight in enumerate(weights, start=-1):
        index = (span + offset) % count if closed else (span + offset).clip(0, count - 1)
        np.add.at(matrix, (np.arange(len(t)), index), weight)
    return matrix


def spline(points: Points | Sequence[Sequence[float]], steps: int, closed: bool = True) -> Points:
    """A smooth curve through control points (M, D), `steps` points per span."""
    control = np.asarray(points, dtype=np.float64)
    return _spline_matrix(len(control), steps, closed) @ control


def landmarks(spec: FaceSpec, size: float) -> Points:
    """The 68 landmarks (x, y) in continuous pixel coordinates of a picture of `size` pixels."""
    pose = Pose.of(spec)
    fixed = np.concatenate([_brows(spec), _nose(spec), _eyes(spec), _lips(spec)])
    return size * np.concatenate([pose.contour(_jaw(spec)), pose.project(fixed)])


def _gap(spec: FaceSpec) -> float:
    return MOUTH_GAP * spec.open**0.85


def _front(x: Points, y: Points) -> Points:
    """Depth z of the front of the face."""
    return 0.74 - 0.42 * x**2 - 0.12 * y**2


def _jaw(spec: FaceSpec) -> Points:
    angle = np.linspace(-0.5, 0.5, 17) * np.pi
    sine, cosine = np.sin(angle), np.cos(angle)
    x = np.sign(sine) * np.abs(sine) ** (1.0 - 0.6 * (spec.jaw_width - 1.0))
    drop = JAW_DROP * _gap(spec) / MOUTH_GAP
    y = 0.06 + (CHIN_Y - 0.06) * cosine**0.92 - drop * cosine**4
    return np.stack([HALF_WIDTH * spec.head_width * x, y, -0.12 + 0.66 * cosine**1.5], axis=1)


def _skull(spec: FaceSpec, count: int = 11) -> Points:
    """The top of the head from the right ear over to the left, without the ends."""
    angle = np.linspace(0, np.pi, count + 2)[1:-1]
    x = HALF_WIDTH * spec.head_width * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.92
    y = 0.06 + (SKULL_Y - 0.06) * np.sin(angle) ** 0.9
    return np.stack([x, y, np.full(count, -0.12)], axis=1)


def _brows(spec: FaceSpec) -> Points:
    inner = np.linspace(0, 1, 5)
    x = -0.76 + 0.58 * inner
    y = 0.36 + 0.08 * np.sin(np.pi * (0.15 + 0.75 * inner)) + 0.085 * spec.brow
    y -= 0.04 * inner * spec.smile - 0.03 * inner
    left = np.stack([x * spec.head_width, y, _front(x, y)], axis=1)
    return np.concatenate([left, left[::-1] * (-1, 1, 1)])


def _nose(spec: FaceSpec) -> Points:
    down = np.array([0.0, 0.34, 0.68, 1.0])
    bridge = np.stack([0 * down, EYE_Y + 0.06 - 0.38 * down, 0.72 + 0.30 * down**1.3], axis=1)
    x = np.array([-0.20, -0.10, 0.0, 0.10, 0.20]) * spec.nose_width
    y = NOSE_Y + np.array([0.02, -0.03, -0.05, -0.03, 0.02])
    base = np.stack([x, y, [0.74, 0.82, 0.86, 0.82, 0.74]], axis=1)
    nose = np.concatenate([bridge, base])
    nose[:, 1] += (spec.nose_length - 1.0) * (nose[:, 1] - EYE_Y)
    return nose


def _eyes(spec: FaceSpec) -> Points:
    up, low = 0.105 * spec.lids, 0.075 * (0.4 + 0.6 * spec.lids) * min(spec.lids * 4, 1)
    left = np.array([(-0.22, 0.01), (-0.085, up), (0.085, up), (0.22, -0.012)])
    left = np.concatenate([left, [(0.08, -low), (-0.08, -low)]]) * spec.eye_size
    left += (-0.43 * spec.eye_spacing * spec.head_width, EYE_Y)
    right = left[[3, 2, 1, 0, 5, 4]] * (-1, 1)
    eyes = np.concatenate([left, right])
    return np.column_stack([eyes, _front(eyes[:, 0], eyes[:, 1]) - 0.05])


def _lips(spec: FaceSpec) -> Points:
    """Outer lips (12), then inner lips (8)."""
    gap, corner = _gap(spec), SMILE_LIFT * spec.smile
    half = (0.36 + 0.05 * spec.smile - 0.045 * spec.open) * spec.mouth_width
    up, low = 0.080 * spec.lip_fullness, 0.110 * spec.lip_fullness
    above = [(-1, corner), (-0.6, 0.62 * up + 0.25 * corner), (-0.2, 1.05 * up), (0, 0.86 * up)]
    below = [(0.62, -0.66 * low - 0.74 * gap + 0.25 * corner), (0.25, -low - gap)]
    outer = [*above, *_mirrored(above[:3]), *below, (0, -1.05 * low - gap), *_mirrored(below)]
    top, bottom = (-0.4, 0.10 * up + 0.1 * corner), (0.4, -0.02 * low - 0.9 * gap + 0.1 * corner)
    upper = [(-0.86, 0.8 * corner), top, (0, 0.02 * up)]
    inner = [*upper, *_mirrored(upper[:2]), bottom, (0, -0.04 * low - gap), *_mirrored([bottom])]
    lips = np.array(outer + inner) * (half, 1) + (0, MOUTH_Y)
    return np.column_stack([lips, _lip_depth(lips[:, 0])])


def _mirrored(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(-x, y) for x, y in reversed(points)]


def _lip_depth(x: Points) -> Points:
    return 0.80 - 0.7 * x**2


def shapes(spec: FaceSpec) -> dict[str, Points]:
    """Every outline the renderer draws, name -> (M, 2) frame units, M the same for all faces."""
    pose, points = Pose.of(spec), landmarks(spec, 1.0)
    skull = pose.contour(_skull(spec))
    return (
        {"landmarks": points, "head": spline(np.concatenate([points[:17], skull]), 2)}
        | _body_shapes(spec)
        | _ear_shapes(spec, pose)
        | _hair_shapes(spec, pose)
        | _feature_shapes(spec, pose, points)
        | _mouth_shapes(spec, pose, points)
    )


def _body_shapes(spec: FaceSpec) -> dict[str, Points]:
    """Shoulders and neck; they follow the head's place and size but not its pose."""
    neck = [(-0.50, -0.2), (-0.50, -1.22), (-0.66, -1.36), (0, -1.78)]
    shirt = [(-2.4, -2.6), (-2.1, -1.86), (-1.5, -1.58), (-0.62, -1.30), (-0.3, -1.45), (0, -1.55)]
    return {
        name: np.array([spec.x, spec.y])
        + spec.scale * spline([*half, *_mirrored(half[:-1])], 3) * (1, -1)
        for name, half in (("neck", neck), ("shirt", shirt))
    }


def _ear_shapes(spec: FaceSpec, pose: Pose) -> dict[str, Points]:
    ear = np.array([(0.90, 0.22), (1.02, 0.27), (1.10, 0.16), (1.04, -0.12), (0.94, -0.22)])
    tucked = 0.84 if _CUTS[spec.style].front < -0.5 else 1.0
    depth = np.array([-0.25, -0.4, -0.5, -0.4, -0.25]) * (2 * tucked - 1)
    points = np.column_stack([ear * (tucked * spec.head_width, 1), depth])
    both = {side: spline(pose.project(points * (s, 1, 1)), 4) for side, s in (("l", -1), ("r", 1))}
    return {f"ear_{side}": ear for side, ear in both.items()} | {
        f"ear_hole_{side}": ear.mean(0) + 0.5 * (ear - ear.mean(0)) for side, ear in both.items()
    }


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """A hair style: how far the hair stands off the skull, how low it hangs in front and behind."""

    off: float
    front: float
    back: float
    flare: float


_CUTS = {
    "short": _Cut(off=0.09, front=0.06, back=0.2, flare=1.0),
    "bob": _Cut(off=0.16, front=-0.85, back=-0.95, flare=1.04),
    "long": _Cut(off=0.15, front=-1.50, back=-1.75, flare=1.10),
    "curly": _Cut(off=0.28, front=0.0, back=-0.75, flare=0.98),
    "bald": _Cut(off=0.0, front=0.2, back=0.2, flare=1.0),
}


def _hair_shapes(spec: FaceSpec, pose: Pose) -> dict[str, Points]:
    """The hair behind the head and the hair in front of it; a point outside the frame if bald."""
    cut, width = _CUTS[spec.style], spec.head_width
    hang = spec.hair_length if cut.front < -0.5 else 1.0
    front, back = cut.front * hang, cut.back * hang
    side = (HALF_WIDTH + cut.off) * width
    angle = np.linspace(0, np.pi, 15)
    x, rise = side * np.cos(angle), np.sin(angle) ** 0.9
    crown = np.stack([x, 0.15 + (SKULL_Y + cut.off - 0.15) * rise, np.full(15, -0.12)], axis=1)
    edge = [(-0.5 - 0.5 * cut.flare, back / 2), (-cut.flare, back * 0.9)]
    edge += [(-0.85 * cut.flare, back - 0.02), (-0.4, back - 0.06)]
    tail = np.array([*edge, (0.0, back - 0.07), *_mirrored(edge)]) * (side, 1)
    behind = np.column_stack([tail, np.full(len(tail), -0.35)])
    hair = {
        "hair_back": spline(pose.contour(np.concatenate([crown, behind]), 0.8), 3),
        "hair_front": _fringe(spec, pose, crown, front),
    }
    if spec.style == "bald":
        return {name: np.full_like(outline, -1.0) for name, outline in hair.items()}
    return hair | {"hair_back": _curled(spec, hair["hair_back"])}


def _fringe(spec: FaceSpec, pose: Pose, crown: Points, low: float) -> Points:
    """The cap from its right end over the crown to its left end and back along the hairline."""
    width, line = spec.head_width, 0.78 * spec.hairline
    side = abs(crown[0, 0])
    flare = 1 + 0.05 * max(-low, 0)
    curtain = low < -0.5
    end = side * flare if curtain else HALF_WIDTH * width
    near, depth, middle = (0.80, 0.10, low / 2 + 0.1) if curtain else (0.92, 0.0, low + 0.05)
    left, right = (line - 0.10 * max(s * spec.parting, 0) for s in (-1, 1))
    inner = np.array(
        [
            (-near * width * flare, low + 0.02, depth),
            (-near * width, middle, depth + 0.05),
            (-0.80 * width, 0.45, 0.33),
            (-0.50 * width, left - 0.02, 0.52),
            (0.45 * spec.parting, line + 0.06, 0.60),
            (0.50 * width, right - 0.02, 0.52),
            (0.80 * width, 0.45, 0.33),
            (near * width, middle, depth + 0.05),
            (near * width * flare, low + 0.02, depth),
        ]
    )
    outer = np.concatenate([[(end, low, -0.1)], crown, [(-end, low, -0.1)]])
    around = spline(pose.contour(outer, 0.8), 4, closed=False)
    return np.concatenate([_curled(spec, around), spline(pose.project(inner), 4, closed=False)])


def _curled(spec: FaceSpec, outline: Points) -> Points:
    """The outline with bumps pushed out from the head's centre if the hair is curly."""
    if spec.style != "curly":
        return outline
    centre = np.array([spec.x, spec.y])
    bumps = 0.05 * np.abs(np.sin(np.arange(len(outline)) * 0.9 + spec.strands))
    return centre + (outline - centre) * (1 + bumps[:, None])


def _feature_shapes(spec: FaceSpec, pose: Pose, points: Points) -> dict[str, Points]:
    """Eyes, brows, nose and the middles of the cheeks."""
    out = {"cheeks": pose.project(np.array([(-0.46, -0.24, 0.62), (0.46, -0.24, 0.62)]))}
    lean = (0.075 * spec.gaze + 0.075 * spec.yaw) * spec.eye_size
    ahead, aside = pose.project(np.array([(0.0, 0.0, 0.0), (lean, 0.0, 0.0)]))
    for side, brow, eye in (("l", slice(17, 22), 36), ("r", slice(26, 21, -1), 42)):
        out[f"brow_{side}"] = spline(points[brow], 3, closed=False)
        out[f"eye_{side}"] = spline(points[eye : eye + 6], 4)
        out[f"upper_lid_{side}"] = spline(points[eye : eye + 4], 4, closed=False)
        out[f"iris_{side}"] = points[eye : eye + 6].mean(0, keepdims=True) + aside - ahead
    bridge = points[27] + np.array([[-0.07, 0.0], [0.07, 0.0]]) * spec.scale
    out["nose"] = spline(np.concatenate([bridge[:1], points[[31, 32, 33, 34, 35]], bridge[1:]]), 3)
    out["nose_base"] = spline(points[31:36], 3, closed=False)
    return out


def _mouth_shapes(spec: FaceSpec, pose: Pose, points: Points) -> dict[str, Points]:
    """Lips, opening, teeth (fixed to the skull) and tongue (fixed to the jaw)."""
    gap, corner = _gap(spec), SMILE_LIFT * spec.smile
    height = min(0.16, 0.62 * gap + 0.02)
    x = np.linspace(-0.34, 0.34, 9) * spec.mouth_width
    arc = corner * 0.6 * (x / 0.34) ** 2
    z = 0.74 - 0.8 * x**2
    edge = np.stack([x, MOUTH_Y - height + arc + 0.02 * (x / 0.34) ** 2, z], axis=1)
    gum = np.stack([x, MOUTH_Y + 0.10 + arc, z], axis=1)
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    tongue = np.stack(
        [0.20 * np.cos(angle), MOUTH_Y - gap + 0.12 * gap / MOUTH_GAP * np.sin(angle)], axis=1
    )
    return {
        "lips": spline(points[48:60], 4),
        "mouth": spline(points[60:68], 4),
        "mouth_line": spline(points[[48, 60, 61, 62, 63, 64, 54]], 4, closed=False),
        "teeth": pose.project(np.concatenate([edge, gum[::-1]])),
        "tooth_gaps": pose.project(np.stack([gum, edge], axis=1)[1:-1].reshape(-1, 3)),
        "tongue": pose.project(np.column_stack([tongue, np.full(12, 0.66)])),
    }
