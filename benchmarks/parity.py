"""Compare the engine, stage by stage, with recorded traces of the published release.

    python -m benchmarks.parity [--model DIR] [--golden DIR]

The folder of the model holds a diffusers folder `sd/`, a CLIP tower `image_encoder/` and
`ip_sd15_64.bin`; that of the traces holds pairs NAME.json / NAME.safetensors (or a folder `traces/`
of them), complete or trimmed. Without them it is the model and the traces under tests/golden. One
row is printed for each trace and stage that it holds; the exit status is 1 if any row misses its
tolerance. Errors are the largest absolute difference relative to the largest recorded value.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.traces import Trace
from diffeditor.attention import AttentionPass
from diffeditor.backbones import StableDiffusion, load_stable_diffusion
from diffeditor.backbones.base import Denoiser
from diffeditor.config import PRESETS, Strengths
from diffeditor.geometry import Size, working_size
from diffeditor.guidance import ENERGY_UNIT, Guidance
from diffeditor.images import to_image, to_tensor
from diffeditor.inversion import ImageCondition, Trajectory, invert
from diffeditor.masks import Patches
from diffeditor.plan import EditPlan, Grid
from diffeditor.sampler import Conditions, Sampler
from diffeditor.schedule import Level, RegionalNoise, ddim_invert_step, regional_ddim_step
from diffeditor.tasks import Appearance, Move, Paste, Task

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"
"""The recorded traces that lie in the repository, and their model."""


@dataclass(frozen=True)
class Row:
    """One comparison: its stage, the relative error and the tolerance."""

    stage: str
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        return self.error <= self.tolerance


def masks_of(task: Task, grid: Grid) -> dict[str, Tensor]:
    """Our masks under the names of the recorded ones."""
    if isinstance(task, Move):
        c = task.cells(grid, PRESETS["release"])
        return {"mask_cur": c.dst, "mask_other": c.keep, "mask_non_overlap": c.vacated}
    if isinstance(task, Appearance):
        b, r = task.cells(grid)
        return {"mask_base_cur": b, "mask_replace_cur": r}
    if isinstance(task, Paste):
        cells = task.cells(grid, whole_cells=True)
        return {"mask_base_cur": cells.b, "mask_replace_cur": cells.r}
    patches = Patches.between(
        task.targets(), grid.source, grid.feature, grid.device, whole_cells=True
    )
    return {
        "mask_cur": _scattered(patches.end, grid.feature),
        "mask_tar": _scattered(patches.start, grid.feature),
    }


def _scattered(cells: Tensor, grid: Size) -> Tensor:
    masks = torch.zeros(len(cells), grid.area)
    return masks.scatter_(1, cells, 1.0).view(-1, grid.height, grid.width)


def relative(ours: Tensor, recorded: Tensor) -> float:
    """Largest difference relative to the largest recorded value; infinite for NaN."""
    recorded = recorded.float()
    error = (ours.float() - recorded).abs().max() / recorded.abs().max().clamp_min(1e-12)
    return float(error) if torch.isfinite(error) else float("inf")


@dataclass(frozen=True)
class Comparison:
    """One trace run through one model."""

    model: StableDiffusion
    trace: Trace

    def rows(self, *, whole_run: bool = True) -> Iterator[Row]:
        """All stages in order of the method; a whole run at the end, if its result is recorded."""
        with torch.no_grad(), self.model.denoiser() as denoiser:
            yield from self.inputs()
            yield from self.masks()
            sampler = self.sampler(denoiser)
            yield from self.inversion(sampler)
            yield from self.steps(sampler)
            if whole_run and "edit/z_0" in self.trace.tensors:
                yield from self.free_run(sampler)

    @cached_property
    def grid(self) -> Grid:
        task = self.trace.task
        side = self.trace.preset.resolution or self.model.native_size
        size = working_size(task.size, side, self.model.multiple)
        return Grid(
            source=task.size,
            working=size,
            latent_factor=self.model.latent_factor,
            device=torch.device("cpu"),
        )

    @cached_property
    def strengths(self) -> Strengths:
        return self.trace.preset.strengths(self.trace.task.strengths, {})

    @cached_property
    def plan(self) -> EditPlan:
        return self.trace.task.plan(self.grid, self.strengths, self.trace.preset)

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        return self.model.schedule.levels(self.trace.preset.steps)

    @cached_property
    def tokens(self) -> tuple[Tensor, Tensor]:
        found = self.model.embed_images(self.trace.task.pictures)
        if found is None:
            raise SystemExit("The model has no image prompt.")
        return found

    def inputs(self) -> Iterator[Row]:
        trace = self.trace
        pictures = torch.cat([to_tensor(p) for p in trace.task.pictures])
        latents = self.model.encode(pictures)
        with_picture, without = self.tokens
        for k in range(len(pictures)):
            one = slice(k, k + 1)
            yield Row(
                f"latents of picture {k}", relative(latents[one], trace[f"pre/latent0.{k}"]), 1e-4
            )
            yield Row(
                f"image tokens {k}", relative(with_picture[one], trace[f"pre/emb_im.{k}"]), 1e-4
            )
            recorded = trace[f"pre/emb_im_uncond.{k}"]
            yield Row(f"empty image tokens {k}", relative(without[one], recorded), 1e-4)
        text = self.model.embed_text(trace.task.prompts)
        yield Row("text", relative(text, trace["inv/context"]), 1e-4)

    def masks(self) -> Iterator[Row]:
        for name, ours in masks_of(self.trace.task, self.grid).items():
            recorded = torch.from_numpy(self.trace.array(f"masks/{name}"))
            different = int((ours.reshape(recorded.shape) != recorded).sum())
            yield Row(f"masks/{name} (cells differing)", different, 0)

    def sampler(self, denoiser: Denoiser) -> Sampler:
        trace, preset = self.trace, self.trace.preset
        text = self.model.embed_text(["", trace.task.prompts[0]])
        image = torch.stack([self.tokens[1].flatten(0, 1), self.tokens[0].flatten(0, 1)])
        trajectory = self.inverted(denoiser)
        guidance = Guidance(
            denoiser=denoiser,
            plan=self.plan,
            trajectory=trajectory,
            text=text[1:],
            energy_scale=self.strengths.energy_scale,
            regional=preset.regional_guidance,
        )
        drawn = dict(zip(trace["sde/i"].tolist(), trace["sde/noise"], strict=True))
        return Sampler(
            denoiser=denoiser,
            plan=self.plan,
            trajectory=trajectory,
            levels=self.levels,
            conditions=Conditions(
                text=text,
                image=ImageCondition(tokens=image, scale=self.strengths.image_prompt_scale),
            ),
            preset=preset,
            strengths=self.strengths,
            guidance=guidance,
            noise=lambda i: drawn[i],
        )

    def inverted(self, denoiser: Denoiser) -> Trajectory:
        steps = self.trace.preset.steps
        bank_steps = [i for i in range(steps) if (i, steps) in self.plan.kv.window]
        text = self.model.embed_text(self.trace.task.prompts)
        count = len(self.trace.task.pictures)
        z_0 = torch.cat([self.trace[f"pre/latent0.{k}"] for k in range(count)])
        run = invert(denoiser, z_0, self.levels, text, bank_steps=bank_steps)
        while True:
            try:
                next(run)
            except StopIteration as finished:
                return finished.value

    def inversion(self, sampler: Sampler) -> Iterator[Row]:
        recorded = self.trace["inv/latents"]
        kept = self.trace.tensors.get("inv/index", torch.arange(len(recorded)))
        ours = torch.stack(sampler.trajectory.latents)[kept]
        yield Row("inversion latents", relative(ours, recorded), 1e-4)
        start = sampler.plan.start(sampler.trajectory.z_T)
        yield Row("z_T", relative(start, self.trace["edit/z_T"]), 1e-4)

    def steps(self, sampler: Sampler) -> Iterator[Row]:
        """Every recorded step from its recorded input; each stage over all of them."""
        noted: dict[str, list[tuple[Tensor, Tensor]]] = {}

        def note(stage: str, ours: Tensor, recorded: Tensor) -> None:
            noted.setdefault(stage, []).append((ours.reshape(recorded.shape), recorded))

        attention = sampler.attention()
        for row, i in enumerate(self.trace["steps/i"].tolist()):
            self._step(sampler, row, i, attention(i), note)
        tolerances = {"energy": 1e-3, "gradient": 1e-3, "guidance": 1e-3}
        for stage, pairs in noted.items():
            ours, recorded = (torch.stack(side) for side in zip(*pairs, strict=True))
            yield Row(stage, relative(ours, recorded), tolerances.get(stage.split()[0], 1e-4))

    def _step(
        self,
        sampler: Sampler,
        row: int,
        i: int,
        attention: AttentionPass,
        note: Callable[[str, Tensor, Tensor], None],
    ) -> None:
        trace, level = self.trace, self.levels[i]
        z = trace["steps/latent"][row][None]
        both = sampler.denoiser.eps(torch.cat([z, z]), level.t, sampler.conditions.text, attention)
        without, with_text = both.chunk(2)
        note("eps without text", without[0], trace["steps/eps_uncond"][row])
        note("eps with text", with_text[0], trace["steps/eps_text"][row])
        eps = without + self.strengths.guidance_scale * (with_text - without)
        G = self._guided(sampler, z, row, i, note) if trace.preset.guides(i) else None
        noise = sampler.regional_noise(i)
        ours = regional_ddim_step(z, eps, level, guidance=G, sde=_batched(noise))
        note("next latent", ours[0], trace["steps/latent_prev"][row])
        rolled = trace["roll/row"].tolist()
        if row in rolled:
            self._rolled(sampler, ours, row, rolled.index(row), level, note)

    def _guided(
        self,
        sampler: Sampler,
        z: Tensor,
        row: int,
        i: int,
        note: Callable[[str, Tensor, Tensor], None],
    ) -> Tensor:
        trace, unit = self.trace, ENERGY_UNIT * self.strengths.energy_scale
        found = sampler.guidance.gradients(z, i, self.levels[i])
        G = sampler.guidance.combined(found)
        if row not in trace["guid/row"]:
            return G
        k = trace["guid/row"].tolist().index(row)
        note("energy of the edit", found.edit, trace["guid/loss_edit"][k])
        note("gradient of the edit", unit * found.grad_edit, trace["guid/grad_edit"][k])
        if found.content is not None and found.grad_content is not None:
            note("energy of the content", found.content, trace["guid/loss_con"][k])
            note("gradient of the content", unit * found.grad_content, trace["guid/grad_con"][k])
        note("guidance", G, trace["guid/guidance"][k])
        return G

    def _rolled(
        self,
        sampler: Sampler,
        z_p: Tensor,
        row: int,
        k: int,
        level: Level,
        note: Callable[[str, Tensor, Tensor], None],
    ) -> None:
        trace = self.trace
        if int(trace["roll/roll_t"][k]) != level.p:
            note("roll-forward timestep", torch.tensor(float(level.p)), trace["roll/roll_t"][k])
        eps = sampler.denoiser.eps(z_p, level.p, sampler.conditions.prompt)
        note("roll-forward eps", eps, trace["roll/roll_eps"][k])
        again = row + 1 < len(trace["steps/ri"]) and int(trace["steps/ri"][row + 1]) > 0
        if again:
            back = ddim_invert_step(z_p, eps, level)
            note("roll-forward latent", back[0], trace["steps/latent"][row + 1])

    def free_run(self, sampler: Sampler) -> Iterator[Row]:
        run = sampler.run()
        while True:
            try:
                next(run)
            except StopIteration as finished:
                z_0 = finished.value
                break
        yield Row("free run z_0", relative(z_0, self.trace["edit/z_0"]), 5e-3)
        ours = np.asarray(to_image(self.model.decode(z_0)), np.float32)
        recorded = self.trace.array("out/image_rgb").astype(np.float32)
        yield Row("free run picture", float(np.abs(ours - recorded).max()) / 255, 2e-2)


def _batched(noise: RegionalNoise | None) -> RegionalNoise | None:
    """The recorded draw as a batch of one."""
    if noise is None or noise.noise.ndim == 4:
        return noise
    return replace(noise, noise=noise.noise[None])


def compare(model: StableDiffusion, traces: Path) -> bool:
    """Print the table; True if every row passes."""
    paths = sorted(traces.glob("*.json"))
    if not paths:
        raise SystemExit(f"There are no traces in {traces}.")
    passed = True
    for path in paths:
        trace = Trace.load(path)
        for row in Comparison(model, trace).rows():
            passed &= row.passed
            verdict = "ok" if row.passed else "MISS"
            found = f"{row.error:10.2e}  <= {row.tolerance:.0e}  {verdict}"
            print(f"{trace.name:12} {row.stage:42} {found}", flush=True)
    return passed


def load_model(folder: Path) -> StableDiffusion:
    """The recorded model: a diffusers folder and an image prompt in the released layout."""
    return load_stable_diffusion(
        folder / "sd",
        image_prompt=folder / "ip_sd15_64.bin",
        image_encoder=folder / "image_encoder",
        allow_pickle=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", type=Path, default=GOLDEN / "model", metavar="DIR")
    parser.add_argument("--golden", type=Path, default=GOLDEN, metavar="DIR")
    args = parser.parse_args()
    traces = args.golden / "traces" if (args.golden / "traces").is_dir() else args.golden
    sys.exit(0 if compare(load_model(args.model), traces) else 1)


if __name__ == "__main__":
    main()
