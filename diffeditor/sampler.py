"""The one loop: guided regional-SDE sampling with time travel [DiffEditor algorithm 1].

    i, level     step of N and its (t, p);  i = 0 is the noisiest
    z, z_p       latents at level t and at the cleaner level p
    eps          noise by classifier-free guidance, with the bank's K/V and the image prompt
    G            editing gradient in the guided steps
    rounds       time travel: z_t is restored from z_p and the step taken again

Every window and number comes from the preset, every mask from the plan.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import torch
from torch import Tensor

from diffeditor.attention import AttentionPass, BankReader
from diffeditor.backbones.base import Denoiser
from diffeditor.config import Preset, StepWindow, Strengths
from diffeditor.guidance import Guidance
from diffeditor.inversion import ImageCondition, Trajectory
from diffeditor.plan import EditPlan
from diffeditor.schedule import (
    Level,
    RegionalNoise,
    ddim_invert_step,
    predict_x0,
    regional_ddim_step,
    renoise_step,
)

NoiseSource = Callable[[int], Tensor]
"""step -> a draw (1, C, h, w) from N(0, I)."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What the sampler conditions on: text (2, n, D) = [nothing; prompt], and the image prompt.

    image: tokens (2, m, D) in the same order, of all pictures side by side; None without one.
    """

    text: Tensor
    image: ImageCondition | None = None

    @property
    def prompt(self) -> Tensor:
        """(1, n, D): the prompt alone."""
        return self.text[1:]


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """State after a step.

    z, x_0: (1, C, h, w) latents, and the clean latents that they point to
    guidance_ratio: |G| / |eps|, a scalar, in a guided step
    """

    step: int
    z: Tensor
    x_0: Tensor
    guidance_ratio: Tensor | None


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """One edit, ready to be sampled.

    free: (1, 1, h, w) latent cells that the edit may change, the others follow the inversion of the
    source; None frees all.
    sketch: (1, C, h, w) clean latents of the edit's sketch; None for none.
    first: the step to begin with, from the sketch unless it is 0.
    """

    denoiser: Denoiser
    plan: EditPlan
    trajectory: Trajectory
    levels: Sequence[Level]
    conditions: Conditions
    preset: Preset
    strengths: Strengths
    guidance: Guidance
    noise: NoiseSource
    free: Tensor | None = None
    sketch: Tensor | None = None
    first: int = 0

    @torch.no_grad()
    def run(self) -> Generator[Sampled, None, Tensor]:
        """Sample from the first step on; yields every step and returns z_0 (1, C, h, w)."""
        fresh = self.noise(self.first) if self.plan.m_anew is not None else None
        z = self.begun(self.start(), fresh, self.levels[self.first].a_t)
        attention, filling = self.attention(), StepWindow(stop=self.preset.fill_until)
        for i, level in enumerate(self.levels[self.first :], self.first):
            now, sde = attention(i), self.regional_noise(i)
            step = self.step(z, i, level, now, sde)
            for _ in range(self.preset.rounds(i) - 1):  # [R] travels back once more, in vain
                z = self.travelled_back(step.z, i, level)
                step = self.step(z, i, level, now, sde)
            if self.sketch is not None and (i, len(self.levels)) in filling:
                step = replace(step, z=self.begun(step.z, fresh, level.a_p))
            yield step
            z = step.z
        return z

    def start(self) -> Tensor:
        """The latents (1, C, h, w) that the first step starts from.

        Those of the plan; after step 0 with what the sketch changes, under the inversion's noise:
            start(z_t) + sqrt(a_t) (z_sketch - start(z_0))
        which is the inversion itself where the sketch shows what the plan puts there.
        """
        z = self.plan.start(self.trajectory.at(self.first))
        if self.first == 0 or self.sketch is None:
            return z
        a = self.levels[self.first].a_t
        shown = sqrt(a) * self.sketch
        noise = z - sqrt(a) * self.plan.start(self.trajectory.latents[0])
        return self.held(shown + self.stirred(noise, a), self.first - 1)

    def stirred(self, noise: Tensor, a: float) -> Tensor:
        """The noise (1, C, h, w) of the start at the level of a, with a part of it drawn anew.

        Where the start comes after all stochastic steps, one draw makes up for them:
            n <- sqrt(1 - eta^2) n + eta sqrt(1 - a) draw
        """
        total = len(self.levels)
        stochastic = [i for i in range(total) if (i, total) in self.preset.sde]
        if not stochastic or stochastic[-1] >= self.first:
            return noise
        s = self.strengths
        eta = torch.where(self.plan.m_sde > 0, s.eta_in, s.eta_out)
        return (1 - eta**2).sqrt() * noise + eta * sqrt(1 - a) * self.noise(self.first)

    def begun(self, z: Tensor, fresh: Tensor | None, a: float) -> Tensor:
        """Latents z (1, C, h, w), those that start anew with fresh noise at the level of a.

        What the noise lies on keeps it from becoming an object of its own [blended latents]:
        sqrt(a) z_sketch + sqrt(1 - a) noise.
        """
        if self.plan.m_anew is None or fresh is None:
            return z
        laid = fresh if self.sketch is None else sqrt(a) * self.sketch + sqrt(1 - a) * fresh
        return torch.where(self.plan.m_anew > 0, laid, z)

    def step(
        self, z: Tensor, i: int, level: Level, now: AttentionPass, sde: RegionalNoise | None
    ) -> Sampled:
        """One step down from latents z (1, C, h, w) at level t."""
        eps = self.eps(z, level, now)
        guided = self.preset.guides(i, self.strengths.guide_until)
        G = self.guidance(z, i, level) if guided else None
        return Sampled(
            step=i,
            z=self.held(regional_ddim_step(z, eps, level, guidance=G, sde=sde), i),
            x_0=predict_x0(z, eps, level.a_t),
            guidance_ratio=None if G is None else G.norm() / eps.norm(),
        )

    def held(self, z: Tensor, i: int) -> Tensor:
        """Latents z (1, C, h, w) after step i, those beyond the edit as the inversion had them.

        The rest of the picture is the source's in the end; so it is what the edit sees around it
        [blended latents: Avrahami et al. 2023, arXiv 2206.02779].
        """
        if self.free is None:
            return z
        return torch.where(self.free > 0, z, self.trajectory.at(i + 1)[:1])

    def eps(self, z: Tensor, level: Level, now: AttentionPass) -> Tensor:
        """Noise by classifier-free guidance; only the prompted half where only it counts."""
        if self.strengths.guidance_scale == 1:
            shown = None if now.image_tokens is None else now.image_tokens[1:]
            prompted = replace(now, image_tokens=shown)
            return self.denoiser.eps(z, level.t, self.conditions.prompt, prompted)
        return self.eps_of_both(z, level, now)

    def eps_of_both(self, z: Tensor, level: Level, now: AttentionPass) -> Tensor:
        """Noise by classifier-free guidance, both halves in one batch, whatever the scale."""
        both = self.denoiser.eps(torch.cat([z, z]), level.t, self.conditions.text, now)
        without, with_text = both.chunk(2)
        return without + self.strengths.guidance_scale * (with_text - without)

    def attention(self) -> Callable[[int], AttentionPass]:
        """The attention of each step: the bank in its window, the image prompt in its own."""
        reader = BankReader(self.trajectory.bank, self.plan.kv)
        total, image = len(self.levels), self.conditions.image

        def at(i: int) -> AttentionPass:
            shown = image if (i, total) in self.preset.image_prompt else None
            return AttentionPass(
                read=(reader, i) if (i, total) in self.plan.kv.window else None,
                image_tokens=None if shown is None else shown.tokens,
                image_scale=0.0 if shown is None else shown.scale,
            )

        return at

    def regional_noise(self, i: int) -> RegionalNoise | None:
        """The stochastic part of a step [DiffEditor eq. 7]; None outside its window."""
        s = self.strengths
        if (i, len(self.levels)) not in self.preset.sde or not (s.eta_in or s.eta_out):
            return None
        region = self.plan.m_sde > 0
        return RegionalNoise(region=region, eta_in=s.eta_in, eta_out=s.eta_out, noise=self.noise(i))

    def travelled_back(self, z_p: Tensor, i: int, level: Level) -> Tensor:
        """z_t from z_p: by inversion with the plain UNet, or by noise for the ablation."""
        if self.preset.travel_by == "noise":
            return renoise_step(z_p, level, self.noise(i))
        eps = self.denoiser.eps(z_p, level.p, self.conditions.prompt)
        return ddim_invert_step(z_p, eps, level)
