"""The clock, the log and the brake of a training run, and what its processes tell each other."""

from __future__ import annotations

import csv
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from diffeditor.training.pictures import save_curve

LOG_EVERY = 25
"""Steps between two lines of the log."""

Snapshot = Callable[[nn.Module], dict[str, float]]
"""Shows and exports the averaged model and returns what it measured."""


Moments = Callable[[], Sequence[Tensor]]
"""The optimiser's running means, which it makes in its first step."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """Where and for how long to train.

    directory: checkpoints and logs. steps: stop after so many, whatever the clock says.
    meet_every: steps that a process takes on its own before all average their weights; with 1 they
    average their gradients instead. compiler: a backend of `torch.compile` for the model, None to
    run it as it is. checkpoint_every, snapshot_every: minutes.
    """

    directory: Path
    accelerator: Accelerator
    minutes: float
    meet_every: int
    steps: int | None = None
    seed: int = 0
    compiler: str | None = None
    checkpoint_every: float = 3.0
    snapshot_every: float = 10.0

    @property
    def shares_gradients(self) -> bool:
        """Whether gradients are averaged in every step, so that weights never differ."""
        return self.meet_every == 1


@dataclass
class State:
    """What a checkpoint holds besides weights: the position and the history of the loss.

    furthest: the largest share of a budget that was ever done; a larger budget does not undo it.
    """

    step: int = 0
    minutes: float = 0.0
    furthest: float = 0.0
    history: list[tuple[int, float, float]] = field(default_factory=list)


class Progress:
    """The clock, the log and the brake of one run; all processes see the same values."""

    def __init__(
        self, name: str, run: Run, state: State, weights: Sequence[Tensor], moments: Moments
    ) -> None:
        """weights, moments: what the meetings of local steps average."""
        self.name, self.run, self.state = name, run, state
        self.weights, self.moments = weights, moments
        self.told = self.stopped = False
        self.smooth: Tensor | None = None
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
        """Whether this step ended with a meeting: every `meet_every` steps and after the last one.

        A meeting averages what differs between the processes, and finds out whether anyone was
        told to stop.
        """
        if self.state.step % self.run.meet_every and self._done() < 1.0:
            return False
        clock = torch.tensor([(time.monotonic() - self.start) / 60, float(self.told)])
        differing = [] if self.run.shares_gradients else [*self.weights, *self.moments()]
        share_mean(self.run.accelerator, [*differing, clock])
        self.state.minutes, self.stopped = float(clock[0]), bool(clock[1] > 0)
        return True

    def due(self, what: str, every: float) -> bool:
        """Whether `every` minutes have gone by since the last time."""
        if self.state.minutes - self.last[what] < every:
            return False
        self.last[what] = self.state.minutes
        return True

    def record(self, loss: Tensor, rate: float) -> None:
        """Note a step, and every LOG_EVERY steps print and keep a line.

        Only then is the loss read: reading it makes the host wait for the device.
        """
        self.smooth = loss if self.smooth is None else self.smooth.lerp(loss, 0.02)
        if self.state.step % LOG_EVERY:
            return
        smooth = float(self.smooth)
        self.state.history.append((self.state.step, self.state.minutes, smooth))
        now, (then, step) = time.monotonic(), self.since
        self.since = (now, self.state.step)
        pace = (self.state.step - step) / max(now - then, 1e-9)
        self.run.accelerator.print(
            f"{self.name} {self.state.minutes:.1f} min, step {self.state.step}, "
            f"{pace:.2f} steps/s, loss {smooth:.4f}, rate {rate:.1e}",
            flush=True,
        )

    def show(self, model: nn.Module, snapshot: Snapshot) -> None:
        """Let the main process write the curve and take a snapshot; the others wait."""
        accelerator = self.run.accelerator
        if accelerator.is_main_process:
            _write_history(self.run.directory / f"{self.name}-loss", self.state.history)
            with torch.no_grad():
                measured = snapshot(model)
            numbers = ", ".join(f"{key} {value:.4g}" for key, value in measured.items())
            accelerator.print(f"{self.name} {self.state.minutes:.1f} min: {numbers}", flush=True)
        accelerator.wait_for_everyone()


@torch.no_grad()
def share_mean(accelerator: Accelerator, tensors: Sequence[Tensor]) -> None:
    """Put the mean over all processes into each tensor."""
    if accelerator.num_processes == 1:
        return
    flat = torch.cat([one.flatten().to(accelerator.device) for one in tensors])
    mean = accelerator.reduce(flat, "mean").split([one.numel() for one in tensors])
    for one, part in zip(tensors, mean, strict=True):
        one.copy_(part.view_as(one))


def _write_history(path: Path, history: list[tuple[int, float, float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".csv").open("w", newline="") as file:
        csv.writer(file).writerows([("step", "minutes", "loss"), *history])
    save_curve(path.with_suffix(".png"), history)
