"""Fourth stage: the finder of face landmarks, trained on rendered faces with exact landmarks.

Faces are shifted, zoomed, turned, changed in colour, blurred and made noisy. A fifth of every batch
are scenes, for which the heat maps should be flat.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffeditor.device import to_device
from diffeditor.faces import CELL, FLAT, INPUT, LandmarkNet, peaks, positions
from diffeditor.training.config import LandmarkConfig
from diffeditor.training.data import Source
from diffeditor.training.draw import Draw
from diffeditor.training.pictures import save_sheet

SPREAD = 1.0
"""Deviation in cells of the bump that a heat map should show."""

SHIFT, ZOOM, TURN = 14.0, (0.7, 1.25), 0.25
"""Largest shift in pixels of 128, factors of size, largest turn in radians."""


def build_landmark_net(config: LandmarkConfig, seed: int = 0) -> LandmarkNet:
    """A fresh network; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = LandmarkNet(config.width)
    return net.to(memory_format=torch.channels_last)


class LandmarkObjective:
    """Cross-entropy of the heat maps and the distance of the positions that they give."""

    def __init__(
        self, config: LandmarkConfig, faces: Source, others: Source, device: torch.device
    ) -> None:
        self.config, self.faces, self.others, self.device = config, faces, others, device

    def __call__(self, model: nn.Module, draw: Draw) -> Tensor:
        count = self.config.optimisation.batch
        drawn = self.faces.draw(count, draw)
        scenes = self.others.draw(max(1, count // 4), draw)
        scale = INPUT / drawn.images.shape[-1]
        held = (drawn.images, drawn.landmarks, scenes.images)
        images, points, others = (to_device(one, self.device) for one in held)
        images, points = moved(to_input(images), points * scale, draw.rng)
        shown = torch.cat([images, to_input(others)])
        logits = model(spoiled(shown, draw)).float()
        target = bumps(points, logits.shape[-1])
        flat = torch.full_like(logits[count:], 1 / logits[0, 0].numel()).flatten(2)
        wanted = torch.cat([target, flat])
        entropy = -(wanted * logits.flatten(2).log_softmax(-1)).sum(-1).mean()
        distance = F.smooth_l1_loss(positions(logits[:count]), points) / CELL
        return entropy + distance


def to_input(images: Tensor) -> Tensor:
    """Pictures at the size that the network sees."""
    if images.shape[-1] == INPUT:
        return images
    return F.interpolate(images, (INPUT, INPUT), mode="bicubic", antialias=True)


def moved(images: Tensor, points: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Pictures (B, 3, S, S) and points (B, 68, 2) shifted, zoomed and turned about the centre.

    What comes into the frame repeats the border. Points may leave the frame by a little.
    """
    count, side = len(images), images.shape[-1]
    angle, zoom, shift = (
        _at(images, values)
        for values in (
            rng.uniform(-TURN, TURN, count),
            rng.uniform(*ZOOM, count),
            rng.uniform(-SHIFT, SHIFT, (count, 2)),
        )
    )
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([cos, -sin, sin, cos], dim=-1).view(-1, 2, 2)
    forward = zoom[:, None, None] * turn
    back = turn.transpose(1, 2) / zoom[:, None, None]
    offset = -back @ (shift[..., None] * 2 / side)
    grid = F.affine_grid(torch.cat([back, offset], dim=-1), list(images.shape), align_corners=False)
    taken = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    centre = side / 2
    return taken, (points - centre) @ forward.transpose(1, 2) + centre + shift[:, None]


def _at(images: Tensor, values: np.ndarray) -> Tensor:
    """Random numbers as float32 where the pictures are."""
    return to_device(torch.from_numpy(values).float(), images.device)


def spoiled(images: Tensor, draw: Draw) -> Tensor:
    """The pictures in other colours and contrasts, some of them gray, blurred or noisy."""
    count, rng = len(images), draw.rng
    gain = _at(images, rng.uniform(0.7, 1.25, (count, 3, 1, 1)))
    lift = _at(images, rng.uniform(-0.2, 0.2, (count, 3, 1, 1)))
    changed = images * gain + lift
    gray = _at(images, rng.random((count, 1, 1, 1))) < 0.1
    changed = torch.where(gray, changed.mean(1, keepdim=True), changed)
    soft = _at(images, rng.random((count, 1, 1, 1))) < 0.3
    changed = torch.where(soft, F.avg_pool2d(changed, 3, 1, 1, count_include_pad=False), changed)
    grain = _at(images, rng.uniform(0.0, 0.08, (count, 1, 1, 1)))
    noise = torch.randn(changed.shape, generator=draw.generator, device=images.device)
    spoilt = (changed + grain * noise).clamp(-1, 1)
    return spoilt.contiguous(memory_format=torch.channels_last)


def bumps(points: Tensor, cells: int) -> Tensor:
    """Heat maps (B, 68, cells * cells), each summing to 1, of points (B, 68, 2) in pixels."""
    centres = CELL * (torch.arange(cells, device=points.device) + 0.5)
    across, down = (
        torch.exp(-0.5 * ((points[..., axis, None] - centres) / (CELL * SPREAD)) ** 2)
        for axis in (0, 1)
    )
    maps = (down[..., :, None] * across[..., None, :]).flatten(2)
    return maps / maps.sum(-1, keepdim=True).clamp_min(1e-6)


class LandmarkJudge:
    """Distances on unseen faces, and how well faces are told from scenes."""

    def __init__(self, faces: Tensor, points: Tensor, scenes: Tensor, sheet: Path) -> None:
        """faces, scenes (B, 3, S, S) in [-1, 1]; points (B, 68, 2) in pixels of the faces."""
        self.faces, self.scenes, self.sheet = to_input(faces), to_input(scenes), sheet
        self.points = points * (INPUT / faces.shape[-1])

    def __call__(self, model: nn.Module) -> dict[str, float]:
        logits = model(self.faces)
        found = positions(logits).cpu()
        distance = (found - self.points).norm(dim=-1)
        self._draw(found)
        return {
            "mean_pixels": float(distance.mean()),
            "worst_face_pixels": float(distance.mean(-1).max()),
            "face_peak": float(peaks(logits).min()),
            "scene_peak": float(peaks(model(self.scenes)).max()),
            "faces_missed": float((peaks(logits) < FLAT).float().mean()),
            "scenes_taken": float((peaks(model(self.scenes)) >= FLAT).float().mean()),
        }

    def _draw(self, found: Tensor) -> None:
        """Write a sheet of faces with what was found in red on the truth in white."""
        shown = self.faces[:8].cpu().clone()
        for picture, true, guess in zip(shown, self.points[:8], found[:8], strict=True):
            for points, colour in ((true, (1.0, 1.0, 1.0)), (guess, (1.0, -1.0, -1.0))):
                x, y = points.long().clamp(0, INPUT - 1).unbind(-1)
                picture[:, y, x] = torch.tensor(colour)[:, None]
        save_sheet(self.sheet, [shown])
