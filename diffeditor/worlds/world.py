"""One door to both kinds of world: draw them, and store and restore their specs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffeditor.worlds.common import Render, from_dict, to_dict
from diffeditor.worlds.face_spec import FaceSpec
from diffeditor.worlds.faces import FaceBuffers, render_faces
from diffeditor.worlds.scene_spec import SceneSpec
from diffeditor.worlds.scenes import SceneBuffers, render_scenes

WorldSpec = SceneSpec | FaceSpec
SPECS: dict[str, type[SceneSpec] | type[FaceSpec]] = {"scene": SceneSpec, "face": FaceSpec}


def spec_to_dict(spec: WorldSpec) -> dict[str, Any]:
    """`spec` as values that JSON can hold."""
    return to_dict(spec)


def spec_from_dict(data: Mapping[str, Any]) -> WorldSpec:
    """The spec that `spec_to_dict` wrote. Raises KeyError or TypeError for anything else."""
    return from_dict(SPECS[data["kind"]], data)


def render(spec: WorldSpec, size: int = 128, device: torch.device | str = "cpu") -> Render:
    """The picture of one world, `size` x `size` pixels, with its ground truth."""
    buffers = _buffers([spec], size, device)
    image = to_uint8(buffers.image)[0]
    if isinstance(buffers, FaceBuffers):
        parts = {name: mask[0].cpu().numpy() for name, mask in buffers.parts.items()}
        return Render(
            image=image,
            masks=[parts["face"] | parts["hair"]],
            parts=parts,
            caption=buffers.captions[0],
            landmarks=buffers.landmarks[0],
        )
    ids = buffers.ids[0].cpu().numpy()
    masks = [ids == 1 + index for index in range(len(spec.solids))]  # type: ignore[union-attr]
    return Render(image=image, masks=masks, parts={}, caption=buffers.captions[0])


def render_batch(
    specs: Sequence[WorldSpec], size: int = 128, device: torch.device | str = "cpu"
) -> Tensor:
    """Pictures of worlds of one kind, float32 (B, 3, size, size) in [0, 1], on `device`."""
    return _buffers(specs, size, device).image


def to_uint8(images: Tensor) -> np.ndarray:
    """Pictures (B, 3, H, W) in [0, 1] as uint8 (B, H, W, 3)."""
    return (images * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def _buffers(
    specs: Sequence[WorldSpec], size: int, device: torch.device | str
) -> SceneBuffers | FaceBuffers:
    scenes = [spec for spec in specs if isinstance(spec, SceneSpec)]
    faces = [spec for spec in specs if isinstance(spec, FaceSpec)]
    if scenes and faces:
        raise TypeError("Render scenes and faces in two batches; they share no buffers.")
    return render_faces(faces, size, device) if faces else render_scenes(scenes, size, device)
