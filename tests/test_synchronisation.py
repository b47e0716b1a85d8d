"""The loop never makes the host wait for the device: no value of a tensor is read on the way."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from diffeditor.backbones import StableDiffusion
from diffeditor.tasks import TASKS
from tests.tiny import quick, sample_task, sampler_of

READING = {"_local_scalar_dense", "nonzero", "is_nonzero", "masked_select", "equal"}
"""What needs a tensor's values on the host: item(), float(), bool(), indices of a mask."""


class Reads(TorchDispatchMode):
    """Within the block, collects the operations that read values."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.__name__.partition(".")[0]
        indices = args[1] if name in ("index", "index_put_") else ()
        if name in READING or any(i is not None and i.dtype is torch.bool for i in indices):
            self.found.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", TASKS)
def test_no_value_is_read_while_an_edit_is_sampled(tiny_model: StableDiffusion, name: str) -> None:
    """From the first step's end on: before it, the masks' tokens are counted once."""
    with torch.no_grad(), tiny_model.denoiser() as denoiser:
        task = sample_task(name, 64, 64)
        run = sampler_of(tiny_model, denoiser, task, quick(steps=5)).run()
        next(run)
        with Reads() as reads:
            steps = list(run)
    assert len(steps) == 4 and any(step.guidance_ratio is not None for step in steps)
    assert reads.found == []


@pytest.mark.parametrize(
    "read", [lambda x: x.sum().item(), lambda x: bool(x.any()), lambda x: x[x > 0]]
)
def test_a_read_value_would_be_found(read: Any) -> None:
    with Reads() as reads:
        read(torch.ones(3))
    assert reads.found
