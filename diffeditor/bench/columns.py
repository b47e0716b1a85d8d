"""Columns of the tables: presets of the method, and ways without it.

A column is named as it is asked for: a baseline ("ground-truth", "no-edit", "copy-paste"), a preset
("diffeditor"), or a preset with changes ("diffeditor:energy_scale=2:eta_in=0.3").
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b

from PIL import Image

from diffeditor.config import PRESETS, Preset, find_preset
from diffeditor.editor import Editor
from diffeditor.errors import InvalidSetting
from diffeditor.preview import preview
from diffeditor.recipe import changed_preset
from diffeditor.tasks import Task
from diffeditor.worlds import Case

TRUTH = "ground-truth"
BASELINES: dict[str, Callable[[Case], Image.Image]] = {
    TRUTH: lambda case: Image.fromarray(case.truth),
    "no-edit": lambda case: case.task.source,
    "copy-paste": lambda case: preview(case.task),
}
"""Columns that need no model."""
NOT_MEASURED = ("release", "turbo")
"""Presets of no column unless asked for: for parity, and for weights that few models have."""
DEFAULT_COLUMNS = (TRUTH, "no-edit", "copy-paste", *(n for n in PRESETS if n not in NOT_MEASURED))
QUICK_COLUMNS = (TRUTH, "no-edit", "copy-paste", "diffeditor", "dragondiffusion")


@dataclass(frozen=True, kw_only=True)
class Made:
    """A column's result for a case, what it cost, and latents put through the UNet.

    feather: pixels round the edit's region over which the result fades into the source.
    """

    picture: Image.Image
    seconds: float
    unet_samples: int
    feather: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Column:
    """One way of making results. preset: None for a baseline."""

    name: str
    preset: Preset | None

    def make(self, case: Case, editor: Callable[[], Editor], *, anew: bool = True) -> Made:
        """The result for a case; the editor is asked for only by presets.

        anew: forget the editor's inversions first, so that the edit pays for its own.
        """
        if self.preset is None:
            began = time.perf_counter()
            picture = BASELINES[self.name](case)
            return Made(picture=picture, seconds=time.perf_counter() - began, unet_samples=0)
        if anew:
            editor().clear_cache()
        result = editor().edit(case.task, self.preset, seed=case.seed)
        return Made(
            picture=result.image,
            seconds=result.metadata["seconds"]["total"],
            unet_samples=sum(result.metadata["unet_samples"].values()),
            feather=result.metadata["feather"],
        )

    def key(self, task: type[Task], model: dict[str, float]) -> str:
        """A folder's name for results of a task: the column's, and a digest of its settings.

        model: the strengths that the model has for the task.
        """
        if self.preset is None:
            return self.name
        settings = (
            replace(self.preset, description=""),
            self.preset.strengths(task.strengths, model),
        )
        digest = blake2b(repr(settings).encode(), digest_size=4).hexdigest()
        return f"{self.name.partition(':')[0]}-{digest}"


def column(name: str) -> Column:
    """The column of this name.

    Raises:
        InvalidSetting: it names no baseline, preset or field of a preset.
    """
    if name in BASELINES:
        return Column(name=name, preset=None)
    base, *changes = name.split(":")
    if base not in PRESETS:
        known = ", ".join([*BASELINES, *PRESETS])
        raise InvalidSetting(f"There is no column {base!r}; choose from {known}.")
    values = dict(_change(text) for text in changes)
    return Column(name=name, preset=changed_preset(find_preset(base), values))


def _change(text: str) -> tuple[str, object]:
    field, equals, value = text.partition("=")
    if not equals:
        raise InvalidSetting(f"A column changes a preset by FIELD=VALUE, not {text!r}.")
    try:
        return field, json.loads(value)
    except ValueError:
        return field, value
