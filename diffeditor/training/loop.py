"""The one training loop: a budget, a moving average, and a checkpoint to go on from at any moment.

All that is random in a call of the objective is a function of (seed, process, call), so a run that
was stopped and resumed takes the very steps it would have taken.

Several processes either average their gradients in every step, or take local steps: each goes its
own way for a while, then all take the mean of their weights, of the optimiser's moments and of
their clocks [local SGD: Stich 2018, arXiv 1805.09767]. On a busy CPU that loses far less time.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from diffeditor.errors import Cancelled
from diffeditor.training.checkpoint import read_checkpoint, write_checkpoint
from diffeditor.training.config import Optimisation
from diffeditor.training.draw import Draw
from diffeditor.training.progress import Progress, Run, Snapshot, State, share_mean

LOCAL_STEPS = 8
"""Steps that a process on a CPU takes on its own before the weights of all are averaged."""


def local_steps(device: torch.device) -> int:
    """Steps between two meetings of the processes that suit this kind of device."""
    return LOCAL_STEPS if device.type == "cpu" else 1


class Objective(Protocol):
    """The loss of one batch, a scalar with gradient."""

    def __call__(self, model: nn.Module, draw: Draw) -> Tensor: ...


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
    if run.compiler is not None:  # after the average was copied, which is run as it is
        trained.compile(backend=run.compiler)
    optimiser = accelerator.prepare_optimizer(_optimiser(model, settings))
    path = run.directory / name
    state = _load(path, model, average, optimiser, accelerator)
    weights = [p for p in model.parameters() if p.requires_grad]
    progress = Progress(name, run, state, weights, lambda: _moments(optimiser))
    with progress.watching() as running:
        for done in running:
            rate = learning_rate(settings, state.step, done)
            state.furthest = max(state.furthest, done)
            draws = _draws(run, settings.accumulate, state.step, state.furthest)
            loss = _update(objective, trained, optimiser, run, draws, rate, settings.clip)
            state.step += 1
            progress.record(loss, rate)
            if not progress.met():
                continue
            _follow(average, model, settings.moving_average, state.step, run.meet_every)
            if progress.due("checkpoint", run.checkpoint_every):
                _save(path, accelerator, model, average, optimiser, state)
            if progress.due("snapshot", run.snapshot_every):
                progress.show(average, snapshot)
        _save(path, accelerator, model, average, optimiser, state)
        progress.show(average, snapshot)
    accelerator.free_memory()
    if progress.stopped:
        raise Cancelled(f"Training of {name} was stopped; run it again to go on from {path}.")
    return average


def _optimiser(model: nn.Module, settings: Optimisation) -> torch.optim.AdamW:
    """AdamW that decays matrices and kernels, but neither biases nor gains."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, settings.learning_rate, betas=settings.betas, fused=True)


def _draws(run: Run, count: int, step: int, progress: float) -> list[Draw]:
    """The draws of this process for the `count` calls of one step."""
    process, device = run.accelerator.process_index, run.accelerator.device
    calls = range(step * count, (step + 1) * count)
    return [Draw.of(run.seed, process, call, progress, device) for call in calls]


def _update(
    objective: Objective,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    run: Run,
    draws: Sequence[Draw],
    rate: float,
    clip: float,
) -> Tensor:
    """One update at this learning rate by the mean gradient of the draws; their mean loss."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad()
    losses = []
    for draw in draws:
        loss = objective(model, draw)
        run.accelerator.backward(loss / len(draws))
        losses.append(loss.detach())
    if run.shares_gradients:
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        share_mean(run.accelerator, gradients)
    run.accelerator.clip_grad_norm_(model.parameters(), clip)
    optimiser.step()
    return torch.stack(losses).mean()


@torch.no_grad()
def _follow(
    average: nn.Module, model: nn.Module, decay: float, step: int, steps_since: int
) -> None:
    """average <- d average + (1 - d) model for what is trained, d = decay ** steps_since.

    In the first steps d is smaller, so that the average forgets the start.
    """
    kept = min(decay, step / (step + 9)) ** steps_since
    pairs = zip(average.parameters(), model.parameters(), strict=True)
    moved = [(a, m.detach()) for a, m in pairs if m.requires_grad]
    torch._foreach_lerp_([a for a, _ in moved], [m for _, m in moved], 1.0 - kept)


def _moments(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    """The running means of gradients and of their squares."""
    held = optimiser.state.values()
    return [one[name] for one in held for name in ("exp_avg", "exp_avg_sq")]


def _save(
    path: Path,
    accelerator: Accelerator,
    model: nn.Module,
    average: nn.Module,
    optimiser: torch.optim.Optimizer,
    state: State,
) -> None:
    """Let the main process write the checkpoint; the others wait."""
    if accelerator.is_main_process:
        held = {
            "model": model.state_dict(),
            "average": average.state_dict(),
            "optimiser": optimiser.state_dict(),
            "scaler": accelerator.scaler.state_dict() if accelerator.scaler else {},
            "state": vars(state),
        }
        write_checkpoint(path, held)
    accelerator.wait_for_everyone()


def _load(
    path: Path,
    model: nn.Module,
    average: nn.Module,
    optimiser: torch.optim.Optimizer,
    accelerator: Accelerator,
) -> State:
    """Take up the checkpoint where there is one; its state, or a fresh one."""
    held = read_checkpoint(path)
    if held is None:
        return State()
    model.load_state_dict(held["model"])
    average.load_state_dict(held["average"])
    optimiser.load_state_dict(held["optimiser"])
    _lay_out_as_weights(optimiser)
    if accelerator.scaler:
        accelerator.scaler.load_state_dict(held["scaler"])
    return State(**held["state"])


def _lay_out_as_weights(optimiser: torch.optim.Optimizer) -> None:
    """Give moments the memory order of their weights, as fused updates take for granted."""
    for weights, moments in optimiser.state.items():
        for name, value in moments.items():
            if value.shape == weights.shape:
                moments[name] = torch.empty_like(weights).copy_(value)
