"""The Editor: one model on one device, and every edit made with it."""

import os
import threading
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from diffeditor.backbones import Backbone, Lora, load_stable_diffusion
from diffeditor.cache import Cache
from diffeditor.compiling import CompiledUNet, check_compiles
from diffeditor.config import Preset, find_preset
from diffeditor.device import AUTO, find_device, find_dtype, is_out_of_memory, release
from diffeditor.embeddings import Embeddings
from diffeditor.errors import ModelUnavailable, NoFaceFound
from diffeditor.inversion import Trajectory
from diffeditor.job import Job, checked_seed
from diffeditor.memory_choice import MemoryChoice, explained_lack
from diffeditor.memory_policy import MemoryPlan, allowed_plans
from diffeditor.result import Result, Step
from diffeditor.run import Clock, Run
from diffeditor.tasks import Task
from diffeditor.tasks.base import LandmarkFinder
from diffeditor.weights import Source, cached_image_prompt, find, find_image_prompt, find_model

CACHE_BYTES = 2 * 2**30
"""Inversions are kept up to this many bytes, the latest always."""

AGAIN = "The device ran out of memory, so the edit was begun again with a more frugal memory plan."

LANDMARKS_FILE = "landmarks.safetensors"


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
        memory: str = AUTO,
    ) -> None:
        """
        vae, loras: names of what the backbone was loaded with, for the recipes of its edits.
        memory: how an edit uses the device's memory: auto, fast, balanced or low.

        Raises:
            InvalidSetting: there is no such memory plan.
            OutOfMemory: the device has no room even to measure what the model needs.
        """
        self._model: Backbone | None = backbone
        self._vae, self._loras = vae, tuple(loras)
        self._find_landmarks = find_landmarks or _no_landmarks
        self._cache = Cache[Trajectory](CACHE_BYTES)
        self._embeddings = Embeddings()
        self._memory = MemoryChoice(memory)
        if self._memory.is_open:
            with explained_lack():
                backbone.footprint()
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
    def vae(self) -> str | None:
        """The name of the VAE that the model was loaded with in place of its own."""
        return self._vae

    @property
    def loras(self) -> tuple[str, ...]:
        """The LoRA files that the model was loaded with, in order."""
        return self._loras

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
            self._embeddings.clear()

    def close(self) -> None:
        """Give up the model and all inversions, once the edit that is running has ended.

        Every later edit raises ModelUnavailable. Closing twice does nothing more.
        """
        with self._lock:
            self._model = None
            self._find_landmarks = _no_landmarks
            self._make_room()

    def edit(self, task: Task, preset: str | Preset = "diffeditor", seed: int = 0) -> Result:
        """Run an edit to its end; see `stream` for arguments and errors."""
        result = None
        for step in self.stream(task, preset, seed):
            result = step.result
        assert result is not None
        return result

    def stream(
        self,
        task: Task,
        preset: str | Preset = "diffeditor",
        seed: int = 0,
        *,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Generator[Step, None, None]:
        """Run an edit step by step; closing the generator stops it and frees the device.

        Args:
            task: Move, Drag, Face, Paste or Appearance.
            preset: a name of PRESETS or a Preset.
            seed: of the stochastic part; the same seed on the same device gives the same picture.
            stopped: asked before every call of the UNet, for who wants to stop it within a step.

        Raises:
            InvalidEdit: the task, preset or seed cannot be run as given.
            Cancelled: `stopped` said so.
            OutOfMemory: the device has no room for the working size.
        """
        seed = checked_seed(seed)
        clock = Clock()
        with explained_lack():
            job = Job.prepared(task, find_preset(preset), self._backbone, self._find_landmarks)
        with self._lock:
            plan, notes = self._plan_for(job), ()
            attempt = partial(self._run, job=job, seed=seed, clock=clock, stopped=stopped)
            while True:
                try:
                    yield from attempt(plan=plan, notes=notes).steps()
                    return
                except Exception as error:
                    if not is_out_of_memory(error):
                        raise
                self._make_room()  # only out here does no traceback hold tensors any more
                frugal = self._memory.step_down(plan)
                if notes and frugal == plan:  # even the last plan, with all the room there is
                    break
                plan, notes = frugal, (AGAIN,)
            with explained_lack():
                raise self._memory.no_room(self._backbone, job.work, job.grid)

    def _plan_for(self, job: Job) -> MemoryPlan:
        """The memory plan of a job; the longest unused inversions are forgotten for it."""
        backbone, held = self._backbone, self._cache.nbytes
        plan = self._memory.plan(backbone, job.work, held)
        own = self._cache.get(job.key(backbone.name, plan.bank_halved))
        spare = self._memory.spare(backbone, plan, job.work, held)
        self._cache.shrink(spare, keep=0 if own is None else 1)
        return plan

    def _run(self, **arguments: Any) -> Run:
        """A run with this editor's model and caches."""
        return Run(
            backbone=self._backbone,
            cache=self._cache,
            embeddings=self._embeddings,
            vae=self._vae,
            loras=self._loras,
            **arguments,
        )

    def _make_room(self) -> None:
        """Forget all that was kept, within the lock."""
        self._cache.clear()
        self._embeddings.clear()
        release()


def load_editor(
    model: str | os.PathLike[str] = "embedded",
    device: str = AUTO,
    dtype: str | torch.dtype | None = AUTO,
    *,
    memory: str = AUTO,
    compile: bool = False,
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
        dtype: of the UNet and the encoders: "auto" (the best one for the device), "float32",
            "bfloat16" or "float16".
        memory: how an edit uses the device's memory: "fast", "balanced", "low", or "auto", the
            first of them that fits.
        compile: compile the UNet's passes without a gradient, at the first call of each kind; not
            on a CPU.
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
        InvalidSetting: there is no such device, dtype, memory plan or LoRA file, or a CPU is to
            compile.
        OutOfMemory: the device has no room for the model.
    """
    where = find_device(device)
    if compile:
        check_compiles(where)
    precision = find_dtype(dtype, where)
    plans = allowed_plans(memory)
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
    backbone.plan = plans[0]  # where idle parts are to wait, they never come to the device
    with explained_lack():
        backbone.to(where, precision)
    if compile:
        backbone.compiled = CompiledUNet(backbone.unet)
    return Editor(
        backbone,
        _landmark_finder(source, landmarks),
        vae=None if vae is None else os.fspath(vae),
        loras=loras,
        memory=memory,
    )


def _found_vae(vae: Source, allow_pickle: bool) -> Path:
    return find(vae, "give a VAE's folder, file or hub id", allow_pickle=allow_pickle)


def _given_prompt(
    image_prompt: Source | None, image_encoder: Source | None, model: Path, allow_pickle: bool
) -> tuple[Path | None, Path | None]:
    if image_prompt is None:
        return None, None if image_encoder is None else Path(image_encoder).expanduser()
    found = find_image_prompt(image_prompt, image_encoder, model, allow_pickle=allow_pickle)
    return found.prompt, found.encoder


def _landmark_finder(model: Path, given: str | os.PathLike[str] | None) -> LandmarkFinder | None:
    file = model / LANDMARKS_FILE if given is None else Path(given).expanduser()
    if given is None and not file.is_file():
        return None
    from diffeditor.faces import load_landmark_finder

    return load_landmark_finder(file)


def _no_landmarks(_portrait: Image.Image) -> np.ndarray:
    raise NoFaceFound(
        "The model has no landmark finder: give source_landmarks and target_landmarks, or a finder."
    )
