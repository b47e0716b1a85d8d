"""Sheets of pictures and curves of losses, to look at while a model trains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor


def to_uint8(pictures: Tensor) -> np.ndarray:
    """uint8 (B, H, W, 3) of pictures (B, 3, H, W) in [-1, 1]; values outside are clipped."""
    scaled = (pictures.float().clamp(-1, 1) + 1) * 127.5
    return scaled.round().byte().permute(0, 2, 3, 1).cpu().numpy()


def save_sheet(path: Path, rows: Sequence[Tensor]) -> None:
    """Write rows of pictures, each (B, 3, H, W) in [-1, 1], as one PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [np.concatenate(list(to_uint8(row)), axis=1) for row in rows]
    Image.fromarray(np.concatenate(lines, axis=0)).save(path)


def save_curve(path: Path, history: Sequence[tuple[int, float, float]]) -> None:
    """Plot (step, minutes, loss) as loss over minutes; logarithmic where the loss is positive."""
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.add_subplot()
    losses = [loss for _, _, loss in history]
    axes.plot([minutes for _, minutes, _ in history], losses)
    scale = "log" if min(losses, default=1.0) > 0 else "linear"
    axes.set(xlabel="minutes", ylabel="loss, smoothed", yscale=scale)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100)
