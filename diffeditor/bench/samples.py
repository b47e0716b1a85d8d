"""`diffeditor bench samples`: pictures from text against renders.

Captions of unseen worlds are sampled by DDIM with classifier-free guidance. Their Frechet distance
to renders of other unseen worlds is stated beside that between two sets of renders, of as many
pictures each.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from diffeditor.backbones import Denoiser, StableDiffusion
from diffeditor.backbones.quiet import quiet_libraries
from diffeditor.bench.drawing import sheet
from diffeditor.bench.judges import Judges
from diffeditor.bench.model import KINDS, as_pictures, bare_model, world
from diffeditor.bench.options import add_common_arguments, check_from_one, write_json
from diffeditor.bench.pool import run_jobs, told
from diffeditor.bench.statistics import frechet_distance
from diffeditor.schedule import regional_ddim_step
from diffeditor.worlds import render

SAMPLES, RENDERS, OTHERS = 3_200_000_000, 3_400_000_000, 3_600_000_000
"""First seeds of the worlds of each set; training keeps below 2^31."""
COUNT = 2000
QUICK_COUNT = 64
STEPS = 25
GUIDANCE = 3.0
BATCH = 16
GRID = 64
"""Pictures on the sheet."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How samples are made, and where they go."""

    output: Path
    model: str
    device: str
    steps: int
    guidance: float
    bf16: bool

    def folder(self, fingerprint: str) -> Path:
        """Where the samples of a model are."""
        precision = "bf16" if self.bf16 else "fp32"
        name = f"{fingerprint}-{self.steps}-{self.guidance:g}-{precision}"
        return self.output / "samples" / name


class Painter:
    """Makes batches of a set of pictures and keeps each as a PNG; call it with seeds."""

    def __init__(self, recipe: Recipe) -> None:
        quiet_libraries()
        self.recipe = recipe
        self.folder = recipe.folder(Judges(recipe.model).fingerprint)
        self.folder.mkdir(parents=True, exist_ok=True)

    @cached_property
    def model(self) -> StableDiffusion:
        return bare_model(self.recipe.model, self.recipe.device)

    def __call__(self, seeds: Sequence[int]) -> None:
        pictures = self.sample(seeds)
        for seed, picture in zip(seeds, pictures, strict=True):
            part = self.file(seed).with_suffix(".part")
            Image.fromarray(picture).save(part, "PNG")
            part.replace(self.file(seed))

    def file(self, seed: int) -> Path:
        return self.folder / f"{seed}.png"

    @torch.no_grad()
    def sample(self, seeds: Sequence[int]) -> list[np.ndarray]:
        """Pictures of the captions of worlds; a picture depends on its own seed alone."""
        model, recipe = self.model, self.recipe
        captions = [render(world(seed), 16).caption for seed in seeds]
        text = model.embed_text(["" for _ in captions] + captions)
        side = model.native_size // model.latent_factor
        channels = model.unet.config["in_channels"]
        noise = [_noise(seed, channels, side) for seed in seeds]
        z = torch.stack(noise).to(model.device)
        with model.denoiser() as denoiser:
            for level in model.schedule.levels(recipe.steps):
                eps = self._eps(denoiser, z, level.t, text)
                z = regional_ddim_step(z, eps, level)
        return as_pictures(model.decode(z))

    def _eps(self, denoiser: Denoiser, z: Tensor, t: int, text: Tensor) -> Tensor:
        device = self.model.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.recipe.bf16):
            without, prompted = denoiser.eps(torch.cat([z, z]), t, text).chunk(2)
        return without + self.recipe.guidance * (prompted - without)


def _noise(seed: int, channels: int, side: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((channels, side, side), generator=generator)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bench samples`."""
    add_common_arguments(parser)
    parser.add_argument("--count", type=int, help=f"of samples (default: {COUNT})")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"default: {STEPS}")
    parser.add_argument("--guidance", type=float, default=GUIDANCE, help=f"default: {GUIDANCE:g}")
    parser.add_argument("--bf16", action="store_true", help="run the UNet in bfloat16")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_COUNT} samples")


def run(options: argparse.Namespace) -> None:
    """Sample what is missing, then print and write the distances and a sheet."""
    check_from_one(options, "count", "processes")
    count = options.count or (QUICK_COUNT if options.quick else COUNT)
    recipe = Recipe(
        output=options.output,
        model=options.model,
        device=options.device,
        steps=options.steps,
        guidance=options.guidance,
        bf16=options.bf16,
    )
    painter = Painter(recipe)
    seeds = range(SAMPLES, SAMPLES + count)
    jobs = list(batches([seed for seed in seeds if not painter.file(seed).is_file()]))
    for _ in told(run_jobs(partial(Painter, recipe), jobs, options.processes), len(jobs), "batch"):
        pass
    files = [painter.file(seed) for seed in seeds]
    found = distances(files, Judges(options.model), painter.model.native_size)
    for name, value in found.items():
        print(f"{name:32} {value:.4f}")
    head = {
        "fingerprint": Judges(options.model).fingerprint,
        "steps": options.steps,
        "guidance": options.guidance,
        "bf16": options.bf16,
        "count": count,
    }
    table, grid = (painter.folder.with_name(painter.folder.name + end) for end in (".json", ".png"))
    write_json(table, {**head, "distances": found})
    sheet([_read(file) for file in files[:GRID]], 8).save(grid)


def batches(seeds: Sequence[int]) -> Iterator[Sequence[int]]:
    """The seeds in batches."""
    yield from (seeds[first : first + BATCH] for first in range(0, len(seeds), BATCH))


def distances(files: Sequence[Path], judges: Judges, size: int) -> dict[str, float]:
    """Frechet distances of samples and of renders to other renders: of all, and by kind."""
    count = len(files)
    sets = {
        "samples": judges.features([Image.open(file).convert("RGB") for file in files]),
        "renders": _render_features(OTHERS, count, judges, size),
    }
    reference = _render_features(RENDERS, count, judges, size)
    found: dict[str, float] = {}
    for name, features in sets.items():
        found[f"{name} to renders"] = frechet_distance(features, reference)
        for offset, kind in enumerate(KINDS):
            rows = slice(offset, None, len(KINDS))
            found[f"{name} to renders, {kind}s"] = frechet_distance(features[rows], reference[rows])
    return found


def _render_features(first: int, count: int, judges: Judges, size: int) -> np.ndarray:
    """Features (count, D) of renders of so many worlds."""
    rows = [
        judges.features([Image.fromarray(render(world(seed), size).image) for seed in batch])
        for batch in batches(range(first, first + count))
    ]
    return np.concatenate(rows)


def _read(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))
