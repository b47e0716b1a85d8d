"""Finding the 68 iBUG landmarks of a portrait by heat maps.

The network is small and was trained on rendered faces alone: it expects one face, about upright,
that fills most of the picture. It also learned to say nothing about pictures without a face.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from diffeditor.errors import ModelUnavailable, NoFaceFound

LANDMARKS_FILE = "landmarks.safetensors"
"""Name of the finder's weights in a model folder."""

LANDMARKS = 68
INPUT = 128
"""Side in pixels of the square that the network sees."""

CELL = 4
"""Pixels of the input per heat-map cell."""

FLAT = 0.05
"""A picture whose heat maps have a lower mean peak shows no face; a perfect map peaks at 0.16."""


class LandmarkNet(nn.Module):
    """Pictures (B, 3, 128, 128) in [-1, 1] -> logits (B, 68, 32, 32) of where each landmark is."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.stem = nn.Sequential(_conv(3, width, 2), _conv(width, 2 * width, 2))
        self.fine = _Residual(2 * width)
        self.middle = nn.Sequential(_conv(2 * width, 4 * width, 2), _Residual(4 * width))
        self.coarse = nn.Sequential(
            _conv(4 * width, 4 * width, 2), _Residual(4 * width), _Residual(4 * width)
        )
        self.join_middle = _conv(4 * width, 2 * width)
        self.join_fine = _Residual(2 * width)
        self.heat = nn.Conv2d(2 * width, LANDMARKS, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        fine = self.fine(self.stem(pictures))
        middle = self.middle(fine)
        middle = middle + F.interpolate(self.coarse(middle), scale_factor=2.0, mode="bilinear")
        raised = F.interpolate(self.join_middle(middle), scale_factor=2.0, mode="bilinear")
        return self.heat(self.join_fine(fine + raised))

    def save(self, path: str | Path) -> None:
        """Write the weights as safetensors."""
        tensors = {
            key: value.detach().contiguous().cpu() for key, value in self.state_dict().items()
        }
        Path(path).write_bytes(save(tensors, {"width": str(self.width)}))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read weights that `save` wrote, in float32, frozen.

        Raises:
            ModelUnavailable: the file is missing, damaged or of something else.
        """
        if not Path(path).is_file():
            raise ModelUnavailable(f"There is no landmark file {path}; check the path.")
        try:
            with safe_open(str(path), framework="pt") as file:
                net = cls(int(file.metadata()["width"]))
                weights = {key: file.get_tensor(key).float() for key in net.state_dict()}
            net.load_state_dict(weights)
        except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelUnavailable(
                f"{path} does not hold a landmark finder; get the file again."
            ) from error
        return net.eval().requires_grad_(False)


class _Residual(nn.Module):
    """Two 3 x 3 convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(channels, channels), _conv(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.GroupNorm(outputs // 8, outputs),
        nn.SiLU(),
    )


def positions(logits: Tensor) -> Tensor:
    """Expected place (B, 68, 2), (x, y) in pixels of the input, of each landmark."""
    share = logits.flatten(2).softmax(-1).view_as(logits)
    rows, columns = (
        CELL * (torch.arange(count, device=logits.device) + 0.5) for count in logits.shape[-2:]
    )
    x = (share.sum(-2) * columns).sum(-1)
    y = (share.sum(-1) * rows).sum(-1)
    return torch.stack([x, y], dim=-1)


def peaks(logits: Tensor) -> Tensor:
    """Mean over the landmarks of the largest share of a heat map, (B,); 1 / cells when flat."""
    return logits.flatten(2).softmax(-1).amax(-1).mean(-1)


class HeatmapLandmarks:
    """Finds landmarks with a `LandmarkNet`; call it with a portrait."""

    def __init__(self, net: LandmarkNet) -> None:
        self._net = net

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The finder whose weights are in this file. Raises ModelUnavailable as `LandmarkNet`."""
        return cls(LandmarkNet.load(path))

    @torch.no_grad()
    def __call__(self, image: Image.Image) -> np.ndarray:
        """The landmarks of a portrait of any size, float64 (68, 2), (x, y) in its pixels.

        Raises:
            NoFaceFound: the heat maps are too flat to be those of a face.
        """
        square = image.convert("RGB").resize((INPUT, INPUT), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.array(square)).permute(2, 0, 1).float() / 127.5 - 1
        logits = self._net(pixels[None])
        if float(peaks(logits)) < FLAT:
            raise NoFaceFound(
                "No face was found; use a portrait in which one face fills most of the picture."
            )
        scale = np.array(image.size, dtype=np.float64) / INPUT
        return positions(logits)[0].double().numpy() * scale
