"""Portraits painted from explicit parameters, many at a time, on any device.

The order of painting is: background, shirt, hair behind, neck, ears, head (shaded as a height
field), nose, eyes, brows, mouth, hair in front. `face_model` places the outlines, `raster` turns
them into coverage; this file holds the colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffeditor.worlds import face_model
from diffeditor.worlds.face_model import landmarks
from diffeditor.worlds.face_spec import (
    BACKGROUNDS,
    EYES,
    HAIRS,
    SHIRTS,
    SKINS,
    VOCABULARY,
    FaceSpec,
    caption,
    random_face,
)
from diffeditor.worlds.raster import (
    Canvas,
    Window,
    coarse_polygon_distance,
    coverage,
    gaussians,
    polygon_distance,
    soft,
    stroke_distance,
)

__all__ = [
    "VOCABULARY",
    "FaceBuffers",
    "FaceSpec",
    "caption",
    "landmarks",
    "random_face",
    "render_faces",
]

BACKGROUND, SHIRT, HAIR, NECK, FACE, EYE, BROW, NOSE, LIPS, INSIDE, TEETH = range(11)
PARTS: dict[str, tuple[int, ...]] = {
    "background": (BACKGROUND,),
    "shirt": (SHIRT,),
    "hair": (HAIR,),
    "skin": (NECK, FACE, NOSE),
    "face": (FACE, EYE, BROW, NOSE, LIPS, INSIDE, TEETH),
    "eyes": (EYE,),
    "brows": (BROW,),
    "nose": (NOSE,),
    "mouth": (LIPS, INSIDE, TEETH),
    "lips": (LIPS,),
    "teeth": (TEETH,),
}
"""Named masks as unions of what owns a pixel; "skin" includes neck and ears."""

_COLOURS = {
    "skin": SKINS,
    "hair": HAIRS,
    "eyes": EYES,
    "shirt": SHIRTS,
    "background": BACKGROUNDS,
}
_NUMBERS = ("yaw", "pitch", "roll", "light", "scale", "x", "y", "blush", "strands", "smile")
_FACTORS = ("eye_size", "nose_width", "brow_thickness", "lids", "head_width")


@dataclass(frozen=True, kw_only=True)
class FaceBuffers:
    """Finished portraits with their ground truth.

    image: float32 (B, 3, H, W) in [0, 1]. parts: bool (B, H, W) of the visible pixels of each of
    `PARTS`. landmarks: float64 (B, 68, 2), (x, y) in continuous pixel coordinates.
    """

    image: Tensor
    parts: dict[str, Tensor]
    landmarks: NDArray[np.float64]
    captions: list[str]


@dataclass(frozen=True, kw_only=True)
class _Faces:
    """A batch of specs as tensors.

    shape: outlines (B, M, 2) in frame units. colour: (B, 3, 1, 1). value: (B, 1, 1).
    """

    shape: dict[str, Tensor]
    colour: dict[str, Tensor]
    value: dict[str, Tensor]
    size: int

    @staticmethod
    def of(specs: Sequence[FaceSpec], size: int, device: torch.device) -> _Faces:
        def tensor(rows: list[object]) -> Tensor:
            return torch.from_numpy(np.asarray(rows, dtype=np.float32)).to(device)

        outlines = [face_model.shapes(spec) for spec in specs]
        colours = {
            name: tensor([words[getattr(s, name)] for s in specs])[..., None, None]
            for name, words in _COLOURS.items()
        }
        values = {
            name: tensor([getattr(s, name) for s in specs])[:, None, None]
            for name in (*_NUMBERS, *_FACTORS)
        }
        values["curly"] = tensor([s.style == "curly" for s in specs])[:, None, None]
        shapes = {name: tensor([o[name] for o in outlines]) for name in outlines[0]}
        return _Faces(shape=shapes, colour=colours, value=values, size=size)

    def point(self, index: int) -> Tensor:
        """Landmark `index`, (B, 2) in frame units."""
        return self.shape["landmarks"][:, index]


def render_faces(
    specs: Sequence[FaceSpec], size: int, device: torch.device | str = "cpu"
) -> FaceBuffers:
    """Paint portraits of size x size pixels."""
    device = torch.device(device)
    faces = _Faces.of(specs, size, device)
    window = Window.full(len(specs), size, device)
    canvas = _background(faces, window)
    _body(canvas, faces, window)
    _head(canvas, faces, window)
    _nose(canvas, faces)
    for side in "lr":
        _eye(canvas, faces, side)
    _mouth(canvas, faces)
    _fringe(canvas, faces, window)
    return FaceBuffers(
        image=canvas.image.clamp_(0.0, 1.0),
        parts={name: _owned(canvas.owner, ids) for name, ids in PARTS.items()},
        landmarks=np.stack([landmarks(spec, size) for spec in specs]),
        captions=[caption(spec) for spec in specs],
    )


def _owned(owner: Tensor, ids: tuple[int, ...]) -> Tensor:
    return torch.isin(owner, torch.tensor(ids, dtype=owner.dtype, device=owner.device))


def _tint(red: float, green: float, blue: float, like: Tensor) -> Tensor:
    return torch.tensor([red, green, blue], device=like.device)[None, :, None, None]


def _head_coordinates(faces: _Faces, window: Window) -> tuple[Tensor, Tensor]:
    """(u, v), each (B, h, w): right and up in head units, turned with the head's roll."""
    value = faces.value
    x = (window.x - value["x"]) / value["scale"]
    y = (value["y"] - window.y) / value["scale"]
    c, s = value["roll"].cos(), value["roll"].sin()
    return x * c + y * s, y * c - x * s


def _background(faces: _Faces, window: Window) -> Canvas:
    light = faces.value["light"]
    away = torch.hypot(window.x - 0.5 - 0.25 * light, window.y - 0.35)
    image = faces.colour["background"] * (1.10 - 0.42 * away)[:, None]
    owner = torch.full(away.shape, BACKGROUND, dtype=torch.uint8, device=away.device)
    return Canvas(image=image, owner=owner)


def _body(canvas: Canvas, faces: _Faces, window: Window) -> None:
    """Shirt, hair behind the head, neck and ears."""
    value, colour = faces.value, faces.colour
    u, v = (window.x - value["x"]) / value["scale"], (value["y"] - window.y) / value["scale"]
    light = value["light"]

    def cover(name: str) -> Tensor:
        return coverage(
            coarse_polygon_distance(window, faces.shape[name], faces.size), window.pixel
        )

    folds = 1.0 + 0.16 * light * u - 0.16 * (u.abs() - 0.9).clamp_min(0) + 0.25 * (v + 1.7)
    canvas.paint(cover("shirt"), colour["shirt"] * folds[:, None], SHIRT)
    canvas.paint(
        cover("hair_back"),
        _hair_colour(faces, window) * (0.66 + 0.2 * value["curly"])[:, None],
        HAIR,
    )
    chin = faces.point(8)[:, :, None, None].unbind(1)
    below = (window.y - chin[1]) / value["scale"]
    aside = (window.x - chin[0] + 0.1 * light * value["scale"]) / value["scale"]
    shadow = torch.exp(-((below / 0.35) ** 2) - (aside / 0.8) ** 2)
    tone = 0.90 - 0.36 * shadow + 0.14 * light * u
    canvas.paint(cover("neck"), _shaded(colour["skin"], tone), NECK)
    for side in "lr":
        canvas.paint(cover(f"ear_{side}"), _shaded(colour["skin"], torch.full_like(u, 0.72)), NECK)
        canvas.paint(0.5 * cover(f"ear_hole_{side}"), _shaded(colour["skin"], 0.3 + 0 * u))


def _shaded(skin: Tensor, tone: Tensor) -> Tensor:
    """Skin (B, 3, 1, 1) under light of strength tone (B, h, w); its shadows are warm."""
    shadow = skin * _tint(0.50, 0.36, 0.33, skin)
    return shadow + (skin - shadow) * tone[:, None]


_NOSE_RIDGE = ((27, 0.14, 0.03), (28, 0.15, 0.06), (29, 0.16, 0.09), (30, 0.17, 0.15))


def _bumps(faces: _Faces) -> tuple[Tensor, Tensor, Tensor]:
    """The face as bumps: centre, radius (B, K, 2) in frame units and height (B, K, 1)."""
    mark = faces.shape["landmarks"]
    scale = faces.value["scale"][:, :, 0]
    smile = faces.value["smile"][:, 0, 0].clamp_min(0)
    eyes = (mark[:, 36:42].mean(1), mark[:, 42:48].mean(1))
    cheeks = [0.5 * (mark[:, i] + mark[:, 33]) for i in (2, 14)]
    offset = torch.tensor([0.0, 1.0], device=mark.device) * scale
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


def _normal(faces: _Faces, window: Window) -> tuple[Tensor, Tensor, Tensor]:
    """Unit normals (x right, y up, z to the viewer) of an ellipsoid with the bumps on it."""
    u, v = _head_coordinates(faces, window)
    centre, radius, height = _bumps(faces)
    across, down = gaussians(window, centre, radius)
    scale = faces.value["scale"]
    across_slope = -2 * (window.x - centre[..., :1]) / radius[..., :1] ** 2 * across * height
    down_slope = (
        -2 * (window.y.transpose(1, 2) - centre[..., 1:]) / radius[..., 1:] ** 2 * down * height
    )
    slope_x = down.transpose(1, 2) @ across_slope * scale
    slope_y = down_slope.transpose(1, 2) @ across * scale
    nx, ny = u / 1.05, (v + 0.05) / 1.5
    nz = (1.0 - (nx * nx + ny * ny)).clamp_min(0.05).sqrt()
    nx, ny = nx - slope_x * nz, ny + slope_y * nz
    length = torch.rsqrt(nx * nx + ny * ny + nz * nz)
    return nx * length, ny * length, nz * length


def _head(canvas: Canvas, faces: _Faces, window: Window) -> None:
    light = faces.value["light"]
    nx, ny, nz = _normal(faces, window)
    lx, ly, lz = 0.75 * light, 0.55, 0.85
    norm = torch.rsqrt(lx * lx + ly * ly + lz * lz)
    diffuse = ((nx * lx + ny * ly + nz * lz) * norm).clamp(0, 1)
    hx, hy, hz = lx * norm, ly * norm, lz * norm + 1.0
    gloss = ((nx * hx + ny * hy + nz * hz) * torch.rsqrt(hx * hx + hy * hy + hz * hz)).clamp(0, 1)
    distance = coarse_polygon_distance(window, faces.shape["head"], faces.size)
    rim = soft(distance / faces.value["scale"] + 0.06, 0.24)
    tone = (0.06 + 1.02 * diffuse) * (0.72 + 0.28 * rim)
    skin = faces.colour["skin"]
    colour = _shaded(_blushed(faces, window), tone) + 0.16 * (gloss**28)[:, None] * (0.4 + skin)
    canvas.paint(coverage(distance, window.pixel), colour, FACE)


def _blushed(faces: _Faces, window: Window) -> Tensor:
    """Skin (B, 3, h, w), redder on cheeks and nose, darker in the eye sockets."""
    mark, scale = faces.shape["landmarks"], faces.value["scale"][:, :, 0]
    cheeks = [0.5 * (mark[:, i] + mark[:, 33]) for i in (2, 14)]
    sockets = [mark[:, i : i + 2].mean(1) for i in (37, 43)]
    centre = torch.stack([*cheeks, mark[:, 30], *sockets], dim=1)
    radius = centre.new_tensor([(0.30, 0.24)] * 2 + [(0.17, 0.15)] + [(0.26, 0.13)] * 2)
    across, down = gaussians(window, centre, radius * scale[:, None])
    red = down[:, :3].transpose(1, 2) @ across[:, :3]
    dark = down[:, 3:].transpose(1, 2) @ across[:, 3:]
    skin = faces.colour["skin"]
    warm = _tint(0.06, -0.07, -0.055, skin) * (1.3 * skin.mean(1, keepdim=True))
    return (skin + warm * red[:, None]) * (1 - 0.15 * dark[:, None])


def _hair_colour(faces: _Faces, window: Window) -> Tensor:
    """Strands (B, 3, h, w): meridians from the crown down to the ears, then straight down."""
    value = faces.value
    u, v = _head_coordinates(faces, window)
    lean = 0.45 * value["yaw"].sin()
    up = ((v - 0.15) / 1.35).clamp(0, 0.995)
    width = (1 - up * up).sqrt()
    strand = (u - lean * up) / (width * (1 + 0.06 * (0.15 - v).clamp_min(0)))
    phase = value["strands"]
    wave = strand + 0.03 * torch.sin(3.1 * v + phase)
    fine = 0.5 * torch.sin(17 * wave + phase) + 0.35 * torch.sin(31 * wave + 1.7 * phase)
    fine = (fine + 0.25 * torch.sin(45 * wave + 2.3 * phase)) * width.clamp(0, 0.6) / 0.6
    curls = torch.sin(13 * u + 2 * torch.sin(7 * v + phase)) * torch.sin(
        13 * v + 2 * torch.sin(7 * u + 1.3 * phase)
    )
    texture = torch.lerp(fine, 1.2 * curls, value["curly"])
    band = torch.exp(-(((v - 0.92 + 0.35 * u * u - 0.06 * fine) / 0.17) ** 2))
    shade = 1 + 0.14 * texture + 0.25 * value["light"] * u * 0.6 - 0.10 * (0.3 - v).clamp(0, 1.5)
    hair = faces.colour["hair"]
    return hair * (shade + 0.40 * band)[:, None] + 0.05 * band[:, None]


def _nose(canvas: Canvas, faces: _Faces) -> None:
    scale, skin = faces.value["scale"], faces.colour["skin"]
    window = Window.around(faces.point(30) * 0.5 + faces.point(28) * 0.5, 0.26, 0.30, faces.size)
    crop = canvas.crop(window)
    outline = polygon_distance(window.x, window.y, faces.shape["nose"])
    crop.owner.masked_fill_((outline < 0) & (crop.owner == FACE), NOSE)
    line = faces.shape["nose_base"]
    radius = 0.010 * scale[:, :, 0].expand(-1, line.shape[1])
    edge = soft(stroke_distance(window.x, window.y, line, radius), 0.02)
    crop.paint(0.4 * edge, skin * _tint(0.52, 0.38, 0.34, skin))
    for i in range(2):
        x, y = faces.shape["nostrils"][:, i, :, None, None].unbind(1)
        away = torch.hypot(
            (window.x - x) / faces.value["nose_width"] / 0.05, (window.y - y + 0.01 * scale) / 0.026
        )
        crop.paint(0.85 * soft((away / scale - 1) * 0.03, 0.03), skin * 0.22)
    canvas.paste(window, crop)


def _eye(canvas: Canvas, faces: _Faces, side: str) -> None:
    """White, iris, pupil, glint, lids and the brow above."""
    value, shape = faces.value, faces.shape
    scale, pixel = value["scale"], 1.0 / faces.size
    first = 36 if side == "l" else 42
    centre = shape["landmarks"][:, first : first + 6].mean(1)
    centre = torch.stack([centre[:, 0], centre[:, 1] - 0.12 * scale[:, 0, 0]], dim=1)
    window = Window.around(centre, 0.29, 0.29, faces.size)
    crop = canvas.crop(window)
    open_eye = coverage(polygon_distance(window.x, window.y, shape[f"eye_{side}"]), pixel, 0.25)
    upper = shape[f"upper_lid_{side}"]
    below = stroke_distance(window.x, window.y, upper, torch.zeros_like(upper[..., 0]))
    shade = (0.72 + 0.28 * (below / (0.09 * scale)).clamp(0, 1))[:, None]
    crop.paint(open_eye, _tint(0.97, 0.965, 0.955, upper) * shade, EYE)
    _iris(crop, faces, window, open_eye, shape[f"iris_{side}"][:, 0])
    skin, hair = faces.colour["skin"], faces.colour["hair"]
    taper = torch.linspace(0.012, 0.028, upper.shape[1], device=upper.device)
    taper = taper if side == "r" else taper.flip(0)
    lash = stroke_distance(window.x, window.y, upper, taper * scale[:, :, 0])
    crease = upper - torch.stack([0 * scale[:, :, 0], 0.06 * scale[:, :, 0]], dim=-1)
    fold = stroke_distance(
        window.x, window.y, crease, 0.006 * scale[:, :, 0].expand_as(upper[..., 0])
    )
    crop.paint(0.4 * soft(fold, 2.2 * pixel), skin * _tint(0.55, 0.42, 0.38, skin))
    crop.paint(coverage(lash, pixel), 0.35 * hair + 0.06 * skin)
    _brow(crop, faces, window, shape[f"brow_{side}"])
    canvas.paste(window, crop)


def _iris(crop: Canvas, faces: _Faces, window: Window, open_eye: Tensor, centre: Tensor) -> None:
    scale = faces.value["scale"]
    radius = 0.108 * scale * faces.value["eye_size"]
    x, y = (window.x - centre[:, :1, None]), (window.y - centre[:, 1:, None])
    away = torch.hypot(x, y)
    part = (away / radius).clamp(0, 1)
    tone = (0.62 + 0.65 * part) * (1 - 0.65 * ((part - 0.78) * 5).clamp(0, 1))
    crop.paint(
        open_eye * coverage(away - radius, window.pixel), faces.colour["eyes"] * tone[:, None]
    )
    dark = torch.full_like(faces.colour["eyes"], 0.03)
    crop.paint(open_eye * coverage(away - 0.46 * radius, window.pixel), dark)
    glint = torch.hypot(x - 0.04 * faces.value["light"] * scale, y + 0.045 * scale)
    crop.paint(open_eye * coverage(glint - 0.033 * scale, window.pixel), torch.ones_like(dark))


def _brow(crop: Canvas, faces: _Faces, window: Window, line: Tensor) -> None:
    scale = faces.value["scale"][:, :, 0]
    along = torch.linspace(0, 1, line.shape[1], device=line.device)
    radius = (0.022 + 0.036 * along**0.7) * scale * faces.value["brow_thickness"][:, :, 0]
    distance = stroke_distance(window.x, window.y, line, radius)
    skin, hair = faces.colour["skin"], faces.colour["hair"]
    crop.paint(0.92 * soft(distance, 2.0 * window.pixel), 0.62 * hair + 0.04 * skin, BROW)


def _mouth(canvas: Canvas, faces: _Faces) -> None:
    """Lips, then in the opening the dark, the tongue and the upper teeth."""
    shape, scale, pixel = faces.shape, faces.value["scale"], 1.0 / faces.size
    window = Window.around(faces.point(62) * 0.5 + faces.point(66) * 0.5, 0.40, 0.30, faces.size)
    crop = canvas.crop(window)

    def distance(name: str) -> Tensor:
        return polygon_distance(window.x, window.y, shape[name])

    skin, blush = faces.colour["skin"], faces.value["blush"][:, None]
    plain = skin * _tint(0.86, 0.58, 0.56, skin)
    lip = torch.lerp(plain, 0.45 * plain + _tint(0.40, 0.06, 0.10, skin), blush)
    lower = soft((shape["mouth_line"][:, 3, 1, None, None] + 0.02 * scale) - window.y, 0.02)
    shine = _lip_shine(faces, window)
    tone = (0.80 + 0.24 * lower)[:, None]
    crop.paint(soft(distance("lips"), 2.0 * pixel), lip * tone + shine, LIPS)
    opening = coverage(distance("mouth"), pixel, 0.5)
    crop.paint(opening, _tint(0.20, 0.045, 0.06, skin), INSIDE)
    crop.paint(opening * soft(distance("tongue"), 0.02), _tint(0.80, 0.36, 0.38, skin))
    crop.paint(opening * coverage(distance("teeth"), pixel), _teeth(faces, window), TEETH)
    line = shape["mouth_line"]
    along = torch.linspace(-1, 1, line.shape[1], device=line.device)
    radius = (0.016 - 0.010 * along**2) * scale[:, :, 0]
    seam = stroke_distance(window.x, window.y, line, radius)
    crop.paint(0.75 * coverage(seam, pixel), lip * 0.42)
    canvas.paste(window, crop)


def _lip_shine(faces: _Faces, window: Window) -> Tensor:
    centre = 0.5 * (faces.point(57) + faces.point(66))[:, None]
    radius = centre.new_tensor([[[0.16, 0.04]]]) * faces.value["scale"]
    across, down = gaussians(window, centre, radius)
    return 0.14 * (down.transpose(1, 2) @ across)[:, None]


def _teeth(faces: _Faces, window: Window) -> Tensor:
    """Colour (B, 3, h, w) of the upper teeth with the gaps between them."""
    scale = faces.value["scale"]
    gaps = faces.shape["tooth_gaps"]
    nearest = torch.full_like(window.x + window.y, torch.inf)
    for i in range(0, gaps.shape[1], 2):
        line = gaps[:, i : i + 2]
        radius = torch.zeros_like(line[..., 0])
        nearest = torch.minimum(nearest, stroke_distance(window.x, window.y, line, radius))
    gap = torch.exp(-((nearest / (0.011 * scale)) ** 2))
    return _tint(0.98, 0.97, 0.94, scale) * (1 - 0.22 * gap)[:, None]


def _fringe(canvas: Canvas, faces: _Faces, window: Window) -> None:
    """Hair in front of the head and the shadow it throws on the face."""
    distance = coarse_polygon_distance(window, faces.shape["hair_front"], faces.size)
    on_face = (canvas.owner >= NECK).float()
    shade = 0.42 * soft(distance - 0.01, 0.06) * on_face
    canvas.paint(shade, canvas.image * 0.4)
    canvas.paint(soft(distance, 1.6 * window.pixel), _hair_colour(faces, window), HAIR)
