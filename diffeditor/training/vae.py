"""First stage: the autoencoder, factor 4, trained on random crops.

Loss: L1 of the picture and of its gradients at three scales, where objects, eyes and mouths weigh
more; a very small KL term; and, early on, an anchor that ties three latent channels to the colours
of the shrunken picture. Without the anchor a colour direction can collapse (red and green both
become brown) while the loss looks fine; `colour_error` guards against that.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor, nn

from diffeditor.device import to_device
from diffeditor.errors import DiffEditorError
from diffeditor.training.config import LATENT_CHANNELS, VaeConfig
from diffeditor.training.data import Pictures, Source
from diffeditor.training.draw import Draw
from diffeditor.training.pictures import save_sheet

FIRST_LOGVAR = -6.0
"""Log variance of the posterior before training, everywhere."""

SCALES = ((1.0, 1.0), (0.5, 0.5), (0.5, 0.25))
"""Weights of the L1 of values and of gradients at full, half and quarter size."""


LEAST_ERROR = 1e-5
"""Mean square error, of values in [-1, 1], below which a picture counts as reproduced (56 dB)."""


class CollapsedColours(DiffEditorError):
    """An autoencoder reproduces pictures without some of their colours."""


class Autoencoder(nn.Module):
    """The VAE as one function, as data-parallel training needs it."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, pictures: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(reconstruction (B, 3, H, W), mean (B, 4, h, w), log variance) for N(0, I) noise."""
        posterior = self.vae.encode(pictures).latent_dist
        latents = posterior.mean + posterior.std * noise
        return self.vae.decode(latents).sample, posterior.mean, posterior.logvar


def build_vae(config: VaeConfig, size: int, seed: int = 0) -> AutoencoderKL:
    """A fresh `AutoencoderKL`, nearly deterministic; the global random state is left as it was.

    At the usual start the noise on the latents has deviation 1 and drowns what little of a colour
    direction gets through, so that the decoder never learns to read it.
    """
    levels = len(config.channels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vae = AutoencoderKL(
            sample_size=size,
            latent_channels=LATENT_CHANNELS,
            block_out_channels=config.channels,
            layers_per_block=1,
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            norm_num_groups=config.groups,
            mid_block_add_attention=False,
            scaling_factor=1.0,
        )
    with torch.no_grad():
        vae.quant_conv.weight[LATENT_CHANNELS:] = 0.0
        vae.quant_conv.bias[LATENT_CHANNELS:] = FIRST_LOGVAR
    return vae.to(memory_format=torch.channels_last)


class VaeObjective:
    """The loss of one step on crops of pictures from `source`."""

    def __init__(self, config: VaeConfig, source: Source, factor: int, device: torch.device):
        self.config, self.source, self.factor, self.device = config, source, factor, device
        self.detail = torch.tensor(config.detail, device=device)

    def __call__(self, model: nn.Module, draw: Draw) -> Tensor:
        drawn = self.source.draw(self.config.optimisation.batch, draw)
        crops, weight = self._crops(drawn, draw)
        side = crops.shape[-1] // self.factor
        noise = torch.randn(
            (len(crops), LATENT_CHANNELS, side, side), generator=draw.generator, device=self.device
        )
        made, mean, logvar = model(crops, noise)
        kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
        held = self.config.anchor * max(0.0, 1 - draw.progress / self.config.anchored)
        return (
            reconstruction_loss(made, crops, weight)
            + self.config.log_error * log_error(made, crops)
            + self.config.kl * kl
            + held * self._anchor(mean, crops)
        )

    def _anchor(self, mean: Tensor, crops: Tensor) -> Tensor:
        """Distance of the first three latent channels to the colours of their cells."""
        return (mean[:, :3] - F.avg_pool2d(crops, self.factor)).abs().mean()

    def _crops(self, drawn: Pictures, draw: Draw) -> tuple[Tensor, Tensor]:
        """Random squares, half of the steps mirrored, and the weight (B, 1, h, w) of each pixel."""
        side, full = self.config.crop, drawn.images.shape[-1]
        corners = draw.rng.integers(full - side + 1, size=(len(drawn.images), 2)).tolist()
        images, detail = (to_device(one, self.device) for one in (drawn.images, drawn.detail))
        both = torch.cat([images, self.detail[detail.long()][:, None]], dim=1)
        cut = [p[:, y : y + side, x : x + side] for p, (y, x) in zip(both, corners, strict=True)]
        crops, weights = torch.stack(cut).split([3, 1], dim=1)
        if draw.rng.random() < 0.5:
            crops, weights = crops.flip(-1), weights.flip(-1)
        return crops.contiguous(memory_format=torch.channels_last), weights


def reconstruction_loss(made: Tensor, true: Tensor, weight: Tensor) -> Tensor:
    """Weighted L1 of values and of differences between neighbours, over three scales."""
    total = made.new_zeros(())
    for value, slope in SCALES:
        error = made - true
        total = total + value * (weight * error.abs()).mean()
        total = total + slope * (weight[..., 1:] * error.diff(dim=-1).abs()).mean()
        total = total + slope * (weight[..., 1:, :] * error.diff(dim=-2).abs()).mean()
        made, true, weight = (F.avg_pool2d(one, 2) for one in (made, true, weight))
    return total


def log_error(made: Tensor, true: Tensor) -> Tensor:
    """Mean over pictures of the log of their mean square error: what their PSNR measures."""
    return ((made - true).square().mean((1, 2, 3)) + LEAST_ERROR).log().mean()


@torch.no_grad()
def reconstruct(vae: AutoencoderKL, images: Tensor, batch: int = 8) -> Tensor:
    """Decoded means of the posterior, clipped to [-1, 1]."""
    parts = [vae.decode(vae.encode(one).latent_dist.mean).sample for one in images.split(batch)]
    return torch.cat(parts).float().clamp(-1, 1)


def psnr(made: Tensor, true: Tensor) -> float:
    """Mean over pictures of the peak signal to noise ratio in dB, for values in [-1, 1]."""
    return float((10 * torch.log10(4 / (made - true).square().mean((1, 2, 3)))).mean())


def colour_error(made: Tensor, true: Tensor, cell: int = 8) -> float:
    """Part of the colour (the departure from gray, in cells of 8 x 8) that is wrong; 0 is perfect.

    A model that draws everything in gray has 1.
    """
    colour, off = (_chroma(F.avg_pool2d(one, cell)) for one in (true, made - true))
    return float(off.abs().mean() / colour.abs().mean())


def _chroma(pictures: Tensor) -> Tensor:
    return pictures - pictures.mean(1, keepdim=True)


@torch.no_grad()
def standardise(vae: AutoencoderKL, images: Tensor) -> None:
    """Give every latent channel mean 0 and deviation 1 on `images`, at no change of the pictures.

    The affine map is folded into `quant_conv` and its inverse into `post_quant_conv`, so that the
    scaling factor of the model is 1.
    """
    means = torch.cat([vae.encode(one).latent_dist.mean for one in images.split(16)])
    mean, deviation = means.mean((0, 2, 3)), means.std((0, 2, 3))
    into, back, count = vae.quant_conv, vae.post_quant_conv, len(mean)
    into.bias[:count] = (into.bias[:count] - mean) / deviation
    into.bias[count:] -= 2 * deviation.log()
    into.weight[:count] /= deviation[:, None, None, None]
    back.bias += back.weight[:, :, 0, 0] @ mean
    back.weight *= deviation[None, :, None, None]


class VaeJudge:
    """Measures on unseen pictures, draws them beside their reconstructions."""

    def __init__(self, scenes: Tensor, faces: Tensor, sheet: Path) -> None:
        self.scenes, self.faces, self.sheet = scenes, faces, sheet

    def __call__(self, vae: AutoencoderKL) -> dict[str, float]:
        true = torch.cat([self.scenes, self.faces]).to(vae.device)
        made, half = reconstruct(vae, true), len(self.scenes)
        shown = (slice(0, min(8, half)), slice(half, half + 8))
        rows = [row for part in shown for row in (true[part], made[part])]
        save_sheet(self.sheet, rows)
        return {
            "scene_psnr": psnr(made[:half], true[:half]),
            "face_psnr": psnr(made[half:], true[half:]),
            "colour_error": colour_error(made, true),
        }


def require_colours(error: float, tolerance: float) -> None:
    """Raises CollapsedColours when `colour_error` says that a colour direction was lost."""
    if error > tolerance:
        raise CollapsedColours(
            f"The autoencoder gets {error:.0%} of the colours wrong; train it again with a longer "
            "anchor or a smaller KL weight."
        )
