"""The Editor: one model on one device, and every edit made with it.

An edit is prepared (grids, plan), inverted (or found in the cache), sampled, decoded, and laid
into the source at the source's own size.
"""

import gc
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from diffeditor.backbones import Backbone, Denoiser, Lora, load_stable_diffusion
from diffeditor.composite import composite
from diffeditor.config import PRESETS, Preset, Strengths, find_preset, misfits
from diffeditor.detail import with_detail
from diffeditor.errors import (
    InvalidEdit,
    InvalidSetting,
    ModelUnavailable,
    NoFaceFound,
    OutOfMemory,
)
from diffeditor.geometry import Box, Size, working_size
from diffeditor.guidance import Guidance, reached
from diffeditor.images import resize_image, to_image, to_tensor
from diffeditor.inversion import ImageCondition, Trajectory, invert
from diffeditor.plan import EditPlan, Grid
from diffeditor.recipe import Recipe
from diffeditor.sampler import Conditions, Sampled, Sampler
from diffeditor.schedule import Level
from diffeditor.tasks import Task
from diffeditor.tasks.base import LandmarkFinder
from diffeditor.weights import (
    Source,
    cached_image_prompt,
    find,
    find_image_prompt,
    find_model,
)

FEATHER_CELLS = 1.5
"""Width of the feathered band round an edit, in latent cells."""

CACHE_BYTES = 2 * 2**30
"""Inversions are kept up to this many bytes, the latest always."""

LANDMARKS_FILE = "landmarks.safetensors"


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished edit.

    image: RGB, the size of the task's image; outside the edit's region bit-identical to it.
    metadata: what was run and measured, JSON-able.
    recipe: the edit as data, to be saved and run again.
    """

    image: Image.Image
    metadata: dict[str, Any]
    recipe: Recipe


@dataclass(frozen=True, kw_only=True)
class Step:
    """Progress of an edit: step `index` of `total` (from 1), in words; the last has the result."""

    index: int
    total: int
    phase: str
    message: str
    result: Result | None = None
    _preview: Callable[[], Image.Image] | None = field(default=None, repr=False)

    def preview(self) -> Image.Image | None:
        """The picture as far as it can be told by now, at working size; None before sampling."""
        return None if self._preview is None else self._preview()


class TrajectoryCache:
    """The latest inversions, up to a number of bytes; the very latest always stays."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._limit = limit
        self._kept: OrderedDict[bytes, Trajectory] = OrderedDict()

    def get(self, key: bytes) -> Trajectory | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: bytes, trajectory: Trajectory) -> None:
        self._kept[key] = trajectory
        while len(self._kept) > 1 and sum(t.nbytes for t in self._kept.values()) > self._limit:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        self._kept.clear()


@dataclass(frozen=True, kw_only=True)
class _Job:
    """One edit, prepared: everything that does not need the networks' output.

    task: as it is run, on the part of the source in `box`
    region: bool (H, W) of all the source's pixels that may change, but for the feather
    """

    task: Task
    box: Box
    region: np.ndarray
    grid: Grid
    preset: Preset
    strengths: Strengths
    plan: EditPlan
    levels: tuple[Level, ...]

    @property
    def feather(self) -> float:
        """Width of the feathered band round the region, in the source's pixels."""
        grid = self.grid
        return FEATHER_CELLS * grid.latent_factor * grid.source.width / grid.working.width

    @property
    def bank_steps(self) -> list[int]:
        total = self.preset.steps
        return [i for i in range(total) if (i, total) in self.plan.kv.window]

    @property
    def wants_image_prompt(self) -> bool:
        total = self.preset.steps
        shown = any((i, total) in self.preset.image_prompt for i in range(total))
        return shown and self.strengths.image_prompt_scale > 0

    def key(self) -> bytes:
        """What the inversion depends on, as a digest."""
        digest = blake2b()
        for picture in self.task.pictures:
            digest.update(repr(picture.size).encode() + picture.tobytes())
        scale = self.strengths.image_prompt_scale if self.preset.image_prompt_inversion else None
        rest = (self.task.prompts, self.grid.working, self.preset.steps, scale, self.bank_steps)
        digest.update(repr(rest).encode())
        return digest.digest()


class Editor:
    """Runs edits with one model on one device, one at a time; inversions are kept for the next.

    Thread-safe: a second edit waits until the first has ended or its generator is closed.
    """

    def __init__(
        self,
        backbone: Backbone,
        find_landmarks: LandmarkFinder | None = None,
        *,
        vae: str | None = None,
        loras: Sequence[str] = (),
    ) -> None:
        """vae, loras: names of what the backbone was loaded with, for the recipes of its edits."""
        self._model: Backbone | None = backbone
        self._vae, self._loras = vae, tuple(loras)
        self._find_landmarks = find_landmarks or _no_landmarks
        self._cache = TrajectoryCache()
        self._lock = threading.Lock()

    @property
    def _backbone(self) -> Backbone:
        if self._model is None:
            raise ModelUnavailable("This editor was closed; load the model again.")
        return self._model

    @property
    def native_size(self) -> int:
        """Pixels: the side of the square that the model is best at."""
        return self._backbone.native_size

    @property
    def model_name(self) -> str:
        """The name that the model was loaded by."""
        return self._backbone.name

    @property
    def device(self) -> str:
        """The device that the model is on."""
        return str(self._backbone.device)

    def find_landmarks(self, portrait: Image.Image) -> np.ndarray:
        """The 68 iBUG landmarks of a portrait, (68, 2) pixels (x, y).

        Raises:
            NoFaceFound: there is no face, or no finder for this model.
        """
        return self._find_landmarks(portrait)

    def clear_cache(self) -> None:
        """Forget all inversions."""
        with self._lock:
            self._cache.clear()

    def close(self) -> None:
        """Give up the model and all inversions, once the edit that is running has ended.

        Every later edit raises ModelUnavailable. Closing twice does nothing more.
        """
        with self._lock:
            self._cache.clear()
            self._model = None
            self._find_landmarks = _no_landmarks
        gc.collect()
        torch.cuda.empty_cache()

    def edit(self, task: Task, preset: str | Preset = "diffeditor", seed: int = 0) -> Result:
        """Run an edit to its end; see `stream` for arguments and errors."""
        result = None
        for step in self.stream(task, preset, seed):
            result = step.result
        assert result is not None
        return result

    def stream(
        self, task: Task, preset: str | Preset = "diffeditor", seed: int = 0
    ) -> Generator[Step, None, None]:
        """Run an edit step by step; closing the generator stops it and frees the device.

        Args:
            task: Move, Drag, Face, Paste or Appearance.
            preset: a name of PRESETS or a Preset.
            seed: of the stochastic part; the same seed on the same device gives the same picture.

        Raises:
            InvalidEdit: the task, preset or seed cannot be run as given.
            OutOfMemory: the device has no room for the working size.
        """
        seed = _checked_seed(seed)
        clock = _Clock()
        job = self._job(task, find_preset(preset))
        with self._lock, self._memory_errors(job.grid.working):
            yield from self._run(job, task, seed, clock)

    @contextmanager
    def _memory_errors(self, size: Size) -> Iterator[None]:
        """Explains a full device, after making room on it for the next edit."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            self._cache.clear()
            torch.cuda.empty_cache()
            raise OutOfMemory(
                f"The device has no room for a working size of {size.width} x {size.height}; set a "
                "smaller resolution in the preset."
            ) from error

    def _job(self, task: Task, preset: Preset) -> _Job:
        if not isinstance(task, Task):
            raise InvalidEdit(f"A task is needed, such as Move or Drag, not {type(task).__name__}.")
        task = task.prepared(self._find_landmarks)
        backbone = self._backbone
        side = preset.resolution or backbone.native_size
        near, box = task.focused(side) if preset.crop == "auto" else (task, None)
        grid = Grid(
            source=near.size,
            working=working_size(near.size, side, backbone.multiple),
            latent_factor=backbone.latent_factor,
            device=backbone.device,
        )
        strengths = preset.strengths(near.strengths, backbone.strengths.get(near.name, {}))
        return _Job(
            task=near,
            box=box or Box(0, 0, task.size.width, task.size.height),
            region=task.region(),
            grid=grid,
            preset=preset,
            strengths=strengths,
            plan=near.plan(grid, strengths, preset),
            levels=backbone.schedule.levels(preset.steps),
        )

    def _run(
        self, job: _Job, task: Task, seed: int, clock: "_Clock"
    ) -> Generator[Step, None, None]:
        key = job.key()
        trajectory = self._cache.get(key)
        count = len(job.levels)
        inverting = 0 if trajectory else count
        total = inverting + count + 1
        clock.enter("prepare")
        with self._backbone.denoiser() as denoiser:
            if trajectory is None:
                clock.enter("invert")
                run = self._inversion(job, denoiser)
                while True:
                    try:
                        done = next(run)
                    except StopIteration as finished:
                        trajectory = finished.value
                        break
                    message = f"Inverting {done}/{count}"
                    yield Step(index=done, total=total, phase="invert", message=message)
                self._cache.put(key, trajectory)
            clock.enter("sample")
            sampler = self._sampler(job, denoiser, trajectory, seed)
            ratios: list[Tensor] = []
            state = None
            for state in sampler.run():
                if state.guidance_ratio is not None:
                    ratios.append(state.guidance_ratio)
                yield Step(
                    index=inverting + state.step + 1,
                    total=total,
                    phase="sample",
                    message=f"Editing {state.step + 1}/{count}",
                    _preview=self._previewer(state),
                )
            assert state is not None
            clock.enter("decode")
            picture = to_image(self._backbone.decode(state.z))
            image = _laid_in(task, job, picture)
        metadata = {
            "task": task.name,
            "preset": _preset_name(job.preset),
            "seed": seed,
            "model": self.model_name,
            "device": self.device,
            "steps": count,
            "crop": list(job.box),
            "feather": job.feather,
            "working_size": [job.grid.working.width, job.grid.working.height],
            "inversion_cached": inverting == 0,
            "seconds": clock.finish(),
            "unet_samples": dict(denoiser.samples),
            "strengths": asdict(job.strengths),
            "guidance_ratio": [round(float(r), 5) for r in ratios],
            "reached": _reached(sampler.guidance, job),
            "warnings": [
                *task.warnings(),
                *self._dropped(task),
                *self._unprompted(job),
                *misfits(job.preset, job.strengths, [self.model_name, *self._loras]),
            ],
        }
        recipe = Recipe.from_task(
            task, job.preset, seed, self.model_name, vae=self._vae, loras=self._loras
        )
        result = Result(image=image, metadata=metadata, recipe=recipe)
        yield Step(index=total, total=total, phase="decode", message="Done", result=result)

    def _inversion(self, job: _Job, denoiser: Denoiser) -> Generator[int, None, Trajectory]:
        size = job.grid.working
        pictures = [resize_image(p, size) for p in job.task.pictures]
        z_0 = self._backbone.encode(torch.cat([to_tensor(p) for p in pictures]))
        text = self._backbone.embed_text(job.task.prompts)
        tokens = None
        if job.preset.image_prompt_inversion:
            tokens = self._backbone.embed_images(job.task.pictures)
        scale = job.strengths.image_prompt_scale
        image = ImageCondition(tokens=tokens[0], scale=scale) if tokens and scale else None
        return (
            yield from invert(
                denoiser, z_0, job.levels, text, bank_steps=job.bank_steps, image=image
            )
        )

    def _sampler(self, job: _Job, denoiser: Denoiser, trajectory: Trajectory, seed: int) -> Sampler:
        text = self._backbone.embed_text(["", job.task.prompts[0]])
        generator = torch.Generator().manual_seed(seed)
        shape, device = trajectory.z_T[:1].shape, job.grid.device
        return Sampler(
            denoiser=denoiser,
            plan=job.plan,
            trajectory=trajectory,
            levels=job.levels,
            conditions=Conditions(text=text, image=self._image_condition(job)),
            preset=job.preset,
            strengths=job.strengths,
            guidance=Guidance(
                denoiser=denoiser,
                plan=job.plan,
                trajectory=trajectory,
                text=text[1:],
                energy_scale=job.strengths.energy_scale,
                regional=job.preset.regional_guidance,
            ),
            noise=lambda _: torch.randn(shape, generator=generator).to(device),
        )

    def _image_condition(self, job: _Job) -> ImageCondition | None:
        """The tokens of all pictures side by side, as [of nothing; of the pictures]."""
        if not job.wants_image_prompt:
            return None
        tokens = self._backbone.embed_images(job.task.pictures)
        if tokens is None:
            return None
        shown, nothing = (t.flatten(0, 1) for t in tokens)
        scale = job.strengths.image_prompt_scale
        return ImageCondition(tokens=torch.stack([nothing, shown]), scale=scale)

    def _previewer(self, state: Sampled) -> Callable[[], Image.Image]:
        return lambda: to_image(self._backbone.decode(state.x_0))

    def _dropped(self, task: Task) -> Iterator[str]:
        for prompt in task.prompts:
            rest = self._backbone.dropped_words(prompt)
            if rest:
                yield f'The prompt is too long for the model; this part was dropped: "{rest}".'

    def _unprompted(self, job: _Job) -> Iterator[str]:
        if job.wants_image_prompt and not self._backbone.has_image_prompt:
            yield "The model has no image prompt, so the edit ran on text alone."


def load_editor(
    model: str | os.PathLike[str] = "embedded",
    device: str = "auto",
    dtype: torch.dtype | None = None,
    *,
    image_prompt: Source | None = None,
    image_encoder: Source | None = None,
    vae: Source | None = None,
    loras: Sequence[str] = (),
    landmarks: str | os.PathLike[str] | None = None,
    allow_pickle: bool = False,
) -> Editor:
    """An Editor with a model on a device.

    Args:
        model: "embedded", a diffusers folder or single file of an SD 1.x / 2.x model, or its hub id
            ("owner/name" or "owner/name@revision").
        device: "auto" (an accelerator if there is one), or a name that torch knows.
        dtype: of the UNet and the encoders; None takes float16 on CUDA and float32 elsewhere.
        image_prompt, image_encoder: an image-prompt file or known hub id, and its CLIP folder; None
            takes those in the model's folder, or IP-Adapter-plus if it was fetched and fits, and
            runs text-only without them.
        vae: a folder, file or hub id of a VAE that replaces the model's own.
        loras: LoRA files, "PATH" or "PATH:SCALE", added to the weights in this order.
        landmarks: the file of a landmark finder for faces (see `load_landmark_finder`); None takes
            the one in the model's folder.
        allow_pickle: accept files in PyTorch's own format; no code in them is run.

    Raises:
        ModelUnavailable: the model or a part of it is missing, damaged or of another kind.
        InvalidSetting: there is no such device or LoRA file.
    """
    where = _resolved_device(device)
    added = [Lora.parse(text) for text in loras]
    source = find_model(model, allow_pickle=allow_pickle)
    prompt, encoder = _given_prompt(image_prompt, image_encoder, source, allow_pickle)
    spare = cached_image_prompt()
    backbone = load_stable_diffusion(
        source,
        name=os.fspath(model),
        image_prompt=prompt,
        image_encoder=encoder,
        vae=None if vae is None else _found_vae(vae, allow_pickle),
        loras=added,
        spare_prompt=None if spare is None else (spare.prompt, spare.encoder),
        allow_pickle=allow_pickle,
    )
    best = torch.float16 if where.type == "cuda" else torch.float32
    return Editor(
        backbone.to(where, dtype or best),
        _landmark_finder(source, landmarks),
        vae=None if vae is None else os.fspath(vae),
        loras=loras,
    )


def _found_vae(vae: Source, allow_pickle: bool) -> Path:
    return find(vae, "give a VAE's folder, file or hub id", allow_pickle=allow_pickle)


def _given_prompt(
    image_prompt: Source | None, image_encoder: Source | None, model: Path, allow_pickle: bool
) -> tuple[Path | None, Path | None]:
    if image_prompt is None:
        return None, None if image_encoder is None else Path(image_encoder)
    found = find_image_prompt(image_prompt, image_encoder, model, allow_pickle=allow_pickle)
    return found.prompt, found.encoder


def _landmark_finder(model: Path, given: str | os.PathLike[str] | None) -> LandmarkFinder | None:
    file = model / LANDMARKS_FILE if given is None else Path(given)
    if given is None and not file.is_file():
        return None
    from diffeditor.faces import load_landmark_finder

    return load_landmark_finder(file)


def _resolved_device(device: str) -> torch.device:
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InvalidSetting(
            f'There is no device {device!r} here; use "auto", "cpu" or one that torch sees.'
        ) from error
    return found


def _no_landmarks(_portrait: Image.Image) -> np.ndarray:
    raise NoFaceFound(
        "The model has no landmark finder: give source_landmarks and target_landmarks, or a finder."
    )


def _checked_seed(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise InvalidSetting(f"The seed must be a whole number from 0 to 2^63 - 1, not {seed!r}.")
    return int(seed)


def _preset_name(preset: Preset) -> str:
    return next((name for name, known in PRESETS.items() if known == preset), "custom")


def _laid_in(task: Task, job: _Job, picture: Image.Image) -> Image.Image:
    """The edited picture in the source, exact outside the edit's region."""
    if job.preset.detail:
        picture = with_detail(picture, job.task.carried(), job.task.size)
    return composite(task.source, picture, job.region, job.feather, job.box)


def _reached(guidance: Guidance, job: _Job) -> list[float | None]:
    targets = job.task.targets()
    source, cells = job.grid.source, job.grid.feature
    pairs = [(a.rescaled(source, cells), b.rescaled(source, cells)) for a, b in targets]
    return [v if v is None else round(v, 3) for v in reached(guidance, pairs)]


class _Clock:
    """Seconds spent in each phase."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._phase, self._since = "prepare", time.perf_counter()

    def enter(self, phase: str) -> None:
        now = time.perf_counter()
        self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = phase, now

    def finish(self) -> dict[str, float]:
        self.enter("end")
        rounded = {phase: round(seconds, 3) for phase, seconds in self._seconds.items()}
        return {**rounded, "total": round(sum(self._seconds.values()), 3)}
