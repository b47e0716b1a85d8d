"""The one training loop: a budget, a moving average, and a checkpoint to go on from at any moment.

All that is random in a step is a function of (seed, process, step), so a run that was stopped and
resumed takes the very steps it would have taken.

Several processes train by local steps: each goes its own way for MEET_EVERY steps, then all take
the mean of their weights and of their clocks [local SGD: Stich 2018, arXiv 1805.09767]. On a busy
machine that loses far less time than meeting in every step to average gradients.
"""

from __future__ import annotations

import copy
import csv
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from diffeditor.errors import Cancelled
from diffeditor.training.checkpoint import read_checkpoint, write_checkpoint
from diffeditor.training.config import Optimisation
from diffeditor.training.pictures import save_curve

LOG_EVERY = 25
"""Steps between two lines of the log."""

MEET_EVERY = 8
"""Steps that each process takes on its own before the weights of all are averaged."""


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What is random in one step of one process, and how far the run is (progress in [0, 1])."""

    step: int
    progress: float
    rng: np.random.Generator
    generator: torch.Generator

    @classmethod
    def of(cls, seed: int, process: int, step: int, progress: float, device: torch.device) -> Draw:
        """The draw of this step; equal arguments give equal draws."""
        rng = np.random.default_rng((seed, process, step))
        generator = torch.Generator(device).manual_seed(int(rng.integers(1 << 62)))
        return cls(step=step, progress=progress, rng=rng, generator=generator)


class Objective(Protocol):
    """The loss of one step, a scalar with gradient."""

    def __call__(self, model: nn.Module, draw: Draw) -> Tensor: ...


Snapshot = Callable[[nn.Module], dict[str, float]]
"""Shows and exports the averaged model and returns what it measured."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """Where and for how long to train.

    directory: checkpoints and logs. steps: stop after so many, whatever the clock says.
    checkpoint_every, snapshot_every: minutes.
    """

    directory: Path
    accelerator: Accelerator
    minutes: float
    steps: int | None = None
    seed: int = 0
    checkpoint_every: float = 3.0
    snapshot_every: float = 10.0


@dataclass
class _State:
    """What a checkpoint holds besides weights: the position and the history of the loss."""

    step: int = 0
    minutes: float = 0.0
    history: list[tuple[int, float, float]] = field(default_factory=list)


def moving_average(model: nn.Module) -> nn.Module:
    """A frozen copy of `model` that `_follow` moves along."""
    return copy.deepcopy(model).eval().requires_grad_(False)


def learning_rate(settings: Optimisation, step: int, progress: float) -> float:
    """Linear warm-up, a plateau, and a linear cool-down to `floor` at the end of the budget."""
    rising = min(1.0, (step + 1) / settings.warmup)
    falling = min(1.0, (1.0 - progress) / settings.cooldown)
    return settings.learning_rate * rising * max(settings.floor, falling)


def fit(
    name: str,
    objective: Objective,
    model: nn.Module,
    settings: Optimisation,
    run: Run,
    snapshot: Snapshot,
) -> nn.Module:
    """Train `model` within the run's budget, or what a checkpoint left of it; its moving average.

    The checkpoint is the folder `<directory>/<name>`; beside it lie the loss as CSV and PNG.
    SIGTERM and SIGINT end the run at the next meeting, with a checkpoint and a snapshot.

    Raises:
        Cancelled: a signal ended the run before its budget did.
    """
    accelerator = run.accelerator
    average = moving_average(model).to(accelerator.device)
    trained = accelerator.prepare_model(model, evaluation_mode=True)
    optimiser = accelerator.prepare_optimizer(_optimiser(model, settings))
    path = run.directory / name
    state = _load(path, model, average, optimiser)
    loop = _Loop(name, run, state, model)
    with loop.watching() as running:
        for progress in running:
            draw = Draw.of(
                run.seed, accelerator.process_index, state.step, progress, accelerator.device
            )
            rate = learning_rate(settings, state.step, progress)
            loss = _step(objective, trained, optimiser, accelerator, draw, rate, settings.clip)
            state.step += 1
            loop.record(loss, rate)
            if not loop.met():
                continue
            _follow(average, model, settings.moving_average, state.step)
            if loop.due("checkpoint", run.checkpoint_every):
                _save(path, accelerator, model, average, optimiser, state)
            if loop.due("snapshot", run.snapshot_every):
                loop.show(average, snapshot)
        _save(path, accelerator, model, average, optimiser, state)
        loop.show(average, snapshot)
    accelerator.free_memory()
    if loop.stopped:
        raise Cancelled(f"Training of {name} was stopped; run it again to go on from {path}.")
    return average


class _Loop:
    """The clock, the log and the brake of one run; all processes see the same values."""

    def __init__(self, name: str, run: Run, state: _State, model: nn.Module) -> None:
        self.name, self.run, self.state = name, run, state
        self.weights = [p for p in model.parameters() if p.requires_grad]
        self.told = self.stopped = False
        self.smooth: float | None = None
        self.start = time.monotonic() - 60 * state.minutes
        self.since = (time.monotonic(), state.step)
        self.last = {"checkpoint": state.minutes, "snapshot": state.minutes}

    @contextmanager
    def watching(self) -> Iterator[Iterator[float]]:
        """Yields the iterator of progress; signals set the brake while the block runs."""
        signals = (signal.SIGTERM, signal.SIGINT)
        previous = {one: signal.signal(one, self._brake) for one in signals}
        try:
            yield self._progress()
        finally:
            for one, handler in previous.items():
                signal.signal(one, handler)

    def _brake(self, *_: Any) -> None:
        self.told = True

    def _progress(self) -> Iterator[float]:
        while not self.stopped and self._done() < 1.0:
            yield self._done()

    def _done(self) -> float:
        steps = self.state.step / self.run.steps if self.run.steps is not None else 0.0
        return max(self.state.minutes / self.run.minutes, steps)

    def met(self) -> bool:
        """Whether this step ended with a meeting: every MEET_EVERY steps and after the last one.

        A meeting averages weights and clocks and finds out whether anyone was told to stop.
        """
        if self.state.step % MEET_EVERY and self._done() < 1.0:
            return False
        clock = torch.tensor([(time.monotonic() - self.start) / 60, float(self.told)])
        self._average([*self.weights, clock])
        self.state.minutes, self.stopped = float(clock[0]), bool(clock[1] > 0)
        return True

    @torch.no_grad()
    def _average(self, tensors: list[Tensor]) -> None:
        """Put the mean over all processes into each tensor."""
        accelerator = self.run.accelerator
        if accelerator.num_processes == 1:
            return
        flat = torch.cat([one.flatten().to(accelerator.device) for one in tensors])
        mean = accelerator.reduce(flat, "mean").split([one.numel() for one in tensors])
        for one, part in zip(tensors, mean, strict=True):
            one.copy_(part.view_as(one))

    def due(self, what: str, every: float) -> bool:
        """Whether `every` minutes have gone by since the last time."""
        if self.state.minutes - self.last[what] < every:
            return False
        self.last[what] = self.state.minutes
        return True

    def record(self, loss: Tensor, rate: float) -> None:
        """Note a step, and every LOG_EVERY steps print and keep a line."""
        value = float(loss)
        self.smooth = value if self.smooth is None else 0.98 * self.smooth + 0.02 * value
        if self.state.step % LOG_EVERY:
            return
        self.state.history.append((self.state.step, self.state.minutes, self.smooth))
        now, (then, step) = time.monotonic(), self.since
        self.since = (now, self.state.step)
        pace = (self.state.step - step) / max(now - then, 1e-9)
        self.run.accelerator.print(
            f"{self.name} {self.state.minutes:.1f} min, step {self.state.step}, "
            f"{pace:.2f} steps/s, loss {self.smooth:.4f}, rate {rate:.1e}",
            flush=True,
        )

    def show(self, average: nn.Module, snapshot: Snapshot) -> None:
        """Let the main process write the curve and take a snapshot; the others wait."""
        accelerator = self.run.accelerator
        if accelerator.is_main_process:
            _write_history(self.run.directory / f"{self.name}-loss", self.state.history)
            with torch.no_grad():
                measured = snapshot(average)
            numbers = ", ".join(f"{key} {value:.4g}" for key, value in measured.items())
            accelerator.print(f"{self.name} {self.state.minutes:.1f} min: {numbers}", flush=True)
        accelerator.wait_for_everyone()


def _optimiser(model: nn.Module, settings: Optimisation) -> torch.optim.AdamW:
    """AdamW that decays matrices and kernels, but neither biases nor gains."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, settings.learning_rate, betas=settings.betas, fused=True)


def _step(
    objective: Objective,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    accelerator: Accelerator,
    draw: Draw,
    rate: float,
    clip: float,
) -> Tensor:
    """One update at this learning rate; the detached loss."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    loss = objective(model, draw)
    optimiser.zero_grad()
    accelerator.backward(loss)
    accelerator.clip_grad_norm_(model.parameters(), clip)
    optimiser.step()
    return loss.detach()


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """average <- d average + (1 - d) model for what is trained, d = decay ** MEET_EVERY.

    In the first steps d is smaller, so that the average forgets the start.
    """
    kept = min(decay, step / (step + 9)) ** MEET_EVERY
    pairs = zip(average.parameters(), model.parameters(), strict=True)
    moved = [(a, m.detach()) for a, m in pairs if m.requires_grad]
    torch._foreach_lerp_([a for a, _ in moved], [m for _, m in moved], 1.0 - kept)


def _save(
    path: Path,
    accelerator: Accelerator,
    model: nn.Module,
    average: nn.Module,
    optimiser: torch.optim.Optimizer,
    state: _State,
) -> None:
    """Let the main process write the checkpoint; the others wait."""
    if accelerator.is_main_process:
        held = {
            "model": model.state_dict(),
            "average": average.state_dict(),
            "optimiser": optimiser.state_dict(),
            "state": vars(state),
        }
        write_checkpoint(path, held)
    accelerator.wait_for_everyone()


def _load(
    path: Path,
    model: nn.Module,
    average: nn.Module,
    optimiser: torch.optim.Optimizer,
) -> _State:
    """Take up the checkpoint where there is one; its state, or a fresh one."""
    held = read_checkpoint(path)
    if held is None:
        return _State()
    model.load_state_dict(held["model"])
    average.load_state_dict(held["average"])
    optimiser.load_state_dict(held["optimiser"])
    _lay_out_as_weights(optimiser)
    return _State(**held["state"])


def _lay_out_as_weights(optimiser: torch.optim.Optimizer) -> None:
    """Give moments the memory order of their weights, as fused updates take for granted."""
    for weights, moments in optimiser.state.items():
        for name, value in moments.items():
            if value.shape == weights.shape:
                moments[name] = torch.empty_like(weights).copy_(value)


def _write_history(path: Path, history: list[tuple[int, float, float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".csv").open("w", newline="") as file:
        csv.writer(file).writerows([("step", "minutes", "loss"), *history])
    save_curve(path.with_suffix(".png"), history)
