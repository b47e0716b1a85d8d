"""Floating-point operations of a UNet's passes, and how many a device achieves."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from diffeditor.backbones import StableDiffusion
from diffeditor.features import decoder_features
from diffeditor.geometry import Size

MATMUL_SIDE = {"cpu": 1024}
"""Side of the square matrices whose product tells a device's peak; others take the larger one."""
LARGE_SIDE = 8192
ATTEMPTS = 10


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Floating-point operations for one latent: a whole pass, one to the features, one back."""

    whole: int
    features: int
    backward: int

    @classmethod
    def of(cls, model: StableDiffusion, latent: Size, tokens: int) -> "Cost":
        """Of a model's UNet for latents of this size under `tokens` text tokens.

        Counted on tensors without values, for a plain pass: what the bank and the image prompt add
        to attention is left out.
        """
        config = model.unet.config
        with torch.device("meta"):
            unet = UNet2DConditionModel.from_config(config).eval().requires_grad_(False)
            z = torch.empty(1, config["in_channels"], latent.height, latent.width)
            text = torch.empty(1, tokens, config["cross_attention_dim"])
        z = z.requires_grad_() * 1

        def features() -> list[Tensor]:
            return decoder_features(unet, model.feature_blocks, lambda: unet(z, 1, text))

        with torch.no_grad():
            whole, early = operations(lambda: unet(z, 1, text)), operations(features)
        back = operations(lambda: torch.autograd.grad(sum(m.sum() for m in features()), z))
        return cls(whole=whole, features=early, backward=back - early)

    def total(self, passes: Mapping[str, int]) -> int:
        """Operations of the passes that `Passes` counted."""
        kinds = {"reference": self.features, "guided": self.features, "backward": self.backward}
        return sum(count * kinds.get(kind, self.whole) for kind, count in passes.items())


def operations(run: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


@torch.no_grad()
def matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    """The most operations a second that the product of two large square matrices achieves."""
    side = MATMUL_SIDE.get(device.type, LARGE_SIDE)
    a = torch.ones(side, side, device=device, dtype=dtype)
    clock = time.process_time if device.type == "cpu" else time.perf_counter  # as for the edits
    best = float("inf")
    for _ in range(ATTEMPTS):
        began = clock()
        float((a @ a)[0, 0])  # reading a value waits for the device
        best = min(best, clock() - began)
    return 2 * side**3 / best
