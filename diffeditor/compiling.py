"""The UNet's plain passes compiled: kernels made for them once, and kept on the disk.

Only passes without a gradient are compiled. What attention does beside its own work is data to
them: they write to an empty bank and read from one of a single step, always as step 0, so that one
compiled pass serves every step.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch._dynamo.config as dynamo
from diffusers import UNet2DConditionModel
from torch import Tensor

from diffeditor.attention import AttentionControl, AttentionPass
from diffeditor.device import HOST, is_out_of_memory
from diffeditor.errors import InvalidSetting
from diffeditor.memory import MemoryBank

CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
"""Where PyTorch keeps what it compiled, and finds it in later processes."""

CACHE_FOLDER = Path("~/.cache/diffeditor/compiled")

INDUCTOR = "inductor"
"""PyTorch's own compiler; on accelerators it needs Triton and a C compiler."""

REPLAYED = {"triton.cudagraphs": True, "triton.cudagraph_skip_dynamic_graphs": True}
"""Accelerators record a pass of fixed shape and replay it, as in the mode "reduce-overhead"."""

KINDS = 64
"""Compiled passes that are kept; PyTorch keeps 8. An edit has about five, other sizes have more."""

ON_HOST = "A CPU would take many minutes to compile the model; leave out compile, or take a GPU."


def check_compiles(device: torch.device) -> None:
    """Refuse to compile for a device where it does not pay; the figures are in docs/speed.md.

    Raises:
        InvalidSetting: it is the host.
    """
    if device.type == HOST.type:
        raise InvalidSetting(ON_HOST)


class CompiledUNet:
    """The plain passes of a UNet, compiled at the first call of each kind.

    Kinds differ by what attention does, by batch and by size. A UNet that cannot be compiled runs
    as it is; `failure` then says so in a sentence.
    """

    def __init__(
        self, unet: UNet2DConditionModel, backend: str | Callable[..., Any] = INDUCTOR
    ) -> None:
        """backend: of torch.compile, a name or a function."""
        self._unet = unet
        self._backend = backend
        self._forward: Any = None
        # Recorded passes belong to the thread that made them, but a page calls from many.
        self._thread = ThreadPoolExecutor(max_workers=1)
        self.failure: str | None = None

    def __call__(self, control: AttentionControl, *inputs: Tensor) -> Tensor:
        """The UNet's output for its inputs, under the attention that `control` says."""
        if self.failure is None:
            now = control.current
            try:
                return self._thread.submit(self._compiled, control, *inputs).result()
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                self.failure = (
                    f"The model could not be compiled here, so it ran as it is ({_cause(error)})."
                )
            finally:
                control.current = now
        return self._unet(*inputs, return_dict=False)[0]

    @torch.no_grad()
    def _compiled(self, control: AttentionControl, *inputs: Tensor) -> Tensor:
        now, written = control.current, MemoryBank([0])
        control.current = _at_step_0(now, written, inputs[0].device)
        torch.compiler.cudagraph_mark_step_begin()
        with dynamo.patch(recompile_limit=KINDS):
            output = self._made()(*inputs, return_dict=False)[0]
        if now.write is not None:
            bank, step = now.write
            for layer, (key, value) in written.read(0).items():
                bank.write(step, layer, self._own(key), self._own(value))
        return self._own(output)

    def _own(self, x: Tensor) -> Tensor:
        """x in memory of its own: the next replay of a recorded pass overwrites its outputs."""
        return x if self._unet.device.type == HOST.type else x.clone()

    def _made(self) -> Any:
        if self._forward is None:
            options: dict[str, Any] = {"backend": self._backend}
            if self._backend == INDUCTOR:
                os.environ.setdefault(CACHE_VARIABLE, str(CACHE_FOLDER.expanduser()))
                options["options"] = REPLAYED
            self._forward = torch.compile(self._unet.forward, fullgraph=True, **options)
        return self._forward


def _at_step_0(now: AttentionPass, written: MemoryBank, device: torch.device) -> AttentionPass:
    """The same pass with an empty bank to write to, and a step that is read on the device."""
    return replace(
        now,
        write=None if now.write is None else (written, 0),
        read=None if now.read is None else (now.read[0].alone(now.read[1], device), 0),
    )


def _cause(error: Exception) -> str:
    """What went wrong, in a line; PyTorch wraps what a backend raised."""
    cause = getattr(error, "inner_exception", error)
    text = str(cause).strip().splitlines()
    return f"{type(cause).__name__}: {text[0]}" if text else type(cause).__name__
