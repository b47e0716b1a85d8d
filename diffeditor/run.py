"""One run of a job: inverted (or taken from the cache), sampled, decoded, laid into the source."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from diffeditor.backbones import Backbone, Denoiser
from diffeditor.cache import Cache
from diffeditor.composite import composite
from diffeditor.config import PRESETS, Preset, misfits
from diffeditor.detail import with_detail
from diffeditor.device import is_out_of_memory, to_device
from diffeditor.embeddings import Embeddings
from diffeditor.guidance import Guidance, reached
from diffeditor.images import resize_image, to_image, to_tensor
from diffeditor.inversion import ImageCondition, Trajectory, invert
from diffeditor.job import Job
from diffeditor.memory_policy import MemoryPlan
from diffeditor.preview import sketch
from diffeditor.recipe import Recipe
from diffeditor.result import Result, Step
from diffeditor.sampler import Conditions, Sampled, Sampler


class Clock:
    """Seconds spent in each phase, from "prepare" on."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._phase, self._since = "prepare", time.perf_counter()

    def enter(self, phase: str) -> None:
        """The phase before ends here."""
        now = time.perf_counter()
        self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = phase, now

    def finish(self) -> dict[str, float]:
        """The seconds of all phases, and their "total"."""
        self.enter("end")
        rounded = {phase: round(seconds, 3) for phase, seconds in self._seconds.items()}
        return {**rounded, "total": round(sum(self._seconds.values()), 3)}


@dataclass(frozen=True, kw_only=True)
class Run:
    """A job with a model, a seed and a memory plan.

    stopped: whether to raise Cancelled; asked before every call of the UNet.
    notes: what else is to be told of it, as warnings.
    vae, loras: names of what the model was loaded with, for the recipe.
    """

    job: Job
    seed: int
    backbone: Backbone
    plan: MemoryPlan
    cache: Cache[Trajectory]
    embeddings: Embeddings
    clock: Clock = field(default_factory=Clock)
    notes: Sequence[str] = ()
    vae: str | None = None
    loras: Sequence[str] = ()
    stopped: Callable[[], bool] = lambda: False

    def steps(self) -> Generator[Step, None, None]:
        """The edit step by step; the last one has the result."""
        first = self.job.first
        count = len(self.job.levels) - first
        self.clock.enter("prepare")
        self.backbone.follow(self.plan)
        key = self.job.key(self.backbone.name, self.plan.bank_halved)
        known = self.cache.get(key)
        inverting = count if known is None else 0
        total = inverting + count + 1
        sketched = self._sketch()
        with self.backbone.denoiser() as denoiser:
            denoiser.stopped = self.stopped
            trajectory = known or (yield from self._inverted(key, denoiser, total))
            self.clock.enter("sample")
            sampler = self._sampler(denoiser, trajectory, sketched)
            state, ratios = None, list[Tensor]()
            for state in sampler.run():
                if state.guidance_ratio is not None:
                    ratios.append(state.guidance_ratio)
                yield Step(
                    index=inverting + state.step - first + 1,
                    total=total,
                    phase="sample",
                    message=f"Editing {state.step - first + 1}/{count}",
                    _preview=self._previewer(state),
                )
            assert state is not None
            self.clock.enter("decode")
            image = self._laid_in(to_image(self.backbone.decode(state.z)))
        metadata = {
            **self._facts(),
            "inversion_cached": known is not None,
            "seconds": self.clock.finish(),
            "unet_samples": dict(denoiser.samples),
            "guidance_ratio": [round(float(r), 5) for r in ratios],
            "reached": self._reached(sampler.guidance),
            "warnings": list(self._warnings()),
        }
        result = Result(image=image, metadata=metadata, recipe=self._recipe())
        yield Step(index=total, total=total, phase="decode", message="Done", result=result)

    def _inverted(
        self, key: bytes, denoiser: Denoiser, total: int
    ) -> Generator[Step, None, Trajectory]:
        """The steps of the inversion; returns it, kept under its key."""
        self.clock.enter("invert")
        inversion, count = self._inversion(denoiser), len(self.job.levels) - self.job.first
        while True:
            try:
                done = next(inversion)
            except StopIteration as finished:
                self.cache.put(key, finished.value)
                return finished.value
            message = f"Inverting {done}/{count}"
            yield Step(index=done, total=total, phase="invert", message=message)

    def _inversion(self, denoiser: Denoiser) -> Generator[int, None, Trajectory]:
        job, backbone = self.job, self.backbone
        pictures = [resize_image(p, job.grid.working) for p in job.task.pictures]
        z_0 = backbone.encode(torch.cat([to_tensor(p) for p in pictures]))
        text = self.embeddings.text(backbone, job.task.prompts)
        tokens = None
        if job.preset.image_prompt_inversion:
            tokens = self.embeddings.images(backbone, job.task.pictures)
        scale = job.strengths.image_prompt_scale
        image = ImageCondition(tokens=tokens[0], scale=scale) if tokens and scale else None
        return invert(
            denoiser,
            z_0,
            job.levels,
            text,
            bank_steps=job.bank_steps,
            image=image,
            plan=self.plan,
            first=job.first,
        )

    def _sampler(
        self, denoiser: Denoiser, trajectory: Trajectory, sketched: Tensor | None
    ) -> Sampler:
        job = self.job
        text = self.embeddings.text(self.backbone, ["", job.task.prompts[0]])
        generator = torch.Generator().manual_seed(self.seed)
        shape, device = trajectory.z_T[:1].shape, job.grid.device
        return Sampler(
            denoiser=denoiser,
            plan=job.plan,
            trajectory=trajectory,
            levels=job.levels,
            conditions=Conditions(text=text, image=self._image_condition()),
            preset=job.preset,
            strengths=job.strengths,
            guidance=Guidance(
                denoiser=denoiser,
                plan=job.plan,
                trajectory=trajectory,
                text=text[1:],
                energy_scale=job.strengths.energy_scale,
                regional=job.preset.regional_guidance,
                limit=job.strengths.gradient_limit,
            ),
            noise=lambda _: to_device(torch.randn(shape, generator=generator), device),
            free=job.free,
            sketch=sketched,
            first=job.first,
        )

    def _sketch(self) -> Tensor | None:
        """Latents of the edit's preview, where the edit or a part of it begins with them."""
        job = self.job
        if not job.first and (job.plan.m_anew is None or not job.preset.fill_until):
            return None
        return self.backbone.encode(to_tensor(sketch(job.task, job.grid.working)))

    def _image_condition(self) -> ImageCondition | None:
        """The tokens of all pictures side by side, as [of nothing; of the pictures]."""
        if not self.job.wants_image_prompt:
            return None
        tokens = self.embeddings.images(self.backbone, self.job.task.pictures)
        if tokens is None:
            return None
        shown, nothing = (t.flatten(0, 1) for t in tokens)
        scale = self.job.strengths.image_prompt_scale
        return ImageCondition(tokens=torch.stack([nothing, shown]), scale=scale)

    def _previewer(self, state: Sampled) -> Callable[[], Image.Image | None]:
        def preview() -> Image.Image | None:
            try:
                return to_image(self.backbone.decode(state.x_0))
            except Exception as error:
                if is_out_of_memory(error):  # the edit itself can still end
                    return None
                raise

        return preview

    def _laid_in(self, picture: Image.Image) -> Image.Image:
        """The edited picture in the source, exact outside the edit's region."""
        job = self.job
        if job.preset.detail:
            cell = job.grid.latent_factor
            picture = with_detail(picture, job.task.carried(), job.task.size, cell)
        return composite(job.given.source, picture, job.region, job.feather, job.box)

    def _facts(self) -> dict[str, Any]:
        """What was run, as far as the job tells."""
        job, working = self.job, self.job.grid.working
        return {
            "task": job.given.name,
            "preset": _preset_name(job.preset),
            "seed": self.seed,
            "model": self.backbone.name,
            "device": str(self.backbone.device),
            "dtype": self.backbone.dtype,
            "memory": self.plan.name,
            "steps": len(job.levels),
            "first_step": job.first,
            "crop": list(job.box),
            "feather": job.feather,
            "working_size": [working.width, working.height],
            "strengths": asdict(job.strengths),
        }

    def _reached(self, guidance: Guidance) -> list[float | None]:
        grid = self.job.grid
        pairs = [
            (a.rescaled(grid.source, grid.feature), b.rescaled(grid.source, grid.feature))
            for a, b in self.job.task.targets()
        ]
        return [v if v is None else round(v, 3) for v in reached(guidance, pairs)]

    def _warnings(self) -> Iterator[str]:
        job, backbone = self.job, self.backbone
        yield from self.notes
        yield from job.given.warnings()
        for prompt in job.given.prompts:
            rest = backbone.dropped_words(prompt)
            if rest:
                yield f'The prompt is too long for the model; this part was dropped: "{rest}".'
        if job.wants_image_prompt and not backbone.has_image_prompt:
            yield "The model has no image prompt, so the edit ran on text alone."
        if backbone.compiled is not None and backbone.compiled.failure is not None:
            yield backbone.compiled.failure
        yield from misfits(job.preset, job.strengths, [backbone.name, *self.loras])

    def _recipe(self) -> Recipe:
        job, model = self.job, self.backbone.name
        return Recipe.from_task(
            job.given, job.preset, self.seed, model, vae=self.vae, loras=tuple(self.loras)
        )


def _preset_name(preset: Preset) -> str:
    return next((name for name, known in PRESETS.items() if known == preset), "custom")
