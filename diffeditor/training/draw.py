"""What is random in one call of the objective."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What is random in one call of the objective, and how far the run is (progress in [0, 1]).

    call: how many calls this process made before, in this run and those that it goes on from.
    """

    call: int
    progress: float
    rng: np.random.Generator
    generator: torch.Generator

    @classmethod
    def of(cls, seed: int, process: int, call: int, progress: float, device: torch.device) -> Draw:
        """The draw of this call; equal arguments give equal draws."""
        rng = np.random.default_rng((seed, process, call))
        generator = torch.Generator(device).manual_seed(int(rng.integers(1 << 62)))
        return cls(call=call, progress=progress, rng=rng, generator=generator)
