"""What a portrait is made of: explicit parameters, their random choice and the caption."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from diffeditor.errors import InvalidSetting

Colour = tuple[float, float, float]

SKINS: dict[str, Colour] = {
    "pale": (0.97, 0.84, 0.77),
    "light": (0.94, 0.75, 0.63),
    "tan": (0.82, 0.60, 0.45),
    "brown": (0.63, 0.43, 0.31),
    "dark": (0.45, 0.30, 0.22),
}
HAIRS: dict[str, Colour] = {
    "black": (0.10, 0.085, 0.10),
    "brown": (0.33, 0.19, 0.11),
    "blonde": (0.88, 0.70, 0.40),
    "red": (0.66, 0.26, 0.10),
    "gray": (0.64, 0.64, 0.67),
}
EYES: dict[str, Colour] = {
    "blue": (0.22, 0.48, 0.82),
    "brown": (0.42, 0.24, 0.11),
    "green": (0.25, 0.56, 0.30),
    "gray": (0.50, 0.54, 0.58),
}
SHIRTS: dict[str, Colour] = {
    "white": (0.92, 0.92, 0.93),
    "black": (0.14, 0.14, 0.16),
    "red": (0.76, 0.15, 0.17),
    "blue": (0.17, 0.32, 0.68),
    "green": (0.16, 0.50, 0.28),
    "yellow": (0.92, 0.76, 0.22),
}
BACKGROUNDS: dict[str, Colour] = {
    "blue": (0.38, 0.56, 0.82),
    "green": (0.42, 0.66, 0.46),
    "red": (0.78, 0.38, 0.36),
    "gray": (0.64, 0.65, 0.68),
    "yellow": (0.93, 0.81, 0.48),
    "purple": (0.56, 0.44, 0.74),
    "teal": (0.28, 0.64, 0.66),
}
STYLES = ("short", "bob", "long", "curly", "bald")

OPEN_FROM = 0.15
"""Mouths opened further than this are called open."""
TURNED_FROM = 0.12
"""Heads turned by more than this, in radians, are said to face left or right."""


@dataclass(frozen=True, kw_only=True)
class FaceSpec:
    """A portrait. The same values give the same picture; one changed value changes only its part.

    Angles are radians: yaw > 0 turns to the picture's right, pitch > 0 looks up, roll > 0 leans
    the head anticlockwise. `open` (0 closed, 1 wide), `smile` (-1 frown, 1 smile), `brow` (-1
    lowered, 1 raised), `lids` (0 shut, 1 open), `gaze` (-1 left, 1 right) and `light` (-1 from the
    left, 1 from the right) are the expression and the scene; `scale` is the head unit (about half
    a head's width) and (`x`, `y`) the head's centre, in frame units; the rest are factors round 1
    of the average face, except `blush`, `parting` and `strands`: lip redness in [0, 1], where the
    hair parts in [-1, 1], and the phase of its strands. Raises InvalidSetting for a number outside
    `LIMITS` or a word not in `CHOICES`.
    """

    kind: ClassVar[str] = "face"

    skin: str = "light"
    hair: str = "brown"
    style: str = "short"
    eyes: str = "blue"
    shirt: str = "blue"
    background: str = "gray"
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    open: float = 0.0
    smile: float = 0.0
    brow: float = 0.0
    lids: float = 1.0
    gaze: float = 0.0
    light: float = -0.4
    scale: float = 0.325
    x: float = 0.5
    y: float = 0.47
    head_width: float = 1.0
    jaw_width: float = 1.0
    eye_size: float = 1.0
    eye_spacing: float = 1.0
    nose_width: float = 1.0
    nose_length: float = 1.0
    mouth_width: float = 1.0
    lip_fullness: float = 1.0
    brow_thickness: float = 1.0
    hair_length: float = 1.0
    hairline: float = 1.0
    blush: float = 0.5
    parting: float = 0.4
    strands: float = 0.0

    def __post_init__(self) -> None:
        for name, words in CHOICES.items():
            if getattr(self, name) not in words:
                raise InvalidSetting(f"{name} must be one of {', '.join(words)}.")
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise InvalidSetting(f"{name} must lie in [{low}, {high}], not {value}.")


CHOICES: dict[str, tuple[str, ...]] = {
    "skin": tuple(SKINS),
    "hair": tuple(HAIRS),
    "style": STYLES,
    "eyes": tuple(EYES),
    "shirt": tuple(SHIRTS),
    "background": tuple(BACKGROUNDS),
}
_FACTOR = (0.75, 1.3)
LIMITS: dict[str, tuple[float, float]] = {
    field.name: _FACTOR for field in fields(FaceSpec) if field.name not in CHOICES
} | {
    "yaw": (-0.5, 0.5),
    "pitch": (-0.35, 0.35),
    "roll": (-0.5, 0.5),
    "open": (0.0, 1.0),
    "smile": (-1.0, 1.0),
    "brow": (-1.0, 1.0),
    "lids": (0.0, 1.2),
    "gaze": (-1.0, 1.0),
    "light": (-1.0, 1.0),
    "scale": (0.1, 0.4),
    "x": (0.2, 0.8),
    "y": (0.2, 0.8),
    "blush": (0.0, 1.0),
    "parting": (-1.0, 1.0),
    "strands": (0.0, 100.0),
}
_RANGES: dict[str, tuple[float, float]] = {
    "yaw": (-0.42, 0.42),
    "pitch": (-0.14, 0.14),
    "roll": (-0.14, 0.14),
    "brow": (-0.6, 1.0),
    "lids": (0.65, 1.1),
    "gaze": (-0.7, 0.7),
    "light": (-0.9, 0.9),
    "scale": (0.305, 0.335),
    "x": (0.47, 0.53),
    "y": (0.455, 0.485),
    "head_width": (0.93, 1.06),
    "jaw_width": (0.85, 1.15),
    "eye_size": (0.9, 1.12),
    "eye_spacing": (0.95, 1.06),
    "nose_width": (0.8, 1.25),
    "nose_length": (0.9, 1.1),
    "mouth_width": (0.9, 1.1),
    "lip_fullness": (0.8, 1.3),
    "brow_thickness": (0.75, 1.3),
    "hair_length": (0.85, 1.15),
    "hairline": (0.92, 1.08),
    "blush": (0.0, 1.0),
    "parting": (-0.8, 0.8),
    "strands": (0.0, 100.0),
}
_EXPRESSIONS = {"smiling": (0.45, 1.0), "neutral": (-0.05, 0.2), "frowning": (-0.8, -0.35)}
_STYLE_SHARES = (0.28, 0.22, 0.26, 0.16, 0.08)


def random_face(seed: int) -> FaceSpec:
    """A face drawn from the whole range of looks; half of them have an open mouth."""
    rng = np.random.default_rng(seed)
    values: dict[str, float] = {n: float(rng.uniform(*span)) for n, span in _RANGES.items()}
    words = {name: str(rng.choice(choices)) for name, choices in CHOICES.items()}
    words["style"] = str(rng.choice(STYLES, p=_STYLE_SHARES))
    mood = str(rng.choice(list(_EXPRESSIONS), p=(0.45, 0.35, 0.2)))
    values["smile"] = float(rng.uniform(*_EXPRESSIONS[mood]))
    values["open"] = float(rng.uniform(0.3, 1.0)) if rng.random() < 0.5 else 0.0
    return FaceSpec(**words, **values)  # pyright: ignore[reportArgumentType]


def caption(spec: FaceSpec) -> str:
    """The face in words of `VOCABULARY`, attributes always in the same order."""
    hair = "no hair" if spec.style == "bald" else f"{spec.style} {spec.hair} hair"
    mood = "smiling" if spec.smile > 0.3 else "frowning" if spec.smile < -0.2 else "neutral"
    mouth = "open" if spec.open > OPEN_FROM else "closed"
    turned = abs(spec.yaw) > TURNED_FROM
    facing = ("right" if spec.yaw > 0 else "left") if turned else "forward"
    return (
        f"a face with {spec.skin} skin, {hair} and {spec.eyes} eyes, {mood}, mouth {mouth}, "
        f"facing {facing}, {spec.shirt} shirt, {spec.background} background"
    )


_SYNTAX = "a face with skin no hair and eyes mouth facing shirt background"
_VALUES = "smiling neutral frowning open closed left right forward"
VOCABULARY: tuple[str, ...] = tuple(
    dict.fromkeys(
        word
        for group in (_SYNTAX.split(), _VALUES.split(), *CHOICES.values())
        for word in group
        if word != "bald"
    )
)
"""Every word a caption can contain, without punctuation."""
