"""Decoder features of the plain UNet with early exit: nothing is run past the last one."""

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import Tensor

from diffeditor.geometry import Size


class _Reached(Exception):
    """The last wanted block has returned."""


def decoder_features(
    unet: UNet2DConditionModel, blocks: Sequence[int], call: Callable[[], object]
) -> list[Tensor]:
    """Outputs of the up blocks in `blocks` (ascending) while `call` runs the UNet.

    The forward pass is left as soon as the last of them has returned; the graph up to there is
    whole, so gradients flow. No hook stays behind.
    """
    maps: list[Tensor] = []

    def keep(_module: object, _inputs: object, output: Tensor) -> None:
        maps.append(output)
        if len(maps) == len(blocks):
            raise _Reached

    hooks = [unet.up_blocks[k].register_forward_hook(keep) for k in blocks]
    try:
        call()
    except _Reached:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return maps


def feature_grid(z: Tensor) -> Size:
    """The grid on which features of latents (B, C, h, w) are compared: twice as fine."""
    return Size(2 * z.shape[-2], 2 * z.shape[-1])


def on_feature_grid(maps: Sequence[Tensor], grid: Size) -> list[Tensor]:
    """Maps of any resolution on the feature grid, by nearest cell, in float32."""
    size = (grid.height, grid.width)
    return [F.interpolate(m.float(), size, mode="nearest") for m in maps]
