"""An edit by the release's sequence of UNet calls, with the primitives and numbers of this engine.

What the published code does beside the method (docs/method.md) is a set of switches here, so that
one can be turned off after another. The picture is the same with all of them and with none.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from benchmarks.passes import Passes
from diffeditor.attention import AttentionPass
from diffeditor.backbones import Denoiser, StableDiffusion
from diffeditor.config import Preset, Strengths
from diffeditor.geometry import working_size
from diffeditor.guidance import Guidance
from diffeditor.images import resize_image, to_tensor
from diffeditor.inversion import ImageCondition, Trajectory
from diffeditor.memory import MemoryBank
from diffeditor.plan import EditPlan, Grid
from diffeditor.sampler import Conditions, Sampler
from diffeditor.schedule import Level, ddim_invert_step
from diffeditor.tasks import Task


@dataclass(frozen=True, kw_only=True)
class Waste:
    """What the release does that an edit does not need; each is True as the release has it.

    features_each_round: reference features are computed again in every round of time travel
    idle_half: at guidance_scale 1 the half without a prompt, which then counts nothing, is computed
    last_roll_forward: after the last round of time travel too, a noise level is gone back, in vain
    host_bank: keys and values go to host memory when written, and come back whenever read
    second_unet: features come from another full copy of the UNet's weights
    inversion_each_edit: nothing of an edit is kept for the next one of the same picture
    """

    features_each_round: bool = True
    idle_half: bool = True
    last_roll_forward: bool = True
    host_bank: bool = True
    second_unet: bool = True
    inversion_each_edit: bool = True


REMOVED = {
    "features_each_round": "reference features once a step",
    "idle_half": "at guidance_scale 1, only the half that counts",
    "last_roll_forward": "no roll-forward in vain",
    "host_bank": "K/V stay on the device",
    "second_unet": "one copy of the UNet",
    "inversion_each_edit": "inversion and features kept",
}
"""In words, what the pattern is like without each waste."""


def ever_less() -> Iterator[tuple[str, Waste]]:
    """The release's pattern, then with one waste after another removed, each in words."""
    waste = Waste()
    yield "the release's pattern", waste
    for field in fields(Waste):
        waste = replace(waste, **{field.name: False})
        yield f"- {REMOVED[field.name]}", waste


class HostBank(MemoryBank):
    """A memory bank in host memory; every entry is brought to `device` each time it is read."""

    def __init__(self, steps: range, device: torch.device) -> None:
        super().__init__(steps)
        self._device = device

    def write(self, step: int, layer: str, key: Tensor, value: Tensor) -> None:
        super().write(step, layer, key.cpu(), value.cpu())

    def read(self, step: int) -> Mapping[str, tuple[Tensor, Tensor]]:
        return _Fetched(super().read(step), self._device)


class _Fetched(Mapping[str, tuple[Tensor, Tensor]]):
    """Entries that are moved to a device when they are asked for, and not before."""

    def __init__(self, entries: Mapping[str, tuple[Tensor, Tensor]], device: torch.device) -> None:
        self._entries, self._device = entries, device

    def __getitem__(self, layer: str) -> tuple[Tensor, Tensor]:
        key, value = self._entries[layer]
        return key.to(self._device), value.to(self._device)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class TwoHalves(Sampler):
    """Sampling that computes both halves of classifier-free guidance, whatever its scale."""

    def eps(self, z: Tensor, level: Level, now: AttentionPass) -> Tensor:
        return self.eps_of_both(z, level, now)


class ForgetfulGuidance(Guidance):
    """Guidance that computes the reference features of a step each time it is asked."""

    def reference(self, step: int, level: Level) -> list[Tensor]:
        self.trajectory.features.pop(step, None)
        return super().reference(step, level)


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """One edit on the grids of its picture."""

    task: Task
    grid: Grid
    strengths: Strengths
    plan: EditPlan
    levels: tuple[Level, ...]


class ReleasePattern:
    """Edits in the release's way, less the wastes that are turned off.

    passes: the passes of the latest edit by kind, as `Passes` counts them.
    """

    def __init__(self, model: StableDiffusion, preset: Preset, waste: Waste) -> None:
        """preset: inverts under text alone, and works on whole pictures, as the release does."""
        self._model, self._preset, self._waste = model, preset, waste
        self._feature_unet = deepcopy(model.unet) if waste.second_unet else model.unet
        self._kept: Trajectory | None = None
        self.passes: dict[str, int] = {}

    @torch.no_grad()
    def edit(self, task: Task, seed: int) -> Tensor:
        """The edited picture (1, 3, H, W) in [-1, 1], at working size; every call the same edit."""
        job = self._prepared(task)
        watched = {id(unet): unet for unet in (self._model.unet, self._feature_unet)}
        with ExitStack() as stack, Passes(watched.values()) as passes:
            denoiser = stack.enter_context(self._model.denoiser())
            features = denoiser
            if self._waste.second_unet:
                second = replace(self._model, unet=self._feature_unet)
                features = stack.enter_context(second.denoiser())
            if self._kept is None:
                self._kept = self._inverted(job, denoiser)
                passes.close("invert")
            z_0 = self._sampled(self._sampler(job, denoiser, features, seed))
            passes.close("sample")
        if self._waste.inversion_each_edit:
            self._kept = None
        self.passes = passes.counts()
        return self._model.decode(z_0)

    def _prepared(self, task: Task) -> _Prepared:
        model, preset = self._model, self._preset
        size = working_size(task.size, preset.resolution or model.native_size, model.multiple)
        grid = Grid(
            source=task.size,
            working=size,
            latent_factor=model.latent_factor,
            device=model.device,
        )
        strengths = preset.strengths(task.strengths, model.strengths.get(task.name, {}))
        return _Prepared(
            task=task,
            grid=grid,
            strengths=strengths,
            plan=task.plan(grid, strengths, preset),
            levels=model.schedule.levels(preset.steps),
        )

    def _inverted(self, job: _Prepared, denoiser: Denoiser) -> Trajectory:
        """Inversion under text alone, with the bank in host memory or on the device."""
        model, steps = self._model, range(len(job.levels))
        bank = HostBank(steps, model.device) if self._waste.host_bank else MemoryBank(steps)
        pictures = [resize_image(p, job.grid.working) for p in job.task.pictures]
        latents = [model.encode(torch.cat([to_tensor(p) for p in pictures]))]
        text = model.embed_text(job.task.prompts)
        for i in reversed(steps):
            now = AttentionPass(write=(bank, i))
            eps = denoiser.eps(latents[-1], job.levels[i].t, text, now)
            latents.append(ddim_invert_step(latents[-1], eps, job.levels[i]))
        bank.freeze()
        return Trajectory(latents=tuple(latents), bank=bank)

    def _sampler(
        self, job: _Prepared, denoiser: Denoiser, features: Denoiser, seed: int
    ) -> Sampler:
        assert self._kept is not None
        text = self._model.embed_text(["", job.task.prompts[0]])
        guidance = ForgetfulGuidance if self._waste.features_each_round else Guidance
        kind = TwoHalves if self._waste.idle_half else Sampler
        generator = torch.Generator().manual_seed(seed)
        shape, device = self._kept.z_T[:1].shape, self._model.device
        return kind(
            denoiser=denoiser,
            plan=job.plan,
            trajectory=self._kept,
            levels=job.levels,
            conditions=Conditions(text=text, image=self._image(job)),
            preset=self._preset,
            strengths=job.strengths,
            guidance=guidance(
                denoiser=features,
                plan=job.plan,
                trajectory=self._kept,
                text=text[1:],
                energy_scale=job.strengths.energy_scale,
                regional=self._preset.regional_guidance,
            ),
            noise=lambda _: torch.randn(shape, generator=generator).to(device),
        )

    def _image(self, job: _Prepared) -> ImageCondition | None:
        tokens = self._model.embed_images(job.task.pictures)
        if tokens is None:
            return None
        shown, nothing = (t.flatten(0, 1) for t in tokens)
        scale = job.strengths.image_prompt_scale
        return ImageCondition(tokens=torch.stack([nothing, shown]), scale=scale)

    def _sampled(self, sampler: Sampler) -> Tensor:
        """z_0 by the sampler's own steps; only what follows a step differs."""
        z = sampler.plan.start(sampler.trajectory.z_T)
        attention = sampler.attention()
        for i, level in enumerate(sampler.levels):
            now, sde = attention(i), sampler.regional_noise(i)
            rounds = self._preset.rounds(i)
            for done in range(1, rounds + 1):
                z_p = sampler.step(z, i, level, now, sde).z
                last = done == rounds
                if rounds > 1 and (not last or self._waste.last_roll_forward):
                    z = sampler.travelled_back(z_p, i, level)
            z = z_p
        return z
