"""The loop: budgets, checkpoints that go on exactly, the brake and the moving average."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from diffeditor.errors import Cancelled
from diffeditor.training.checkpoint import read_checkpoint
from diffeditor.training.config import Optimisation
from diffeditor.training.draw import Draw
from diffeditor.training.launch import launch
from diffeditor.training.loop import LOCAL_STEPS, fit, learning_rate
from diffeditor.training.progress import Run

SETTINGS = Optimisation(batch=4, learning_rate=0.05, warmup=2, moving_average=0.9)


def objective(model: nn.Module, draw: Draw) -> Tensor:
    """Error of a linear map on random points; the truth is the sum of the inputs."""
    points = torch.randn(SETTINGS.batch, 3, generator=draw.generator)
    return (model(points) - points.sum(1, keepdim=True)).square().mean()


def line() -> nn.Linear:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(3, 1)


def run(directory: Path, steps: int | None, minutes: float = 60.0) -> Run:
    return Run(
        directory=directory,
        accelerator=Accelerator(cpu=True),
        minutes=minutes,
        meet_every=LOCAL_STEPS,
        steps=steps,
    )


def nothing(_: nn.Module) -> dict[str, float]:
    return {}


def kernel() -> nn.Module:
    """A convolution in the memory order that the trainer uses, three numbers to one."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        convolution = nn.Conv2d(3, 1, (3, 2), padding=(1, 0))
    layers = nn.Sequential(nn.Unflatten(1, (3, 1, 1)), nn.ZeroPad2d((0, 1, 0, 0)), convolution)
    return layers.append(nn.Flatten()).to(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("build", "compiler"), [(line, None), (kernel, None), (line, "eager"), (kernel, "eager")]
)
def test_a_resumed_run_equals_an_uninterrupted_one(
    build: Callable[[], nn.Module], compiler: str | None, tmp_path: Path
) -> None:
    """The schedule hangs on the share of the budget, so the first half is cut off, not planned."""

    class Stop(Exception):
        pass

    def failing(model: nn.Module, draw: Draw) -> Tensor:
        if draw.call == 2 * LOCAL_STEPS:
            raise Stop
        return objective(model, draw)

    total = 4 * LOCAL_STEPS
    uncut = replace(run(tmp_path / "whole", total), compiler=compiler)
    whole = fit("a", objective, build(), SETTINGS, uncut, nothing)
    cut = replace(uncut, directory=tmp_path / "cut", checkpoint_every=0.0)
    with pytest.raises(Stop):
        fit("a", failing, build(), SETTINGS, cut, nothing)
    resumed = fit("a", objective, build(), SETTINGS, cut, nothing)
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_accumulated_calls_make_one_update_of_their_mean(tmp_path: Path) -> None:
    """Three calls per update are one call that returns the mean of the three losses."""
    accumulating = replace(SETTINGS, accumulate=3)

    def mean_of_three(model: nn.Module, draw: Draw) -> Tensor:
        three = (Draw.of(0, 0, 3 * draw.call + n, 0.0, torch.device("cpu")) for n in range(3))
        return torch.stack([objective(model, one) for one in three]).mean()

    made = fit("a", objective, line(), accumulating, run(tmp_path / "many", 20), nothing)
    whole = fit("a", mean_of_three, line(), SETTINGS, run(tmp_path / "one", 20), nothing)
    torch.testing.assert_close(made.weight, whole.weight)


def learn_together(home: Path, meet_every: int, stop_at: int | None) -> None:
    """What each of several processes does; the first one leaves its average behind."""

    def stopping(model: nn.Module, draw: Draw) -> Tensor:
        if draw.call == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return objective(model, draw)

    together = replace(run(home, 4 * LOCAL_STEPS), meet_every=meet_every)
    made = fit("a", stopping, line(), SETTINGS, together, nothing)
    if together.accelerator.is_main_process:
        torch.save(made.state_dict(), home / "made.pt")


def made_by_two(home: Path, meet_every: int, stop_at: int | None = None) -> dict[str, Tensor]:
    home.mkdir(exist_ok=True)
    launch(learn_together, 2, home, meet_every, stop_at)
    return torch.load(home / "made.pt", weights_only=True)


def test_two_processes_go_on_exactly(tmp_path: Path) -> None:
    """After local steps the moments of both go on, though one process writes the checkpoint."""
    whole = made_by_two(tmp_path / "whole", LOCAL_STEPS)
    with pytest.raises(Cancelled):
        made_by_two(tmp_path / "cut", LOCAL_STEPS, stop_at=LOCAL_STEPS + 1)
    resumed = made_by_two(tmp_path / "cut", LOCAL_STEPS)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_two_processes_that_share_gradients_are_one_with_both_batches(tmp_path: Path) -> None:
    def both(model: nn.Module, draw: Draw) -> Tensor:
        two = (Draw.of(0, process, draw.call, 0.0, torch.device("cpu")) for process in range(2))
        return torch.stack([objective(model, one) for one in two]).mean()

    alone = replace(run(tmp_path / "alone", 4 * LOCAL_STEPS), meet_every=1)
    whole = fit("a", both, line(), SETTINGS, alone, nothing)
    shared = made_by_two(tmp_path / "two", meet_every=1)
    torch.testing.assert_close(shared["weight"], whole.weight)


def test_it_learns(tmp_path: Path) -> None:
    made = fit("a", objective, line(), SETTINGS, run(tmp_path, 200), nothing)
    torch.testing.assert_close(made.weight, torch.ones(1, 3), atol=0.05, rtol=0)


def test_a_larger_budget_does_not_undo_what_progress_has_ended(tmp_path: Path) -> None:
    seen: list[float] = []

    def noting(model: nn.Module, draw: Draw) -> Tensor:
        seen.append(draw.progress)
        return objective(model, draw)

    for total in (8, 32):
        fit("a", noting, line(), SETTINGS, run(tmp_path, total), nothing)
    assert seen[7] == 7 / 8 and seen[8] == 7 / 8
    assert seen == sorted(seen) and seen[-1] == 31 / 32


def test_a_spent_budget_trains_no_further(tmp_path: Path) -> None:
    first = fit("a", objective, line(), SETTINGS, run(tmp_path, 10), nothing)
    again = fit("a", objective, line(), SETTINGS, run(tmp_path, 10), nothing)
    assert torch.equal(first.weight, again.weight)


def test_a_signal_writes_a_checkpoint_and_cancels(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def stopping(model: nn.Module, draw: Draw) -> Tensor:
        if draw.call == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return objective(model, draw)

    with pytest.raises(Cancelled, match="run it again to go on"):
        fit("a", stopping, line(), SETTINGS, run(tmp_path, 1000), nothing)
    held = read_checkpoint(tmp_path / "a")
    assert held is not None
    assert held["state"]["step"] == LOCAL_STEPS
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_snapshot_sees_the_average_and_the_curve_is_drawn(tmp_path: Path) -> None:
    seen: list[nn.Module] = []

    def snapshot(model: nn.Module) -> dict[str, float]:
        seen.append(model)
        return {"number": 1.0}

    made = fit("a", objective, line(), SETTINGS, run(tmp_path, 60), snapshot)
    assert seen == [made]
    assert (tmp_path / "a-loss.csv").read_text().startswith("step,minutes,loss\n25,")
    assert (tmp_path / "a-loss.png").stat().st_size > 0


def test_the_average_lags_behind_the_model(tmp_path: Path) -> None:
    model = line()
    start = model.weight.detach().clone()
    made = fit("a", objective, model, SETTINGS, run(tmp_path, 5 * LOCAL_STEPS), nothing)
    moved, lagging = ((w - start).norm() for w in (model.weight.detach(), made.weight))
    assert 0 < lagging < moved


def test_what_is_frozen_stays(tmp_path: Path) -> None:
    model = line()
    model.bias.requires_grad_(False)
    start = model.bias.clone()
    made = fit("a", objective, model, SETTINGS, run(tmp_path, 10), nothing)
    assert torch.equal(model.bias, start)
    assert torch.equal(made.bias, start)


def test_the_rate_rises_stays_and_falls() -> None:
    settings = Optimisation(batch=1, learning_rate=1.0, warmup=10, cooldown=0.5, floor=0.1)
    assert learning_rate(settings, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate(settings, 100, 0.5) == pytest.approx(1.0)
    assert learning_rate(settings, 100, 0.75) == pytest.approx(0.5)
    assert learning_rate(settings, 100, 1.0) == pytest.approx(0.1)


def test_training_leaves_the_global_random_state_alone(tmp_path: Path) -> None:
    model = line()
    before = torch.get_rng_state()
    fit("a", objective, model, SETTINGS, run(tmp_path, 3), nothing)
    assert torch.equal(torch.get_rng_state(), before)
