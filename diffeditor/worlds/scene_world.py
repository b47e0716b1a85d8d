"""Scenes as tensors: the parameters of a whole batch, and the way from the world to its solids.

The solids of all scenes stand in one row, so that a scene may have any number of them. The symbols
of shapes (B scenes, K solids, M points) are those of `scenes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from diffeditor.worlds.scene_spec import COLOURS, FLOOR_COLOURS, SKIES, Colour, SceneSpec
from diffeditor.worlds.solids import SHAPES, normalise
from diffeditor.worlds.textures import FLOORS, GLOSS, PATTERNS, floor_mean, noise_offset


@dataclass(frozen=True, kw_only=True)
class World:
    """The parameters of B scenes and their K solids as tensors on one device.

    Scenes: cos and sin of the camera's pitch, its height, floor (the position in FLOORS), (B,);
    light (the unit direction to the sun), the colours of sky and floor, the floor's offset in the
    noise field and its mean colour, bounce, (3, B).
    Solids: the scene they belong to, slot (the position in its spec), shape and pattern (those in
    SHAPES and PATTERNS), gloss, metal (1 or 0), (K,); turn, cos and sin of their yaw, (2, K);
    place, scale, extent, the colours base and accent, their offset in the noise field, (3, K).
    """

    cos: Tensor
    sin: Tensor
    height: Tensor
    light: Tensor
    zenith: Tensor
    horizon: Tensor
    floor_base: Tensor
    floor_offset: Tensor
    floor: Tensor
    bounce: Tensor
    scene: Tensor
    slot: Tensor
    shape: Tensor
    pattern: Tensor
    place: Tensor
    turn: Tensor
    scale: Tensor
    extent: Tensor
    base: Tensor
    accent: Tensor
    offset: Tensor
    gloss: Tensor
    metal: Tensor

    def to(self, device: torch.device | str) -> World:
        return World(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    @property
    def middle(self) -> Tensor:
        """The middles of the solids in the world, (3, K)."""
        return torch.stack([self.place[0], 0.5 * self.extent[1], self.place[2]])

    def local(self, v: Tensor, k: Tensor) -> Tensor:
        """World vectors (3, ..., M) in the axes and units of the solids k (M,)."""
        cos, sin = self.turn[:, k]
        turned = torch.stack([cos * v[0] - sin * v[2], v[1], sin * v[0] + cos * v[2]])
        return turned / _spread(self.scale[:, k], v)

    def outward(self, normal: Tensor, k: Tensor) -> Tensor:
        """Normals (3, M) in the units of the solids k as unit normals of the world."""
        x, y, z = normal / self.scale[:, k]
        cos, sin = self.turn[:, k]
        return normalise(torch.stack([cos * x + sin * z, y, cos * z - sin * x]))


def pack(specs: Sequence[SceneSpec]) -> World:
    """The parameters of `specs` on the CPU."""
    solids = [
        (index, slot, s) for index, spec in enumerate(specs) for slot, s in enumerate(spec.solids)
    ]
    pitch = torch.tensor([spec.pitch for spec in specs])
    yaw = torch.tensor([s.yaw for *_, s in solids])
    return World(
        cos=pitch.cos(),
        sin=pitch.sin(),
        height=torch.tensor([spec.height for spec in specs]),
        light=normalise(_vectors(spec.light for spec in specs)),
        zenith=_vectors(SKIES[spec.sky][0] for spec in specs),
        horizon=_vectors(SKIES[spec.sky][1] for spec in specs),
        floor_base=_vectors(FLOOR_COLOURS[spec.floor_colour] for spec in specs),
        floor_offset=_vectors(noise_offset(spec.texture) for spec in specs),
        bounce=_vectors(floor_mean(s.floor, FLOOR_COLOURS[s.floor_colour]) for s in specs),
        floor=torch.tensor([FLOORS.index(spec.floor) for spec in specs]),
        scene=torch.tensor([index for index, *_ in solids], dtype=torch.long),
        slot=torch.tensor([slot for _, slot, _ in solids], dtype=torch.int8),
        shape=torch.tensor([SHAPES.index(s.shape) for *_, s in solids], dtype=torch.long),
        pattern=torch.tensor([PATTERNS.index(s.pattern) for *_, s in solids], dtype=torch.long),
        place=_vectors((s.x, 0.0, s.z) for *_, s in solids),
        turn=torch.stack([yaw.cos(), yaw.sin()]),
        scale=_vectors(s.scale for *_, s in solids),
        extent=_vectors(s.extent for *_, s in solids),
        base=_vectors(COLOURS[s.colour] for *_, s in solids),
        accent=_vectors(_accent(s.colour) for *_, s in solids),
        offset=_vectors(noise_offset(s.texture) for *_, s in solids),
        gloss=torch.tensor([GLOSS[s.pattern] for *_, s in solids]),
        metal=torch.tensor([float(s.pattern == "metal") for *_, s in solids]),
    )


def kinds(index: Tensor, names: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
    """Each name that occurs, with the positions at which it does."""
    for number, name in enumerate(names):
        where = (index == number).nonzero()[:, 0]
        if len(where):
            yield name, where


def _vectors(rows: Iterable[tuple[float, float, float]]) -> Tensor:
    """Points, directions or colours as (3, len(rows))."""
    return torch.tensor(list(rows), dtype=torch.float32).view(-1, 3).T.contiguous()


def _accent(colour: str) -> Colour:
    """The second colour of a pattern: pale, but dark on white."""
    if colour == "white":
        return 0.33, 0.36, 0.44
    if colour == "black":
        return 0.75, 0.75, 0.75
    red, green, blue = (0.25 * value + 0.72 for value in COLOURS[colour])
    return red, green, blue


def _spread(values: Tensor, like: Tensor) -> Tensor:
    """(3, M) values to broadcast with (3, ..., M) ones."""
    return values.view(3, *([1] * (like.dim() - 2)), -1)
