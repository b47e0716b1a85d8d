"""Compiled passes: the picture of the plain ones, one graph for all steps, and what fails."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, fx

from diffeditor.attention import AttentionPass, BankReader
from diffeditor.backbones import StableDiffusion
from diffeditor.compiling import CompiledUNet
from diffeditor.config import StepWindow
from diffeditor.editor import Editor, load_editor
from diffeditor.errors import InvalidSetting
from diffeditor.memory import MemoryBank
from diffeditor.plan import KVRule
from tests.tiny import TEXT_WIDTH, quick, random_tensor, sample_task

STEPS = 8
KINDS = 5
"""Passes that differ in an edit: of the inversion, travelling back, and with the bank, the image
prompt or both."""

# PyTorch's compiler uses what PyTorch has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")


@pytest.fixture(autouse=True)
def nothing_compiled() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


class AsItIs:
    """A backend that leaves graphs as they are, and keeps them."""

    def __init__(self) -> None:
        self.graphs = list[fx.GraphModule]()

    def __call__(self, graph: fx.GraphModule, _inputs: object) -> Callable[..., Any]:
        self.graphs.append(graph)
        return graph.forward


def compiled(model: StableDiffusion, backend: str | Callable[..., Any]) -> StableDiffusion:
    return replace(model, compiled=CompiledUNet(model.unet, backend))


def test_the_picture_is_that_of_the_plain_passes(tiny_model: StableDiffusion) -> None:
    as_it_is = AsItIs()
    task, preset = sample_task("move", 80, 80), quick(steps=STEPS)
    expected = Editor(tiny_model).edit(task, preset)
    result = Editor(compiled(tiny_model, as_it_is)).edit(task, preset)
    assert np.array_equal(np.asarray(result.image), np.asarray(expected.image))
    assert result.metadata["warnings"] == expected.metadata["warnings"]
    assert 1 < len(as_it_is.graphs) <= KINDS


def test_keys_and_values_come_out_of_a_pass_and_go_into_the_next(
    tiny_model: StableDiffusion,
) -> None:
    """By the path that PyTorch's own compiler takes too, up to where it makes kernels."""
    z, text = random_tensor(1, 4, 8, 8), random_tensor(1, 6, TEXT_WIDTH)
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 4:12] = 1
    rule = KVRule(keep_own=True, masks=(mask,), window=StepWindow())

    def made(model: StableDiffusion) -> list[Tensor]:
        bank = MemoryBank([3])
        with torch.no_grad(), model.denoiser() as denoiser:
            inverted = denoiser.eps(z, 500, text, AttentionPass(write=(bank, 3)))
            reader = BankReader(bank, rule)
            edited = denoiser.eps(z, 300, text, AttentionPass(read=(reader, 3)))
        return [inverted, edited, *(x for entry in bank.read(3).values() for x in entry)]

    model = compiled(tiny_model, "aot_eager")
    torch.testing.assert_close(made(model), made(tiny_model), atol=1e-6, rtol=1e-5)
    assert model.compiled is not None and model.compiled.failure is None


def test_pages_call_from_many_threads_and_one_runs_the_passes(tiny_model: StableDiffusion) -> None:
    seen = set[int]()

    def noting(graph: fx.GraphModule, _inputs: object) -> Callable[..., Any]:
        def run(*inputs: Any) -> Any:
            seen.add(threading.get_ident())
            return graph.forward(*inputs)

        return run

    model = compiled(tiny_model, noting)
    inputs = random_tensor(1, 4, 8, 8), 500, random_tensor(1, 6, TEXT_WIDTH)

    def call() -> None:
        with torch.no_grad(), model.denoiser() as denoiser:
            denoiser.eps(*inputs)

    for _ in range(2):
        with ThreadPoolExecutor(1) as caller:
            caller.submit(call).result()
    assert len(seen) == 1 and threading.get_ident() not in seen


def test_a_cpu_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="leave out compile, or take a GPU"):
        load_editor("embedded", device="cpu", compile=True)


def test_a_later_edit_uses_what_was_compiled(tiny_model: StableDiffusion) -> None:
    as_it_is = AsItIs()
    model = compiled(tiny_model, as_it_is)
    z, text = random_tensor(1, 4, 8, 8), random_tensor(1, 6, TEXT_WIDTH)
    for step in range(3):
        bank = MemoryBank([step])
        with torch.no_grad(), model.denoiser() as denoiser:
            denoiser.eps(z, 500 + step, text, AttentionPass(write=(bank, step)))
        assert len(bank.read(step)) == 4
    assert len(as_it_is.graphs) == 1


def test_what_cannot_be_compiled_runs_as_it_is_and_tells_so(tiny_model: StableDiffusion) -> None:
    def without_compiler(_graph: object, _inputs: object) -> Callable[..., Any]:
        raise RuntimeError("No working C++ compiler")

    task, preset = sample_task("move", 80, 80), quick(steps=4)
    expected = Editor(tiny_model).edit(task, preset)
    result = Editor(compiled(tiny_model, without_compiler)).edit(task, preset)
    assert np.array_equal(np.asarray(result.image), np.asarray(expected.image))
    (told,) = set(result.metadata["warnings"]) - set(expected.metadata["warnings"])
    assert told.startswith("The model could not be compiled here") and "C++ compiler" in told


def test_a_full_device_is_no_failure_to_compile(tiny_model: StableDiffusion) -> None:
    def full(_graph: object, _inputs: object) -> Callable[..., Any]:
        raise torch.OutOfMemoryError("out of memory")

    model = compiled(tiny_model, full)
    inputs = random_tensor(1, 4, 8, 8), 500, random_tensor(1, 6, TEXT_WIDTH)
    with torch.no_grad(), model.denoiser() as denoiser, pytest.raises(RuntimeError):
        denoiser.eps(*inputs)
    assert model.compiled is not None and model.compiled.failure is None


def test_a_pass_with_a_gradient_is_left_alone(tiny_model: StableDiffusion) -> None:
    def unwanted(_graph: object, _inputs: object) -> Callable[..., Any]:
        raise AssertionError

    model = compiled(tiny_model, unwanted)
    z = random_tensor(1, 4, 8, 8).requires_grad_()
    with torch.enable_grad(), model.denoiser() as denoiser:
        denoiser.eps(z, 500, random_tensor(1, 6, TEXT_WIDTH)).sum().backward()
    assert z.grad is not None
    assert model.compiled is not None and model.compiled.failure is None
