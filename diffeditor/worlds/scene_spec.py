"""Scenes as explicit parameters: one to three solids on a floor under a sky, and their captions.

World units: x to the right, y up, z away from the viewer; the floor is y = 0. The camera stands at
(0, height, CAMERA_Z), looks along +z and is tilted down by `pitch` radians.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from diffeditor.worlds.solids import HALF_WIDTH, HEIGHT, SHAPES
from diffeditor.worlds.textures import FLOORS, PATTERNS

Colour = tuple[float, float, float]

CAMERA_Z = -4.6
FOCAL = 2.35

COLOURS: dict[str, Colour] = {
    "red": (0.80, 0.09, 0.09),
    "green": (0.11, 0.56, 0.17),
    "blue": (0.11, 0.27, 0.84),
    "yellow": (0.95, 0.77, 0.10),
    "orange": (0.95, 0.43, 0.05),
    "purple": (0.50, 0.15, 0.67),
    "pink": (0.95, 0.45, 0.62),
    "cyan": (0.10, 0.68, 0.74),
    "white": (0.90, 0.90, 0.88),
    "black": (0.09, 0.09, 0.11),
    "brown": (0.43, 0.24, 0.12),
}
FLOOR_COLOURS: dict[str, Colour] = {
    "white": (0.80, 0.79, 0.77),
    "gray": (0.46, 0.47, 0.50),
    "pink": (0.78, 0.53, 0.58),
    "green": (0.42, 0.60, 0.44),
    "blue": (0.42, 0.53, 0.72),
    "yellow": (0.76, 0.68, 0.42),
    "purple": (0.58, 0.47, 0.68),
    "brown": (0.52, 0.38, 0.29),
}
SKIES: dict[str, tuple[Colour, Colour]] = {
    "blue": ((0.28, 0.52, 0.88), (0.76, 0.88, 0.98)),
    "gray": ((0.42, 0.44, 0.48), (0.72, 0.74, 0.77)),
    "pink": ((0.56, 0.36, 0.62), (0.98, 0.76, 0.74)),
    "dark": ((0.03, 0.04, 0.10), (0.20, 0.22, 0.36)),
    "white": ((0.80, 0.83, 0.87), (0.96, 0.96, 0.95)),
    "orange": ((0.34, 0.27, 0.48), (0.99, 0.62, 0.32)),
}
COLOURED_FLOORS = ("plain", "tiled", "marble")
STRETCHY = ("cube", "cylinder", "cone")
RADII = {1: (0.62, 0.92), 2: (0.54, 0.78), 3: (0.46, 0.62)}
"""From which the radii of so many solids are drawn: about 25 to 55 pixels across in 128."""
PLACINGS = 12
"""How often a place is looked for before a solid is made smaller."""

_PLACES = ("on the left", "in the middle", "on the right")
_GRAMMAR = ("a", "an", "and", "floor", "in", "left", "middle", "on", "right", "sky", "the")

VOCABULARY: tuple[str, ...] = tuple(
    sorted({*_GRAMMAR, *SHAPES, *PATTERNS, *COLOURS, *FLOORS, *FLOOR_COLOURS, *SKIES})
)


@dataclass(frozen=True, kw_only=True)
class Solid:
    """One object that stands on the floor at (x, 0, z).

    radius: world units of the unit solid; stretch: further factors along its own x, y, z;
    yaw: radians about the vertical; texture: seed of its pattern.
    """

    shape: str
    colour: str
    pattern: str
    x: float
    z: float
    radius: float
    yaw: float
    stretch: tuple[float, float, float] = (1.0, 1.0, 1.0)
    texture: int = 0

    @property
    def scale(self) -> tuple[float, float, float]:
        """World units per unit of the solid along its own axes."""
        return (
            self.radius * self.stretch[0],
            self.radius * self.stretch[1],
            self.radius * self.stretch[2],
        )

    @property
    def extent(self) -> tuple[float, float, float]:
        """Its width, height and depth along its own axes, in world units."""
        across = 2 * HALF_WIDTH[self.shape]
        width, height, depth = self.scale
        return across * width, HEIGHT[self.shape] * height, across * depth

    @property
    def centre(self) -> tuple[float, float, float]:
        """The middle of its axis, in world units."""
        return self.x, self.extent[1] / 2, self.z

    @property
    def reach(self) -> float:
        """World units from its axis to the farthest point of its outline on the floor."""
        corner = math.sqrt(2) if self.shape == "cube" else 1.0
        return 0.5 * corner * max(self.extent[0], self.extent[2])


@dataclass(frozen=True, kw_only=True)
class SceneSpec:
    """Everything a picture of a scene depends on.

    light: direction towards the sun, any length; pitch: radians the camera looks down;
    height: world units of the camera above the floor; texture: seed of the floor's texture.
    """

    kind: ClassVar[str] = "scene"

    solids: tuple[Solid, ...]
    floor: str
    floor_colour: str
    sky: str
    light: tuple[float, float, float]
    pitch: float
    height: float
    texture: int = 0


def project(spec: SceneSpec, point: Sequence[float], size: float = 1.0) -> tuple[float, float]:
    """Where a world point (x, y, z) is seen, (x, y) in pixels of a picture of side `size`."""
    x, y, z = point[0], point[1] - spec.height, point[2] - CAMERA_Z
    cos, sin = math.cos(spec.pitch), math.sin(spec.pitch)
    depth = z * cos - y * sin
    up = y * cos + z * sin
    return (0.5 + FOCAL * x / depth / 2) * size, (0.5 - FOCAL * up / depth / 2) * size


def frame_width(spec: SceneSpec, point: Sequence[float]) -> float:
    """How many world units the picture is wide at the depth of a world point."""
    y, z = point[1] - spec.height, point[2] - CAMERA_Z
    return 2 * (z * math.cos(spec.pitch) - y * math.sin(spec.pitch)) / FOCAL


def centres(spec: SceneSpec, size: float = 1.0) -> np.ndarray:
    """Pixels (n, 2), (x, y), at which the middles of the solids are seen."""
    return np.array([project(spec, solid.centre, size) for solid in spec.solids])


def random_scene(seed: int) -> SceneSpec:
    """A scene of one to three solids; the same seed gives the same scene everywhere."""
    rng = np.random.default_rng(seed)
    side = float(rng.choice([-1.0, 1.0]))
    light = (side * rng.uniform(0.5, 1.1), rng.uniform(1.0, 1.5), rng.uniform(-0.8, 0.1))
    return SceneSpec(
        solids=_random_solids(rng, int(rng.choice([1, 2, 3], p=[0.35, 0.4, 0.25]))),
        floor=str(rng.choice(FLOORS)),
        floor_colour=str(rng.choice(list(FLOOR_COLOURS))),
        sky=str(rng.choice(list(SKIES))),
        light=(float(light[0]), float(light[1]), float(light[2])),
        pitch=float(rng.uniform(0.17, 0.25)),
        height=float(rng.uniform(1.75, 2.1)),
        texture=int(rng.integers(1 << 30)),
    )


def _random_solids(rng: np.random.Generator, count: int) -> tuple[Solid, ...]:
    """`count` solids, from left to right, that fit the frame and hardly cover each other.

    What they are is drawn once and only their places anew, so that no shape is rarer for being
    wide. Crowded places are thrown away together, with radii a little smaller each time.
    """
    looks = [_random_look(rng) for _ in range(count)]
    shrink = 1.0
    while True:
        solids: list[Solid] = []
        for look in looks:
            for _ in range(PLACINGS):
                solid = _placed(look, rng, RADII[count], shrink)
                if fits(solid) and all(apart(solid, other) for other in solids):
                    solids.append(solid)
                    break
        if len(solids) == count:
            return tuple(sorted(solids, key=lambda one: one.x))
        shrink *= 0.98


def _random_look(rng: np.random.Generator) -> Solid:
    """A solid of radius one at the origin."""
    shape = str(rng.choice(SHAPES))
    across, up = rng.uniform(0.88, 1.18, 2).tolist() if shape in STRETCHY else (1.0, 1.0)
    return Solid(
        shape=shape,
        colour=str(rng.choice(list(COLOURS))),
        pattern=str(rng.choice(PATTERNS)),
        x=0.0,
        z=0.0,
        radius=1.0,
        yaw=float(rng.uniform(0.0, math.pi)),
        stretch=(across, up, across),
        texture=int(rng.integers(1 << 30)),
    )


def _placed(
    look: Solid, rng: np.random.Generator, radii: tuple[float, float], shrink: float
) -> Solid:
    return replace(
        look,
        x=float(rng.uniform(-1.5, 1.5)),
        z=float(rng.uniform(-0.7, 1.1)),
        radius=float(rng.uniform(*radii) * shrink),
    )


def fits(solid: Solid) -> bool:
    """Whether its outline stays inside the frame, left and right, with a small margin."""
    near = solid.z - CAMERA_Z - 0.5 * solid.reach
    return FOCAL * (abs(solid.x) + solid.reach) < 0.96 * near


def apart(one: Solid, other: Solid, share: float = 0.82) -> bool:
    """Whether two solids stand clear of each other on the floor and, nearly, in the picture.

    share: how much of their reaches must lie between their axes from side to side.
    """
    both = one.reach + other.reach
    return (
        math.hypot(one.x - other.x, one.z - other.z) > 1.05 * both
        and abs(one.x - other.x) > share * both
    )


def caption(spec: SceneSpec, *, places: bool = True, looks: bool = True) -> str:
    """One sentence of words from VOCABULARY and commas.

    places: say where the solids stand; looks: say their colours and patterns.
    """
    in_order = sorted(spec.solids, key=lambda solid: solid.x)
    things = " and ".join(_phrase(spec, solid, places, looks) for solid in in_order)
    colour = f"{spec.floor_colour} " if spec.floor in COLOURED_FLOORS else ""
    return f"{things}, {colour}{spec.floor} floor, {spec.sky} sky"


def _phrase(spec: SceneSpec, solid: Solid, places: bool, looks: bool) -> str:
    across = project(spec, solid.centre)[0]
    place = f" {_PLACES[(across > 0.4) + (across > 0.6)]}" if places else ""
    thing = f"{solid.colour} {solid.pattern} {solid.shape}" if looks else solid.shape
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}{place}"
