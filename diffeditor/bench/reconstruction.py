"""`diffeditor bench reconstruction`: what the autoencoder, and inversion and back, keep.

Pictures of unseen worlds are encoded and decoded; then inverted in N steps and sampled back in as
many, without any edit: no energy, no memory bank, no noise, and no classifier-free guidance unless
asked for, which the sampling alone has then, as in an edit. A way says which conditions both
directions have.
"""

import argparse
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from diffeditor.attention import AttentionPass
from diffeditor.backbones import StableDiffusion
from diffeditor.backbones.quiet import quiet_libraries
from diffeditor.bench.drawing import sheet
from diffeditor.bench.judges import Judges
from diffeditor.bench.metrics import psnr
from diffeditor.bench.model import KINDS, as_batch, as_pictures, bare_model, world
from diffeditor.bench.options import add_common_arguments, check_from_one, write_json
from diffeditor.bench.pool import run_jobs, told
from diffeditor.bench.statistics import Estimate, bootstrap, median
from diffeditor.config import DIFFEDITOR
from diffeditor.inversion import ImageCondition, Trajectory, invert
from diffeditor.schedule import regional_ddim_step
from diffeditor.tasks import TASKS
from diffeditor.worlds import render

FIRST_SEED = 3_000_000_000
"""Of the worlds; training keeps below 2^31."""
COUNT = 64
QUICK_COUNT = 8
STEPS = 50
BATCH = 8
SHOWN = 8
"""Pictures on the sheet."""
TASK_OF = {"scene": "move", "face": "face"}
"""Tasks whose scale of the image prompt is taken."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """What both directions are conditioned on.

    windowed: the image prompt is shown to the sampling only in the steps of the default preset,
    as in an edit.
    full: the image prompt has the scale 1, with which its encoder was trained.
    """

    caption: bool
    image: bool
    windowed: bool = False
    full: bool = False


WAYS: dict[str, Way] = {
    "caption, image prompt": Way(caption=True, image=True),
    "caption": Way(caption=True, image=False),
    "image prompt": Way(caption=False, image=True),
    "nothing": Way(caption=False, image=False),
    "as in an edit": Way(caption=True, image=True, windowed=True),
    "caption, image prompt 1": Way(caption=True, image=True, full=True),
}

WITHOUT = {
    "caption, image prompt": "caption",
    "image prompt": "nothing",
    "as in an edit": "caption",
    "caption, image prompt 1": "caption",
}
"""Way with an image prompt -> the same without, to which it is compared picture by picture."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A picture and what became of it. psnr: dB to the source, and to the decoded latents."""

    kind: str
    way: str
    psnr: float
    psnr_decoded: float
    picture: np.ndarray


class Reconstructor:
    """Reconstructs batches of worlds of one kind, given by their seeds."""

    def __init__(
        self,
        model: str,
        device: str,
        steps: int,
        scale: float | None = None,
        guidance_scale: float = 1.0,
    ) -> None:
        quiet_libraries()
        self.model: StableDiffusion = bare_model(model, device)
        self.levels = self.model.schedule.levels(steps)
        self.scale, self.guidance_scale = scale, guidance_scale

    def __call__(self, seeds: Sequence[int]) -> list[Shown]:
        """Everything about one batch."""
        specs = [world(seed) for seed in seeds]
        renders = [render(spec, self.model.native_size) for spec in specs]
        sources = [one.image for one in renders]
        pictures = [Image.fromarray(source) for source in sources]
        z_0 = self.model.encode(as_batch(pictures))
        decoded = as_pictures(self.model.decode(z_0))
        kind = specs[0].kind
        shown = [_shown(kind, "source", sources, sources, decoded)]
        shown += [_shown(kind, "autoencoder", decoded, sources, decoded)]
        captions = [one.caption for one in renders]
        for name, way in WAYS.items():
            scale = 1.0 if way.full else self.prompt_scale(kind)
            z = self.back_and_forth(z_0, way, captions, pictures, scale)
            shown += [_shown(kind, name, as_pictures(self.model.decode(z)), sources, decoded)]
        return [one for group in shown for one in group]

    def prompt_scale(self, kind: str) -> float:
        """gamma for a kind of picture."""
        if self.scale is not None:
            return self.scale
        task = TASK_OF[kind]
        rows = self.model.strengths.get(task, {})
        return DIFFEDITOR.strengths(TASKS[task].strengths, rows).image_prompt_scale

    @torch.no_grad()
    def back_and_forth(
        self,
        z_0: Tensor,
        way: Way,
        captions: Sequence[str],
        pictures: Sequence[Image.Image],
        scale: float,
    ) -> Tensor:
        """Latents z_0 (B, C, h, w) inverted and sampled back."""
        empty = self.model.embed_text([""] * len(captions))
        text = self.model.embed_text(captions) if way.caption else empty
        tokens = self.model.embed_images(pictures) if way.image else None
        image = None if tokens is None else ImageCondition(tokens=tokens[0], scale=scale)
        with self.model.denoiser() as denoiser:
            run = invert(denoiser, z_0, self.levels, text, bank_steps=(), image=image)
            z = _returned(run).z_T
            nothing = None if tokens is None else ImageCondition(tokens=tokens[1], scale=scale)
            for i, level in enumerate(self.levels):
                eps = denoiser.eps(z, level.t, text, self._pass(i, way, image))
                if self.guidance_scale != 1:
                    without = denoiser.eps(z, level.t, empty, self._pass(i, way, nothing))
                    eps = without + self.guidance_scale * (eps - without)
                z = regional_ddim_step(z, eps, level)
        return z

    def _pass(self, i: int, way: Way, image: ImageCondition | None) -> AttentionPass:
        preset = replace(DIFFEDITOR, steps=len(self.levels))
        hidden = way.windowed and (i, preset.steps) not in preset.image_prompt
        if image is None or hidden:
            return AttentionPass()
        return AttentionPass(image_tokens=image.tokens, image_scale=image.scale)


def _returned(run: Generator[int, None, Trajectory]) -> Trajectory:
    """What a generator returns when it is run to its end."""
    while True:
        try:
            next(run)
        except StopIteration as end:
            return end.value


def _shown(
    kind: str,
    way: str,
    pictures: Sequence[np.ndarray],
    sources: Sequence[np.ndarray],
    decoded: Sequence[np.ndarray],
) -> list[Shown]:
    return [
        Shown(
            kind=kind,
            way=way,
            psnr=psnr(picture, source),
            psnr_decoded=psnr(picture, near),
            picture=picture,
        )
        for picture, source, near in zip(pictures, sources, decoded, strict=True)
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bench reconstruction`."""
    add_common_arguments(parser)
    parser.add_argument("--count", type=int, help=f"scenes, and faces (default: {COUNT})")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--steps", type=int, default=STEPS, help=f"default: {STEPS}")
    parser.add_argument(
        "--image-prompt-scale", type=float, help="default: that of the tasks move and face"
    )
    parser.add_argument(
        "--guidance-scale", type=float, default=1.0, help="of the sampling (default: 1, none)"
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_COUNT} of each kind")


def run(options: argparse.Namespace) -> None:
    """Reconstruct, then print and write the table and a sheet of pictures."""
    check_from_one(options, "count", "processes")
    count = options.count or (QUICK_COUNT if options.quick else COUNT)
    make = partial(
        Reconstructor,
        options.model,
        options.device,
        options.steps,
        options.image_prompt_scale,
        options.guidance_scale,
    )
    jobs = list(batches(options.first_seed, count))
    done = told(run_jobs(make, jobs, options.processes), len(jobs), "batch")
    shown = [one for batch in done for one in batch]
    rows = summary(shown)
    for row in rows:
        print("{kind:6} {way:24} {measure:24} {text}".format(**row))
    head = {
        "fingerprint": Judges(options.model).fingerprint,
        "first_seed": options.first_seed,
        "count": count,
        "steps": options.steps,
        "image_prompt_scale": options.image_prompt_scale,
        "guidance_scale": options.guidance_scale,
    }
    write_json(options.output / "reconstruction.json", {**head, "rows": rows})
    _sheet(shown).save(options.output / "reconstruction.png")


def batches(first: int, count: int) -> Iterator[tuple[int, ...]]:
    """Seeds of `count` scenes and `count` faces, kinds in turn, in batches of one kind."""
    for start in range(0, count, BATCH):
        for kind in range(len(KINDS)):
            places = range(start, min(count, start + BATCH))
            yield tuple(first + len(KINDS) * place + kind for place in places)


def summary(shown: Sequence[Shown]) -> list[dict[str, object]]:
    """Medians, and their intervals, of every way and kind of picture.

    The last measure is of the differences, picture by picture, to the way without image prompt.
    """
    rows: list[dict[str, object]] = []
    for kind in KINDS:
        made = {
            way: [one for one in shown if (one.kind, one.way) == (kind, way)]
            for way in ("autoencoder", *WAYS)
        }
        for way, chosen in made.items():
            values = {"dB to the source": [one.psnr for one in chosen]}
            if way != "autoencoder":
                values["dB to the autoencoder's"] = [one.psnr_decoded for one in chosen]
            if way in WITHOUT:
                pairs = zip(chosen, made[WITHOUT[way]], strict=True)
                values["dB by the image prompt"] = [a.psnr - b.psnr for a, b in pairs]
            for measure, numbers in values.items():
                estimate = bootstrap(np.array(numbers), median)
                row = {"kind": kind, "way": way, "measure": measure, **asdict(estimate)}
                rows.append({**row, "text": _text(estimate)})
    return rows


def _text(estimate: Estimate) -> str:
    return (
        f"median {estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}] of {estimate.count}"
    )


def _sheet(shown: Sequence[Shown]) -> Image.Image:
    """The first pictures of each kind in a row for each way, sources above."""
    cells = [
        one.picture
        for kind in KINDS
        for way in ("source", "autoencoder", *WAYS)
        for one in [x for x in shown if (x.kind, x.way) == (kind, way)][:SHOWN]
    ]
    columns = min(SHOWN, sum(one.kind == KINDS[0] and one.way == "source" for one in shown))
    return sheet(cells, columns)
