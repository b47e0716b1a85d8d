"""Devices: finding one, what it computes best in, how much memory it has left, and running out.

No other module knows what kinds of device there are. An accelerator is whatever PyTorch was built
for and sees; all others are the host, where the CPU computes.
"""

import gc
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import cv2
import psutil
import torch
from torch import Tensor

from diffeditor.errors import InvalidSetting

T = TypeVar("T")

HOST = torch.device("cpu")

AUTO = "auto"

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""What networks can be run in, by name."""

DTYPE_CHOICES = (AUTO, *DTYPES)
"""What `load_editor(dtype=...)` and --dtype take."""

_FULL = ("out of memory", "can't allocate memory", "not enough memory", "insufficient memory")
"""What errors of no class of their own say: of Apple's devices, of the host and of OpenCV."""


def find_device(name: str) -> torch.device:
    """The device of this name; "auto" is an accelerator if there is one, else the host.

    Raises:
        InvalidSetting: there is no such device.
    """
    if name == AUTO:
        return torch.accelerator.current_accelerator(check_available=True) or HOST
    try:
        found = torch.device(name)
        torch.empty(1, device=found)
        torch.get_device_module(found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InvalidSetting(
            f'There is no device {name!r} here; use "auto", "cpu" or one that torch sees.'
        ) from error
    return found


def find_dtype(dtype: str | torch.dtype | None, device: torch.device) -> torch.dtype:
    """The dtype of this name; "auto" or None is the best one for the device.

    Raises:
        InvalidSetting: networks are not run in it.
    """
    if dtype is None or dtype == AUTO:
        return best_dtype(device)
    for name, known in DTYPES.items():
        if dtype in (name, known):
            return known
    raise InvalidSetting(
        f"Networks do not run in {dtype!r}; choose one of {', '.join(DTYPE_CHOICES)}."
    )


def best_dtype(device: torch.device) -> torch.dtype:
    """16 bits on accelerators with memory of their own, and on processors with instructions for it.

    Measured on a processor with AVX512-BF16: a pass of the embedded model's UNet takes 0.65 of the
    time, an edit 0.84, and the pictures differ by 42 to 57 dB where they are edited. Everything
    that needs it stays in float32: the steps, the features, the energies and the autoencoder.
    """
    if device.type == HOST.type:
        return torch.bfloat16 if multiplies_bfloat16(device) else torch.float32
    return torch.get_autocast_dtype(device.type) if _has_own_memory(device) else torch.float32


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16, and does not only emulate it."""
    if device.type == HOST.type:
        fast: Any = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # no public name tells it
        return bool(fast and fast())
    known: Any = getattr(torch.get_device_module(device), "is_bf16_supported", None)
    return bool(known and known(including_emulation=False))


def gains_by_compiling(device: torch.device) -> bool:
    """Whether `torch.compile` has kernels of its own, by Triton, for this kind of device."""
    return device.type != HOST.type and _has_own_memory(device)


class Lane:
    """Where one thread lets a device compute beside what other threads ask of it.

    Reading a value makes the host wait for all that was asked of the device before, which on a lane
    is the thread's own work alone. On the host a lane changes nothing.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream: torch.Stream | None = None
        if device.type != HOST.type and _has_own_memory(device):
            self._stream = torch.Stream(device=device)
            self._stream.wait_stream(torch.accelerator.current_stream(device))

    def run(self, work: Callable[[], T]) -> T:
        """What `work` returns, once the device has finished it."""
        if self._stream is None:
            return work()
        with self._stream:
            made = work()
        self._stream.synchronize()
        return made

    def hand_over(self, tensors: Sequence[Tensor]) -> None:
        """Tell the device that the calling thread now uses tensors made on this lane.

        Their memory is otherwise given to the lane's next work while they are still being read.
        """
        if self._stream is not None:
            for one in tensors:
                one.record_stream(torch.accelerator.current_stream(one.device))


def _has_own_memory(device: torch.device) -> bool:
    return hasattr(torch.get_device_module(device), "mem_get_info")


def free_bytes(device: torch.device) -> int:
    """Bytes that are left for tensors, what PyTorch holds in reserve included."""
    module: Any = torch.get_device_module(device)
    if _has_own_memory(device):
        reserve = module.memory_reserved(device) - module.memory_allocated(device)
        return int(module.mem_get_info(device)[0] + reserve)
    left = int(psutil.virtual_memory().available)
    if hasattr(module, "recommended_max_memory"):
        left = min(left, int(module.recommended_max_memory() - module.driver_allocated_memory()))
    return left


def release() -> None:
    """Give back the memory that no tensor uses."""
    gc.collect()
    if torch.accelerator.is_available():
        device: Any = torch.accelerator.current_accelerator()
        torch.get_device_module(device).empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device is full."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError | cv2.error) and any(text in said for text in _FULL)


def to_host(x: Tensor) -> Tensor:
    """A copy on the host, in pinned memory and without waiting for it; x itself if it is there."""
    if x.device.type == HOST.type:
        return x
    if not _has_own_memory(x.device):
        return x.to(HOST)
    copy = torch.empty(x.shape, dtype=x.dtype, device=HOST, pin_memory=True)
    return copy.copy_(x, non_blocking=True)


def to_device(x: Tensor, device: torch.device) -> Tensor:
    """x of the host on a device, without waiting for it; x itself if it is there."""
    if x.device.type == device.type:
        return x
    pinned = x.pin_memory() if _has_own_memory(device) and not x.is_pinned() else x
    return pinned.to(device, non_blocking=True)
