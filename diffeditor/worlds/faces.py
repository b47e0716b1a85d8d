"""Portraits painted from explicit parameters, many at a time, on any device.

The order of painting is: background, shirt, hair behind, neck, ears, head (shaded as a height
field), nose, eyes, brows, mouth, hair in front. `face_model` places the outlines, `raster` turns
them into coverage, `face_shading` gives the colours; here they are put on top of each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffeditor.worlds.face_model import landmarks
from diffeditor.worlds.face_shading import (
    EAR_SHADE,
    EYE_WHITE,
    MOUTH_DARK,
    TONGUE,
    Faces,
    bare_lips,
    hair_colour,
    in_shadow,
    lip_colour,
    lit_skin,
    neck_light,
    shaded,
    teeth_colour,
    upright_coordinates,
)
from diffeditor.worlds.face_spec import VOCABULARY, FaceSpec, caption, random_face
from diffeditor.worlds.raster import (
    Canvas,
    Window,
    coarse_polygon_distance,
    coverage,
    polygon_distance,
    soft,
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


def render_faces(
    specs: Sequence[FaceSpec], size: int, device: torch.device | str = "cpu"
) -> FaceBuffers:
    """Paint portraits of size x size pixels."""
    device = torch.device(device)
    faces = Faces.of(specs, size, device)
    window = Window.full(len(specs), size, device)
    canvas = _background(faces, window)
    hair = hair_colour(faces, window)
    _body(canvas, faces, window, hair)
    _head(canvas, faces, window)
    _nose(canvas, faces)
    for side in "lr":
        _eye(canvas, faces, side)
    _mouth(canvas, faces)
    _fringe(canvas, faces, window, hair)
    return FaceBuffers(
        image=canvas.image.clamp_(0.0, 1.0),
        parts={name: _owned(canvas.owner, ids) for name, ids in PARTS.items()},
        landmarks=np.stack([landmarks(spec, size) for spec in specs]),
        captions=[caption(spec) for spec in specs],
    )


def _owned(owner: Tensor, ids: tuple[int, ...]) -> Tensor:
    return torch.isin(owner, torch.tensor(ids, dtype=owner.dtype, device=owner.device))


def _background(faces: Faces, window: Window) -> Canvas:
    light = faces.value["light"]
    away = torch.hypot(window.x - 0.5 - 0.25 * light, window.y - 0.35)
    image = faces.colour["background"] * (1.10 - 0.42 * away)[:, None]
    owner = torch.full(away.shape, BACKGROUND, dtype=torch.uint8, device=away.device)
    return Canvas(image=image, owner=owner)


def _covered(faces: Faces, window: Window, name: str) -> Tensor:
    distance = coarse_polygon_distance(window, faces.shape[name])
    return coverage(distance, window.pixel)


def _body(canvas: Canvas, faces: Faces, window: Window, hair: Tensor) -> None:
    """Shirt, hair behind the head, neck and ears."""
    u, v = upright_coordinates(faces, window)
    light, skin = faces.value["light"], faces.colour["skin"]
    folds = 1.42 + 0.16 * light * u - 0.16 * (u.abs() - 0.9).clamp_min(0) + 0.25 * v
    canvas.paint(_covered(faces, window, "shirt"), faces.colour["shirt"] * folds[:, None], SHIRT)
    dimmed = 0.66 + 0.34 * faces.value["curly"]
    canvas.paint(_covered(faces, window, "hair_back"), hair * dimmed[:, None], HAIR)
    canvas.paint(_covered(faces, window, "neck"), shaded(skin, neck_light(faces, window)), NECK)
    for side in "lr":
        canvas.paint(_covered(faces, window, f"ear_{side}"), skin * EAR_SHADE, NECK)
        canvas.paint(0.5 * _covered(faces, window, f"ear_hole_{side}"), skin * 0.55)


def _head(canvas: Canvas, faces: Faces, window: Window) -> None:
    distance = coarse_polygon_distance(window, faces.shape["head"])
    rim = soft(distance / faces.value["scale"] + 0.06, 0.24)
    canvas.paint(coverage(distance, window.pixel), lit_skin(faces, window, rim), FACE)


def _nose(canvas: Canvas, faces: Faces) -> None:
    """The shadow line under the nose and the nostrils; its relief is part of the head."""
    scale, skin = faces.value["scale"], faces.colour["skin"]
    window = Window.around(0.5 * (faces.point(28) + faces.point(30)), 0.28, 0.40, faces.size)
    crop = canvas.crop(window)
    outline = polygon_distance(window.x, window.y, faces.shape["nose"])
    crop.owner.masked_fill_((outline < 0) & (crop.owner == FACE), NOSE)
    under = faces.stroke(window, faces.shape["nose_base"], 0.010)
    crop.paint(0.4 * soft(under, 0.02), in_shadow(skin))
    for i in (32, 34):
        x, y = faces.point(i)[:, :, None, None].unbind(1)
        across = (window.x - x) / (0.05 * faces.value["nose_width"])
        away = torch.hypot(across, (window.y - y + 0.01 * scale) / 0.026) / scale
        crop.paint(0.85 * soft(away - 1, 1.0), skin * 0.22)
    canvas.paste(window, crop)


def _eye(canvas: Canvas, faces: Faces, side: str) -> None:
    """The eye and the brow above it."""
    eye, brow = faces.shape[f"eye_{side}"], faces.shape[f"brow_{side}"]
    centre = 0.5 * (eye.mean(1) + brow.mean(1))
    window = Window.around(centre, 0.38, 0.34, faces.size)
    crop = canvas.crop(window)
    _eyeball(crop, faces, window, side)
    _lids(crop, faces, window, side)
    _brow(crop, faces, window, brow)
    canvas.paste(window, crop)


def _eyeball(crop: Canvas, faces: Faces, window: Window, side: str) -> None:
    """White, shaded below the lid, iris, pupil and glint."""
    scale, light = faces.value["scale"], faces.value["light"]
    outline = polygon_distance(window.x, window.y, faces.shape[f"eye_{side}"])
    inside = coverage(outline, window.pixel, 0.25)
    below_lid = faces.stroke(window, faces.shape[f"upper_lid_{side}"], 0.0)
    shade = 0.72 + 0.28 * (below_lid / (0.09 * scale)).clamp(0, 1)
    crop.paint(inside, EYE_WHITE.to(shade.device) * shade[:, None], EYE)

    radius = 0.108 * scale * faces.value["eye_size"]
    x0, y0 = faces.shape[f"iris_{side}"][:, 0, :, None, None].unbind(1)
    x, y = window.x - x0, window.y - y0
    away = torch.hypot(x, y)
    glint = torch.hypot(x - 0.04 * light * scale, y + 0.045 * scale)
    part = (away / radius).clamp(0, 1)
    tone = (0.62 + 0.65 * part) * (1 - 0.65 * ((part - 0.78) * 5).clamp(0, 1))
    crop.paint(inside * coverage(away - radius, window.pixel), faces.colour["eyes"] * tone[:, None])
    for distance, gray in ((away - 0.46 * radius, 0.03), (glint - 0.033 * scale, 1.0)):
        ink = torch.full_like(faces.colour["eyes"], gray)
        crop.paint(inside * coverage(distance, window.pixel), ink)


def _lids(crop: Canvas, faces: Faces, window: Window, side: str) -> None:
    """The crease above the upper lid and the lashes, thicker towards the temple."""
    skin, lid = faces.colour["skin"], faces.shape[f"upper_lid_{side}"]
    above = lid - faces.value["scale"] * lid.new_tensor([0.0, 0.06])
    crease = faces.stroke(window, above, 0.006)
    crop.paint(0.4 * soft(crease, 2.2 * window.pixel), in_shadow(skin))
    ends = (0.028, 0.012) if side == "l" else (0.012, 0.028)
    lash = faces.stroke(window, lid, torch.linspace(*ends, lid.shape[1], device=lid.device))
    crop.paint(coverage(lash, window.pixel), 0.35 * faces.colour["hair"] + 0.06 * skin)


def _brow(crop: Canvas, faces: Faces, window: Window, line: Tensor) -> None:
    along = torch.linspace(0, 1, line.shape[1], device=line.device)
    radius = (0.022 + 0.036 * along**0.7) * faces.value["brow_thickness"][:, 0]
    distance = faces.stroke(window, line, radius)
    colour = 0.62 * faces.colour["hair"] + 0.04 * faces.colour["skin"]
    crop.paint(0.92 * soft(distance, 2.0 * window.pixel), colour, BROW)


def _mouth(canvas: Canvas, faces: Faces) -> None:
    """Lips, then in the opening the dark, the tongue and the upper teeth, then the seam."""
    window = Window.around(0.5 * (faces.point(62) + faces.point(66)), 0.50, 0.38, faces.size)
    crop, pixel, line = canvas.crop(window), window.pixel, faces.shape["mouth_line"]
    lips, opening, tongue, teeth = (
        polygon_distance(window.x, window.y, faces.shape[name])
        for name in ("lips", "mouth", "tongue", "teeth")
    )
    crop.paint(soft(lips, 2.0 * pixel), lip_colour(faces, window), LIPS)
    inside = coverage(opening, pixel, 0.5)
    for share, colour, part in (
        (inside, MOUTH_DARK, INSIDE),
        (inside * soft(tongue, 0.02), TONGUE, None),
        (inside * coverage(teeth, pixel), teeth_colour(faces, window), TEETH),
    ):
        crop.paint(share, colour.to(share.device), part)
    along = torch.linspace(-1, 1, line.shape[1], device=line.device)
    seam = faces.stroke(window, line, 0.016 - 0.010 * along**2)
    crop.paint(0.75 * coverage(seam, pixel), 0.42 * bare_lips(faces))
    canvas.paste(window, crop)


def _fringe(canvas: Canvas, faces: Faces, window: Window, hair: Tensor) -> None:
    """Hair in front of the head and the shadow it throws on the skin."""
    distance = coarse_polygon_distance(window, faces.shape["hair_front"])
    shadow = 0.42 * soft(distance - 0.01, 0.06) * (canvas.owner >= NECK)
    canvas.paint(shadow, canvas.image * 0.4)
    canvas.paint(soft(distance, 1.6 * window.pixel), hair, HAIR)
