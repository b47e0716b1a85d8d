"""The largest memory held within a `with` block, on a device or by this process."""

import threading
from typing import Self

import psutil
import torch

INTERVAL = 0.01
"""Seconds between two looks at the process."""


class PeakMemory:
    """`bytes` of the block: allocated on an accelerator, or resident in host memory on the CPU.

    What the host's allocator keeps from earlier work counts as resident.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._process = psutil.Process()
        self.bytes = 0

    def __enter__(self) -> Self:
        if self._device.type == "cpu":
            self._watch.start()
        else:
            torch.accelerator.reset_peak_memory_stats(self._device)
        return self

    def __exit__(self, *_: object) -> None:
        if self._device.type == "cpu":
            self._stop.set()
            self._watch.join()
        else:
            self.bytes = torch.accelerator.max_memory_allocated(self._device)

    def _look(self) -> None:
        while True:
            self.bytes = max(self.bytes, self._process.memory_info().rss)
            if self._stop.wait(INTERVAL):
                return
