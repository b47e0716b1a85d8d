"""The noise schedule and the two DDIM updates, as plain functions of tensors and numbers.

    T            training steps (1000)             N          steps of a run
    t_i          timestep of step i, i = 0 is the noisiest; p_i the next, cleaner timestep
    a(t)         alphas_cumprod[t], and a(t < 0) = a(0)
    z, eps, x0   latents at level t, predicted noise, predicted clean latents
    eta, n       strength of the stochastic part and its N(0, I) draw

All arithmetic is float32 on tensors with float64 coefficients.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from diffeditor.errors import InvalidSetting

MIN_STEPS, MAX_STEPS = 4, 1000

Prediction = Literal["epsilon", "v_prediction"]


@dataclass(frozen=True)
class Level:
    """One step of a run: from timestep `t` (a_t) to the cleaner timestep `p` (a_p)."""

    t: int
    p: int
    a_t: float
    a_p: float

    @property
    def variance(self) -> float:
        """Variance of the posterior at eta = 1 [DDIM eq. 16]."""
        return (1 - self.a_p) / (1 - self.a_t) * (1 - self.a_t / self.a_p)


@dataclass(frozen=True)
class Schedule:
    """What a scheduler's config fixes: alphas_cumprod, the offset, what the UNet predicts."""

    alphas_cumprod: tuple[float, ...]
    steps_offset: int = 1
    prediction: Prediction = "epsilon"

    def a(self, t: int) -> float:
        return self.alphas_cumprod[min(max(t, 0), len(self.alphas_cumprod) - 1)]

    def levels(self, steps: int) -> tuple[Level, ...]:
        """The N levels of a run, noisiest first; step i is element i.

        Timesteps are spaced T / N apart and start `steps_offset` above 0, as the "leading" spacing
        of Stable Diffusion does for every N that divides T.

        Raises:
            InvalidSetting: fewer than 4 or more than 1000 steps.
        """
        if not isinstance(steps, int) or not MIN_STEPS <= steps <= MAX_STEPS:
            raise InvalidSetting(
                f"The number of steps must be a whole number from {MIN_STEPS} to {MAX_STEPS}, "
                f"not {steps}."
            )
        total = len(self.alphas_cumprod)
        offset = min(self.steps_offset, total - 1 - (steps - 1) * total // steps)
        ladder = [(i * total) // steps + offset for i in range(steps)]
        ladder = [ladder[0] - total // steps, *ladder]
        pairs = zip(ladder[:0:-1], ladder[-2::-1], strict=True)
        return tuple(Level(t, p, self.a(t), self.a(p)) for t, p in pairs)

    def epsilon(self, output: Tensor, z: Tensor, t: int) -> Tensor:
        """The predicted noise from what the UNet returned for z at t [v: Salimans & Ho, app. D]."""
        if self.prediction == "epsilon":
            return output
        a = self.a(t)
        return math.sqrt(a) * output + math.sqrt(1 - a) * z


def scaled_linear(
    beta_start: float = 0.00085, beta_end: float = 0.012, total: int = 1000
) -> tuple[float, ...]:
    """alphas_cumprod of Stable Diffusion: betas linear in their square root."""
    betas = torch.linspace(beta_start**0.5, beta_end**0.5, total, dtype=torch.float32) ** 2
    return tuple(torch.cumprod(1 - betas, 0).tolist())


def predict_x0(z: Tensor, eps: Tensor, a_t: float) -> Tensor:
    """x0 = (z - sqrt(1 - a_t) eps) / sqrt(a_t)  [DDIM eq. 9]."""
    return (z - math.sqrt(1 - a_t) * eps) / math.sqrt(a_t)


def ddim_invert_step(z: Tensor, eps: Tensor, level: Level) -> Tensor:
    """One noise level up, z_p -> z_t, with the noise predicted for z_p [DDIM eq. 13 reversed]."""
    return math.sqrt(level.a_t) * predict_x0(z, eps, level.a_p) + math.sqrt(1 - level.a_t) * eps


@dataclass(frozen=True, kw_only=True)
class RegionalNoise:
    """The stochastic part of one step.

    region: (1, 1, h, w) bool, where eta is eta_in; elsewhere it is eta_out.
    noise:  (B, C, h, w) a draw from N(0, I).
    """

    region: Tensor
    eta_in: float
    eta_out: float
    noise: Tensor


def regional_ddim_step(
    z: Tensor,
    eps: Tensor,
    level: Level,
    *,
    guidance: Tensor | None = None,
    sde: RegionalNoise | None = None,
) -> Tensor:
    """One noise level down, z_t -> z_p [DDIM eq. 12, DiffEditor eq. 7].

    Args:
        z, eps: (B, C, h, w) latents at level t and the noise predicted for them.
        guidance: gradient G of the editing energies. It moves the predicted x0 only; the direction
            term keeps the plain eps. [The paper's eq. 4 adds G to eps everywhere; the release does
            as we do.]
        sde: the stochastic part; None is the deterministic step, and so is every cell whose eta
            is 0, bit for bit.
    """
    x0 = predict_x0(z, eps if guidance is None else eps + guidance, level.a_t)
    if sde is None:
        return math.sqrt(level.a_p) * x0 + math.sqrt(1 - level.a_p) * eps
    direction_in, spread_in = _direction_and_spread(level, sde.eta_in)
    direction_out, spread_out = _direction_and_spread(level, sde.eta_out)
    direction = torch.where(sde.region, direction_in, direction_out)
    spread = torch.where(sde.region, spread_in, spread_out)
    return math.sqrt(level.a_p) * x0 + direction * eps + spread * sde.noise


def _direction_and_spread(level: Level, eta: float) -> tuple[float, float]:
    variance = eta**2 * level.variance
    return math.sqrt(max(1 - level.a_p - variance, 0.0)), math.sqrt(variance)


def renoise_step(z: Tensor, level: Level, noise: Tensor) -> Tensor:
    """One noise level up by fresh noise, z_t ~ N(sqrt(1 - beta) z_p, beta I)."""
    keep = level.a_t / level.a_p
    return math.sqrt(keep) * z + math.sqrt(1 - keep) * noise
