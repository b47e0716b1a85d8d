"""`diffeditor train embedded`: the stages of the embedded model, one after the other."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from diffeditor.device import AUTO, HOST, find_device, gains_by_compiling
from diffeditor.errors import InvalidSetting
from diffeditor.training import card, export
from diffeditor.training.config import EmbeddedConfig
from diffeditor.training.data import KINDS, TRAINING, VALIDATION, render_missing
from diffeditor.training.launch import accelerator_on, best_precision, launch
from diffeditor.training.stages import STAGES
from diffeditor.training.workshop import Settings, Workshop

CACHE = Path("~/.cache/diffeditor/worlds")
RUNS = Path("~/.cache/diffeditor/runs/embedded")
OUTPUT = Path("assets/models/embedded")

CHOICES = ("worlds", *STAGES, "all")
"""What `--stage` takes; "worlds" only fills the cache of pictures."""


def train_embedded(
    stage: str = "all",
    *,
    output: Path = OUTPUT,
    runs: Path = RUNS,
    cache: Path = CACHE,
    minutes: float | None = None,
    max_steps: int | None = None,
    pictures: int | None = None,
    device: str = AUTO,
    processes: int = 1,
    precision: str | None = None,
    compile: bool | None = None,
    snapshot_every: float = 10.0,
    seed: int = 0,
    start: Path | None = None,
    config: EmbeddedConfig | None = None,
) -> None:
    """Train one stage of the embedded model, or all, and export into the folder `output`.

    A run that was stopped goes on from its checkpoint in `runs`; remove that folder to begin again.
    A checkpoint of parts that were trained anew since is refused.

    Args:
        stage: one of CHOICES.
        runs, cache: folders of checkpoints and logs, and of rendered pictures.
        minutes: budget of the stage; for "all" the sum, shared out as in the configuration.
        max_steps: stop each stage after so many steps even if there is time left.
        pictures: how many to learn from (CPU only; an accelerator renders its own all the time).
        device: "auto", "cpu" or a name that PyTorch gives an accelerator, with its number or not.
        processes: on a CPU, how many to train with.
        precision: "no", "bf16" or "fp16"; by default bf16 where the device has it.
        compile: put the models through `torch.compile`; by default where it has kernels of its own
            for the device, and not on a CPU, which gains nothing.
        snapshot_every: minutes between two exports and sheets of samples.
        start: a model's folder: the autoencoder, the UNet and the image prompt begin with its
            weights where there is no checkpoint. May be `output` itself.

    Raises:
        InvalidSetting: an argument is not one of its choices, there is no such device, or a
            checkpoint fits neither the seed nor the parts in `output`.
        ModelUnavailable: a stage needs another that has not been run, or `start` does not fit.
        CollapsedColours: the autoencoder lost a colour.
        TrainingFailed: one of several processes failed.
    """
    if stage not in CHOICES:
        raise InvalidSetting(f"The stage must be one of {', '.join(CHOICES)}, not {stage}.")
    place = find_device(device)
    chosen = config or EmbeddedConfig()
    chosen = replace(chosen, pictures=pictures or chosen.pictures)
    if place.type != HOST.type:
        chosen = chosen.on_accelerator()
    settings = Settings(
        stages=tuple(STAGES) if stage == "all" else tuple(one for one in STAGES if one == stage),
        config=chosen,
        output=output.expanduser(),
        runs=runs.expanduser(),
        cache=cache.expanduser(),
        minutes=_budgets(chosen, stage, minutes),
        steps=max_steps,
        seed=seed,
        device=place,
        precision=precision or best_precision(place),
        compiles=gains_by_compiling(place) if compile is None else compile,
        snapshot_every=snapshot_every,
        start=start and start.expanduser(),
    )
    _render(settings, processes)
    export.export_frame(settings.output)
    for one in settings.stages:
        launch(_work, processes if place.type == HOST.type else 1, settings, one)
        card.write_card(settings.output, settings.runs)
        export.export_sums(settings.output)


def _budgets(config: EmbeddedConfig, stage: str, minutes: float | None) -> dict[str, float]:
    """Minutes of each stage: its own, or `minutes` for one stage, or `minutes` shared out."""
    own = {
        "vae": config.vae.minutes,
        "clip": config.clip.minutes,
        "unet": config.unet.minutes,
        "image-prompt": config.image_prompt.minutes,
        "landmarks": config.landmarks.minutes,
    }
    if minutes is None:
        return own
    if stage != "all":
        return {name: minutes for name in own}
    return {name: minutes * share / sum(own.values()) for name, share in own.items()}


def _render(settings: Settings, processes: int) -> None:
    """Fill the cache with what the settings ask for."""
    size, share = settings.config.size, settings.config.pictures // len(KINDS)
    for kind in KINDS:
        render_missing(
            settings.cache, kind, settings.config.judged, size, first=VALIDATION, processes=1
        )
        if not settings.config.live:
            render_missing(settings.cache, kind, share, size, first=TRAINING, processes=processes)


def _work(settings: Settings, stage: str) -> None:
    """One stage in one process."""
    STAGES[stage](Workshop(settings, accelerator_on(settings.device, settings.precision)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `diffeditor train embedded` to its parser."""
    parser.add_argument("--stage", choices=CHOICES, default="all", help="the part to train")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the model")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of checkpoints and logs")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of rendered pictures")
    parser.add_argument("--minutes", type=float, help="budget of the stage, or of all together")
    parser.add_argument("--max-steps", type=int, help="stop each stage after so many steps")
    parser.add_argument("--pictures", type=int, help="pictures to render and learn from (CPU only)")
    parser.add_argument("--device", default=AUTO, help="auto, cpu, or an accelerator's name")
    parser.add_argument("--processes", type=int, default=1, help="training processes on a CPU")
    parser.add_argument("--precision", choices=("no", "bf16", "fp16"), help="default: the fastest")
    parser.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        help="put the models through torch.compile; default: where the device gains by it",
    )
    parser.add_argument(
        "--snapshot-every", type=float, default=10.0, help="minutes between exports and samples"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--start", type=Path, help="model whose weights runs without a checkpoint begin with"
    )


def run(args: argparse.Namespace) -> None:
    """Train as parsed arguments say; other attributes than those of `add_arguments` are ignored."""
    train_embedded(
        args.stage,
        output=args.output,
        runs=args.runs,
        cache=args.cache,
        minutes=args.minutes,
        max_steps=args.max_steps,
        pictures=args.pictures,
        device=args.device,
        processes=args.processes,
        precision=args.precision,
        compile=args.compile,
        snapshot_every=args.snapshot_every,
        seed=args.seed,
        start=args.start,
    )


def main() -> None:
    """`python -m diffeditor.training.command`, the same as `diffeditor train embedded`."""
    parser = argparse.ArgumentParser(prog="diffeditor train embedded", description=__doc__)
    add_arguments(parser)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
