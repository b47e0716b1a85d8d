"""Colour and light of portraits, per pixel: shaded skin, strands of hair, shine.

The head is lit as a height field: an ellipsoid with a smooth bump for each cheek, eye socket, the
nose, lips and chin, whose slopes are known in closed form, so that no grid and no size matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffeditor.worlds import face_model
from diffeditor.worlds.face_spec import (
    BACKGROUNDS,
    EYES,
    HAIRS,
    SHIRTS,
    SKINS,
    FaceSpec,
)
from diffeditor.worlds.raster import Window, gaussians, soft, stroke_distance

_COLOURS = {
    "skin": SKINS,
    "hair": HAIRS,
    "eyes": EYES,
    "shirt": SHIRTS,
    "background": BACKGROUNDS,
}
Vector = tuple[Tensor, Tensor, Tensor]

_NUMBERS = ("yaw", "roll", "light", "scale", "x", "y", "blush", "strands", "smile")
_FACTORS = ("eye_size", "nose_width", "brow_thickness")


def _tint(red: float, green: float, blue: float) -> Tensor:
    return torch.tensor([red, green, blue])[None, :, None, None]


EYE_WHITE = _tint(0.97, 0.965, 0.955)
TOOTH_WHITE = _tint(0.98, 0.97, 0.94)
MOUTH_DARK = _tint(0.20, 0.045, 0.06)
TONGUE = _tint(0.80, 0.36, 0.38)
EAR_SHADE = 0.83
_SHADOW = _tint(0.50, 0.36, 0.33)
_LIP = _tint(0.86, 0.58, 0.56)
_LIPSTICK = _tint(0.40, 0.06, 0.10)
_FLUSH = _tint(0.08, -0.09, -0.07)


@dataclass(frozen=True, kw_only=True)
class Faces:
    """A batch of specs as tensors.

    shape: outlines (B, M, 2) in frame units. colour: (B, 3, 1, 1). value: (B, 1, 1).
    """

    shape: dict[str, Tensor]
    colour: dict[str, Tensor]
    value: dict[str, Tensor]
    size: int

    @staticmethod
    def of(specs: Sequence[FaceSpec], size: int, device: torch.device) -> Faces:
        """Place the outlines of every face and gather its numbers on the device."""

        def tensor(rows: list[Any]) -> Tensor:
            return torch.from_numpy(np.asarray(rows, dtype=np.float32)).to(device)

        outlines = [face_model.shapes(spec) for spec in specs]
        colour = {
            name: tensor([words[getattr(spec, name)] for spec in specs])[..., None, None]
            for name, words in _COLOURS.items()
        }
        value = {
            name: tensor([getattr(spec, name) for spec in specs])[:, None, None]
            for name in (*_NUMBERS, *_FACTORS)
        }
        value["curly"] = tensor([spec.style == "curly" for spec in specs])[:, None, None]
        shape = {name: tensor([outline[name] for outline in outlines]) for name in outlines[0]}
        return Faces(shape=shape, colour=colour, value=value, size=size)

    def point(self, index: int) -> Tensor:
        """Landmark `index`, (B, 2) in frame units."""
        return self.shape["landmarks"][:, index]

    def stroke(self, window: Window, line: Tensor, radius: float | Tensor) -> Tensor:
        """`stroke_distance` to line (B, M, 2); radius, a number, (M,) or (B, M), in head units."""
        scaled = (radius * self.value["scale"][:, 0]).expand(line.shape[:2])
        return stroke_distance(window.x, window.y, line, scaled)


def upright_coordinates(faces: Faces, window: Window) -> tuple[Tensor, Tensor]:
    """(u, v), (B, 1, w) and (B, h, 1): right and up of the head's centre in head units."""
    value = faces.value
    u = (window.x - value["x"]) / value["scale"]
    return u, (value["y"] - window.y) / value["scale"]


def _head_coordinates(faces: Faces, window: Window) -> tuple[Tensor, Tensor]:
    """(u, v), each (B, h, w): right and up in head units, turned with the head's roll."""
    x, y = upright_coordinates(faces, window)
    c, s = faces.value["roll"].cos(), faces.value["roll"].sin()
    return x * c + y * s, y * c - x * s


def in_shadow(skin: Tensor) -> Tensor:
    """Skin (B, 3, ...) without direct light: darker and warmer."""
    return skin * _SHADOW.to(skin.device)


def shaded(skin: Tensor, tone: Tensor) -> Tensor:
    """Skin (B, 3, ...) under light of strength tone (B, h, w), 0 shadow, 1 full light."""
    return torch.lerp(in_shadow(skin), skin, tone[:, None])


def neck_light(faces: Faces, window: Window) -> Tensor:
    """Light on the neck (B, h, w), with the soft shadow of the chin."""
    u, _ = upright_coordinates(faces, window)
    light, scale = faces.value["light"], faces.value["scale"]
    chin_x, chin_y = faces.point(8)[:, :, None, None].unbind(1)
    below = (window.y - chin_y) / scale
    aside = (window.x - chin_x) / scale + 0.1 * light
    return 0.90 - 0.36 * torch.exp(-((below / 0.35) ** 2) - (aside / 0.8) ** 2) + 0.14 * light * u


_NOSE_RIDGE = ((27, 0.14, 0.03), (28, 0.15, 0.06), (29, 0.16, 0.09), (30, 0.17, 0.15))


def _bumps(faces: Faces) -> tuple[Tensor, Tensor, Tensor]:
    """The face as bumps: centre, radius (B, K, 2) in frame units and height (B, K, 1)."""
    mark = faces.shape["landmarks"]
    scale = faces.value["scale"][:, :, 0]
    smile = faces.value["smile"][:, 0, 0].clamp_min(0)
    eyes = (mark[:, 36:42].mean(1), mark[:, 42:48].mean(1))
    cheeks = faces.shape["cheeks"].unbind(1)
    offset = mark.new_tensor([0.0, 1.0]) * scale
    one = torch.ones_like(smile)
    rows = [(mark[:, i], r, r, h * one) for i, r, h in _NOSE_RIDGE]
    rows += [(mark[:, i], 0.11, 0.10, 0.05 * one) for i in (31, 35)]
    rows += [(eye, 0.28, 0.17, -0.10 * one) for eye in eyes]
    rows += [(cheek, 0.32, 0.28, 0.07 + 0.05 * smile) for cheek in cheeks]
    rows += [(mark[:, i] - 0.02 * offset, 0.30, 0.09, 0.05 * one) for i in (19, 24)]
    rows += [(mark[:, 8] - 0.17 * offset, 0.28, 0.20, 0.05 * one)]
    rows += [(mark[:, 57] + 0.06 * offset, 0.26, 0.085, -0.035 * one)]
    rows += [(mark[:, 51] - 0.07 * offset, 0.05, 0.08, -0.04 * one)]
    centre = torch.stack([row[0] for row in rows], dim=1)
    radius = centre.new_tensor([row[1:3] for row in rows]) * scale[:, None]
    return centre, radius, torch.stack([row[3] for row in rows], dim=1)[..., None]


def _normal(faces: Faces, window: Window) -> Vector:
    """Unit normals (x right, y up, z to the viewer) of an ellipsoid with the bumps on it."""
    u, v = _head_coordinates(faces, window)
    centre, radius, height = _bumps(faces)
    across, down = gaussians(window, centre, radius)
    slope_x = (window.x - centre[..., :1]) / radius[..., :1] ** 2
    slope_y = (window.y.transpose(1, 2) - centre[..., 1:]) / radius[..., 1:] ** 2
    twice = -2 * height * faces.value["scale"]
    dx = down.transpose(1, 2) @ (twice * slope_x * across)
    dy = (twice * slope_y * down).transpose(1, 2) @ across
    x, y = u / 1.05, (v + 0.05) / 1.5
    z = (1.0 - (x * x + y * y)).clamp_min(0.05).sqrt()
    return _unit(x - dx * z, y + dy * z, z)


def _unit(x: Tensor, y: Tensor, z: Tensor) -> Vector:
    scale = torch.rsqrt(x * x + y * y + z * z)
    return x * scale, y * scale, z * scale


def _cosine(a: Vector, b: Vector) -> Tensor:
    return (a[0] * b[0] + a[1] * b[1] + a[2] * b[2]).clamp(0, 1)


def lit_skin(faces: Faces, window: Window, rim: Tensor) -> Tensor:
    """The skin of the head (B, 3, h, w); rim (B, h, w) falls from 1 to 0 towards its outline."""
    light = faces.value["light"]
    towards = _unit(0.75 * light, torch.full_like(light, 0.55), torch.full_like(light, 0.85))
    halfway = _unit(towards[0], towards[1], towards[2] + 1.0)
    normal = _normal(faces, window)
    gloss = _cosine(normal, halfway) ** 28
    tone = (0.06 + 1.02 * _cosine(normal, towards)) * (0.72 + 0.28 * rim)
    skin = shaded(_flushed(faces, window), tone)
    return skin + 0.16 * gloss[:, None] * (0.4 + faces.colour["skin"])


def _flushed(faces: Faces, window: Window) -> Tensor:
    """Skin (B, 3, h, w), redder on cheeks and nose, darker in the eye sockets."""
    mark, scale = faces.shape["landmarks"], faces.value["scale"][:, :, 0]
    cheeks = faces.shape["cheeks"].unbind(1)
    sockets = [mark[:, i : i + 2].mean(1) for i in (37, 43)]
    centre = torch.stack([*cheeks, mark[:, 30], *sockets], dim=1)
    radius = centre.new_tensor([(0.30, 0.24)] * 2 + [(0.17, 0.15)] + [(0.26, 0.13)] * 2)
    across, down = gaussians(window, centre, radius * scale[:, None])
    red = down[:, :3].transpose(1, 2) @ across[:, :3]
    dark = down[:, 3:].transpose(1, 2) @ across[:, 3:]
    skin = faces.colour["skin"]
    flush = _FLUSH.to(skin.device) * skin.mean(1, keepdim=True)
    return (skin + flush * red[:, None]) * (1 - 0.15 * dark[:, None])


def hair_colour(faces: Faces, window: Window) -> Tensor:
    """Hair (B, 3, h, w) wherever it may be: strands or curls, under a band of shine."""
    u, v = _head_coordinates(faces, window)
    strands = _strands(faces, u, v)
    texture = torch.lerp(strands, _curls(faces, u, v), faces.value["curly"])
    shine = torch.exp(-(((v - 0.92 + 0.35 * u * u - 0.06 * strands) / 0.17) ** 2))
    shade = 1 + 0.14 * texture + 0.15 * faces.value["light"] * u - 0.10 * (0.3 - v).clamp(0, 1.5)
    return faces.colour["hair"] * (shade + 0.40 * shine)[:, None] + 0.05 * shine[:, None]


def _strands(faces: Faces, u: Tensor, v: Tensor) -> Tensor:
    """Stripes in [-1.1, 1.1] along meridians from the crown to the ears, then straight down."""
    phase = faces.value["strands"]
    up = ((v - 0.15) / 1.35).clamp(0, 0.995)
    width = (1 - up * up).sqrt()
    flare = 1 + 0.06 * (0.15 - v).clamp_min(0)
    across = (u - 0.45 * faces.value["yaw"].sin() * up) / (width * flare)
    across = across + 0.03 * torch.sin(3.1 * v + phase)
    stripes = 0.5 * torch.sin(17 * across + phase) + 0.35 * torch.sin(31 * across + 1.7 * phase)
    stripes = stripes + 0.25 * torch.sin(45 * across + 2.3 * phase)
    return stripes * (width / 0.6).clamp_max(1)


def _curls(faces: Faces, u: Tensor, v: Tensor) -> Tensor:
    phase = faces.value["strands"]
    across = torch.sin(13 * u + 2 * torch.sin(7 * v + phase))
    return 1.2 * across * torch.sin(13 * v + 2 * torch.sin(7 * u + 1.3 * phase))


def bare_lips(faces: Faces) -> Tensor:
    """Colour of the lips (B, 3, 1, 1) before light: skin-like to red."""
    skin = faces.colour["skin"]
    plain = skin * _LIP.to(skin.device)
    red = 0.45 * plain + _LIPSTICK.to(skin.device)
    return torch.lerp(plain, red, faces.value["blush"][:, None])


def lip_colour(faces: Faces, window: Window) -> Tensor:
    """Lips (B, 3, h, w): the lower one faces the light and shines."""
    scale = faces.value["scale"]
    middle = 0.5 * (faces.point(57) + faces.point(66))[:, None]
    across, down = gaussians(window, middle, middle.new_tensor([[[0.16, 0.04]]]) * scale)
    lower = soft(faces.point(62)[:, 1, None, None] + 0.02 * scale - window.y, 0.02)
    shine = 0.14 * (down.transpose(1, 2) @ across)
    return bare_lips(faces) * (0.80 + 0.24 * lower)[:, None] + shine[:, None]


def teeth_colour(faces: Faces, window: Window) -> Tensor:
    """Upper teeth (B, 3, h, w) with the gaps between them."""
    gaps = faces.shape["tooth_gaps"].unflatten(1, (-1, 2)).unbind(1)
    nearest = torch.stack([faces.stroke(window, gap, 0.0) for gap in gaps]).amin(0)
    dark = torch.exp(-((nearest / (0.011 * faces.value["scale"])) ** 2))
    return TOOTH_WHITE.to(dark.device) * (1 - 0.22 * dark)[:, None]
