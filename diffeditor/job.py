"""One edit, prepared: everything that does not need the networks' output."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from diffeditor.backbones import Backbone
from diffeditor.cache import digest
from diffeditor.config import Preset, StepWindow, Strengths
from diffeditor.errors import InvalidEdit, InvalidSetting
from diffeditor.geometry import Box, working_size
from diffeditor.memory_plan import Work
from diffeditor.plan import EditPlan, Grid
from diffeditor.schedule import Level
from diffeditor.tasks import Task
from diffeditor.tasks.base import LandmarkFinder

FEATHER_CELLS = 1.5
"""Width of the feathered band round an edit, in latent cells."""


def checked_seed(seed: object) -> int:
    """The seed as an int.

    Raises:
        InvalidSetting: it is no whole number from 0 to 2^63 - 1.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise InvalidSetting(f"The seed must be a whole number from 0 to 2^63 - 1, not {seed!r}.")
    return int(seed)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One edit on the grids of its working picture.

    given: the task as it was asked for
    task: as it is run, with its landmarks found, on the part of the source in `box`
    region: bool (H, W) of all the source's pixels that may change, but for the feather
    """

    given: Task
    task: Task
    box: Box
    region: np.ndarray
    grid: Grid
    preset: Preset
    strengths: Strengths
    plan: EditPlan
    levels: tuple[Level, ...]

    @classmethod
    def prepared(
        cls, task: Task, preset: Preset, backbone: Backbone, find_landmarks: LandmarkFinder
    ) -> "Job":
        """The job of a task.

        Raises:
            InvalidEdit: the task cannot be run as given.
        """
        if not isinstance(task, Task):
            raise InvalidEdit(f"A task is needed, such as Move or Drag, not {type(task).__name__}.")
        whole = task.prepared(find_landmarks)
        side = preset.resolution or backbone.native_size
        near, box = whole.focused(side) if preset.crop == "auto" else (whole, None)
        grid = Grid(
            source=near.size,
            working=working_size(near.size, side, backbone.multiple),
            latent_factor=backbone.latent_factor,
            device=backbone.device,
        )
        strengths = preset.strengths(near.strengths, backbone.strengths.get(near.name, {}))
        return cls(
            given=task,
            task=near,
            box=box or Box(0, 0, whole.size.width, whole.size.height),
            region=whole.region(),
            grid=grid,
            preset=preset,
            strengths=strengths,
            plan=near.plan(grid, strengths, preset),
            levels=backbone.schedule.levels(preset.steps),
        )

    @property
    def feather(self) -> float:
        """Width of the feathered band round the region, in the source's pixels."""
        grid = self.grid
        return FEATHER_CELLS * grid.latent_factor * grid.source.width / grid.working.width

    @property
    def free(self) -> Tensor | None:
        """(1, 1, h, w) latent cells that may change, a cell round the region's; None for all."""
        if not self.preset.hold_outside:
            return None
        region = torch.from_numpy(self.region[self.box.slices]).float()[None, None]
        latent = self.grid.latent
        touched = F.adaptive_max_pool2d(region, (latent.height, latent.width))
        return F.max_pool2d(touched, 3, stride=1, padding=1).to(self.grid.device)

    @cached_property
    def first(self) -> int:
        """The step that the edit begins with: the first one beyond `sketch_until`, or the last."""
        sketched, total = StepWindow(stop=self.strengths.sketch_until), self.preset.steps
        return sum((i, total) in sketched for i in range(total - 1))

    @property
    def bank_steps(self) -> list[int]:
        """The steps whose keys and values the edit reads."""
        total = self.preset.steps
        return [i for i in range(self.first, total) if (i, total) in self.plan.kv.window]

    @property
    def wants_image_prompt(self) -> bool:
        """Whether any step of the sampling is to see the image prompt."""
        total = self.preset.steps
        shown = any((i, total) in self.preset.image_prompt for i in range(self.first, total))
        return shown and self.strengths.image_prompt_scale > 0

    @property
    def work(self) -> Work:
        """What of it takes memory."""
        until, steps = self.strengths.guide_until, range(self.first, self.preset.steps)
        return Work(
            cells=self.grid.latent.area,
            pictures=len(self.task.pictures),
            bank_steps=len(self.bank_steps),
            guided_steps=sum(self.preset.guides(i, until) for i in steps),
        )

    def key(self, model: str, bank_halved: bool) -> bytes:
        """What the inversion depends on, as a digest."""
        scale = self.strengths.image_prompt_scale if self.preset.image_prompt_inversion else None
        steps = (self.preset.steps, self.first, self.bank_steps)
        job = (self.task.prompts, self.grid.working, scale, *steps)
        return digest(self.task.pictures, model, bank_halved, *job)
