"""Presets: every constant of a run that is not a task's own, with its source.

[P] DiffEditor, arXiv 2402.02583; [D] DragonDiffusion, arXiv 2307.02421; [R] behaviour of the
published release at its 50 steps, here as fractions of the run; [ours] our decision.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from fractions import Fraction
from math import isfinite
from pathlib import PurePath
from typing import Any, Literal

from diffeditor.errors import InvalidSetting
from diffeditor.schedule import MAX_STEPS, MIN_STEPS


@dataclass(frozen=True, kw_only=True)
class StepWindow:
    """The steps i of N with start <= i/N < stop (or strictly / up to and including), every k-th.

    start, stop are fractions of the run in [0, 1], so that a window means the same for any N.
    """

    start: float = 0.0
    stop: float = 1.0
    after_start: bool = False  # True leaves out i/N == start
    through_stop: bool = False  # True takes in i/N == stop
    every: int = 1  # only steps whose index i is a multiple of this

    def __post_init__(self) -> None:
        if not (0 <= self.start <= 1 and 0 <= self.stop <= 1) or self.every < 1:
            raise InvalidSetting("A step window needs fractions from 0 to 1 and every >= 1.")

    def __contains__(self, step: tuple[int, int]) -> bool:
        i, total = step
        at = Fraction(i, total)
        start, stop = (Fraction(x).limit_denominator(10_000) for x in (self.start, self.stop))
        begun = at > start if self.after_start else at >= start
        going = at <= stop if self.through_stop else at < stop
        return begun and going and i % self.every == 0


@dataclass(frozen=True, kw_only=True)
class Strengths:
    """The numbers that belong to a task and a model together (a row of the release's table).

    guidance_scale: of classifier-free guidance. energy_scale: E / 1000, weight of the editing
    gradient. eta_in, eta_out: stochastic strength inside and outside the SDE region.
    image_prompt_scale: gamma of the decoupled attention. w_*: weights of the energy's terms.
    sketch_until: share of the steps that are left out, the edit beginning with its preview under
    the noise of the step that is left [ours]; 0 runs them all.
    gradient_limit: the most that the editing gradient may be in a cell of the latents, as the root
    mean square over channels, in which the noise has 1 [ours]; 0 sets no limit.
    guide_until: share of the steps at which the guidance ends, where the preset has the default's
    windows [R 0.6; ours: a model's own].
    """

    guidance_scale: float
    energy_scale: float
    eta_in: float
    image_prompt_scale: float
    w_edit: float
    w_content: float = 0.0
    w_contrast: float = 0.0
    w_inpaint: float = 0.0
    eta_out: float = 0.0
    sketch_until: float = 0.0
    gradient_limit: float = 0.0
    guide_until: float = 0.6

    def updated(self, values: Mapping[str, float | None]) -> "Strengths":
        """These strengths with every value that is given and not None."""
        return replace(self, **{k: v for k, v in values.items() if v is not None})


STRENGTHS = tuple(f.name for f in fields(Strengths))

MIN_RESOLUTION, MAX_RESOLUTION = 64, 4096
"""Pixels."""

NOWHERE = StepWindow(stop=0.0)
GUIDE = (StepWindow(stop=0.2), StepWindow(start=0.2, stop=0.6, every=2))
"""Every step, then every second one [R]."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One way of running the method. Frozen; `dataclasses.replace` makes variants.

    The optional strengths at the end override those of the task and the model; None keeps them.
    """

    description: str
    steps: int = field(default=50, metadata={"range": (MIN_STEPS, MAX_STEPS)})  # [P]
    # side of the square the working area is close to; None: native
    resolution: int | None = field(
        default=None,
        metadata={"range": (MIN_RESOLUTION, MAX_RESOLUTION), "unit": " pixels"},
    )
    crop: Literal["auto", "none"] = "auto"  # [ours] edit a part of a large picture from near
    detail: bool = True  # [ours] add the source's fine detail to what is carried over as it is
    guide: tuple[StepWindow, ...] = GUIDE
    regional_guidance: bool = True  # [P eq. 8] gradients split by region
    whole_cells: bool = False  # [R] True: places are rounded to cells; False keeps the fraction
    hold_outside: bool = True  # [ours] latents beyond the region follow the inversion; [R] False
    clear_vacated: bool = True  # [ours] a moved object's old place starts anew; [R] False
    # [ours] held on noised latents of its surroundings in the first of these steps
    fill_until: float = field(default=0.4, metadata={"range": (0.0, 1.0)})
    face_everywhere: bool = False  # [R] True: a face's gradient also acts far from the face
    sde: StepWindow = StepWindow(start=0.2, stop=0.4, after_start=True)  # [R] steps 11..19
    travel: StepWindow = StepWindow(start=0.4, stop=0.6, after_start=True, every=2)  # [R] 22..28
    travel_rounds: int = field(default=3, metadata={"range": (1, 20)})  # [P] U
    travel_by: Literal["inversion", "noise"] = "inversion"  # [P] accurate; noise for the ablation
    image_prompt: StepWindow = StepWindow(start=0.2, stop=0.4)  # [R] steps 10..19 of sampling
    image_prompt_inversion: bool = True  # [P fig. 10]; [R] leaves it off
    # [R] move, drag, face: steps 5..49 read the bank; paste, appearance: steps 0..35 read it
    bank_from: float = field(default=0.1, metadata={"range": (0.0, 1.0)})
    bank_until: float = field(default=0.7, metadata={"range": (0.0, 1.0)})

    guidance_scale: float | None = field(default=None, metadata={"range": (1.0, 20.0)})
    energy_scale: float | None = field(default=None, metadata={"range": (0.0, 100.0)})
    eta_in: float | None = field(default=None, metadata={"range": (0.0, 1.0)})
    eta_out: float | None = field(default=None, metadata={"range": (0.0, 1.0)})
    image_prompt_scale: float | None = field(default=None, metadata={"range": (0.0, 1.0)})
    w_edit: float | None = field(default=None, metadata={"range": (0.0, 100.0)})
    w_content: float | None = field(default=None, metadata={"range": (0.0, 100.0)})
    w_contrast: float | None = field(default=None, metadata={"range": (0.0, 100.0)})
    w_inpaint: float | None = field(default=None, metadata={"range": (0.0, 100.0)})
    sketch_until: float | None = field(default=None, metadata={"range": (0.0, 1.0)})
    gradient_limit: float | None = field(default=None, metadata={"range": (0.0, 100.0)})
    guide_until: float | None = field(default=None, metadata={"range": (0.0, 1.0)})

    def __post_init__(self) -> None:
        _check_choice("travel_by", self.travel_by, ("inversion", "noise"))
        _check_choice("crop", self.crop, ("auto", "none"))
        _check_choice("whole_cells", self.whole_cells, (True, False))
        _check_choice("hold_outside", self.hold_outside, (True, False))
        _check_choice("clear_vacated", self.clear_vacated, (True, False))
        _check_choice("face_everywhere", self.face_everywhere, (True, False))
        _check_choice("detail", self.detail, (True, False))
        for item in fields(self):
            value = getattr(self, item.name)
            if "range" in item.metadata and (value is not None or item.default is not None):
                _check_number(item, value)

    def strengths(self, task: Strengths, model: Mapping[str, float]) -> Strengths:
        """The strengths in force: the task's own, then the model's, then this preset's."""
        return task.updated(model).updated({name: getattr(self, name) for name in STRENGTHS})

    def guides(self, i: int, until: float = Strengths.guide_until) -> bool:
        """Whether step i has an editing gradient. until: the `guide_until` of the strengths."""
        windows = self.guide
        if windows == GUIDE:
            windows = (GUIDE[0], replace(GUIDE[1], stop=until))
        return any((i, self.steps) in window for window in windows)

    def rounds(self, i: int) -> int:
        return self.travel_rounds if (i, self.steps) in self.travel else 1


def _check_number(item: Field[Any], value: Any) -> None:
    low, high = item.metadata["range"]
    if isinstance(low, int):
        _check_count(item.name, value, low, high, item.metadata.get("unit", ""))
    else:
        _check_range(item.name, value, low, high)


def _check_count(name: str, value: Any, low: int, high: int, unit: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidSetting(f"{name} must be a whole number, not {value!r}.")
    if not low <= value <= high:
        raise InvalidSetting(f"{name} must be from {low} to {high}{unit}, not {value}.")


def _check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    if type(value) is not type(choices[0]) or value not in choices:
        raise InvalidSetting(f"{name} must be {' or '.join(map(repr, choices))}, not {value!r}.")


def _check_range(name: str, value: Any, low: float, high: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    if not number or not low <= value <= high:
        raise InvalidSetting(f"{name} must be a number from {low:g} to {high:g}, not {value!r}.")


DIFFEDITOR = Preset(
    description="The default: the paper's method, from a sketch where the model asks for one [P]"
)

NO_SKETCH = replace(
    DIFFEDITOR,
    description="The whole edit from the inversion, none of it from the preview",
    sketch_until=0.0,
)

PRESETS: dict[str, Preset] = {
    "diffeditor": DIFFEDITOR,
    "dragondiffusion": replace(
        DIFFEDITOR,
        description="The baseline: no image prompt, regional SDE, time travel, split [D]",
        guide=(StepWindow(stop=0.6),),
        regional_guidance=False,
        sde=NOWHERE,
        travel=NOWHERE,
        image_prompt=NOWHERE,
        image_prompt_inversion=False,
        hold_outside=False,
        clear_vacated=False,
        detail=False,
        sketch_until=0.0,
    ),
    "release": replace(
        DIFFEDITOR,
        description="The published code's constants: no image prompt in the inversion [R]",
        whole_cells=True,
        hold_outside=False,
        clear_vacated=False,
        face_everywhere=True,
        detail=False,
        image_prompt_inversion=False,
        sketch_until=0.0,
    ),
    "no-sketch": NO_SKETCH,
    "no-image-prompt": replace(
        NO_SKETCH,
        description="Ablation: text only",
        image_prompt=NOWHERE,
        image_prompt_inversion=False,
    ),
    "no-regional-sde": replace(
        NO_SKETCH, description="Ablation: deterministic sampling", sde=NOWHERE
    ),
    "no-regional-guidance": replace(
        NO_SKETCH,
        description="Ablation: one gradient for both energies, everywhere",
        regional_guidance=False,
    ),
    "no-time-travel": replace(NO_SKETCH, description="Ablation: one round a step", travel=NOWHERE),
    "random-time-travel": replace(
        NO_SKETCH,
        description="Ablation: time travel by fresh noise instead of inversion",
        travel_by="noise",
    ),
    "fast": replace(
        DIFFEDITOR,
        description="The same in 20 steps: two fifths of the network's passes [ours]",
        steps=20,
    ),
    "turbo": replace(
        DIFFEDITOR,
        description="In 8 steps, for weights distilled to few steps, such as an LCM LoRA [ours]",
        steps=8,
        guidance_scale=1.0,
    ),
}
"""By name. Ablations leave out the sketch too: each part of the method acts in all its steps there.

Of fewer steps, only some keep every window: at 5, 6 and 10 time travel falls on none.

`fast`: 20 divides the 1000 timesteps, so that they stay evenly spaced, and leaves 8 guided steps, 3
stochastic ones and one that travels.
`turbo`: 8 divides them too and leaves 4, 2 and 1; at 4 steps every window but the gradient's is one
step long. The weights are those of a latent consistency model [LCM, arXiv 2310.04378; as a LoRA,
2311.05556], which predicts from every level where the deterministic trajectory ends. Guidance was
distilled into them: their authors ask for a guidance_scale of 1 to 2, and 1 needs half the passes.
The step stays DDIM's. LCM's own sampler puts fresh noise on the predicted picture in every step, so
that nothing of an inversion would be left in the latents; DDIM's keeps the noise that the inversion
found, which is what an edit is made of. Both give the same noise levels. LCM's blend of input and
prediction is left out: it changes a prediction by at most 0.3 %, at t = 1.
"""

FEW_STEPS = 12
"""In fewer steps and without guidance, only distilled weights give sharp pictures [ours]."""

DISTILLED = ("lcm", "lightning", "turbo", "hyper-sd", "hypersd", "tcd")
"""Words in the file names of weights that were distilled to few steps; nothing else tells them."""

DISTILLED_GUIDANCE = 2.0
"""The guidance_scale up to which distilled weights were meant to be used [LCM-LoRA's authors]."""


def misfits(preset: Preset, strengths: Strengths, files: Sequence[str]) -> Iterator[str]:
    """Sentences about a preset that does not fit its weights, named by model and LoRA files."""
    names = [PurePath(file).name.lower() for file in files]
    distilled = any(word in name for name in names for word in DISTILLED)
    unguided = preset.guidance_scale == 1 and preset.steps < FEW_STEPS
    if unguided and not distilled:
        yield (
            f"{preset.steps} steps without guidance are for weights distilled to few steps; add an "
            "LCM LoRA, or take the preset fast."
        )
    if distilled and strengths.guidance_scale > DISTILLED_GUIDANCE:
        yield (
            "Weights distilled to few steps bring their guidance with them; take the preset turbo, "
            f"or a guidance_scale of 1 to {DISTILLED_GUIDANCE:g}."
        )


def find_preset(preset: str | Preset) -> Preset:
    """The preset of this name, or the preset itself.

    Raises:
        InvalidSetting: no preset has this name.
    """
    if isinstance(preset, Preset):
        return preset
    if not isinstance(preset, str) or preset not in PRESETS:
        raise InvalidSetting(f"There is no preset {preset!r}; choose one of {', '.join(PRESETS)}.")
    return PRESETS[preset]
