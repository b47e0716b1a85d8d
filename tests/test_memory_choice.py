"""The memory plan of edits: chosen by what is free, stepped down where that was too little."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from diffeditor.backbones import StableDiffusion
from diffeditor.backbones.stable_diffusion import checkpointing
from diffeditor.device import is_out_of_memory
from diffeditor.editor import AGAIN, Editor
from diffeditor.errors import InvalidSetting, OutOfMemory
from diffeditor.memory import MemoryBank
from diffeditor.memory_policy import BALANCED, FAST, LOW
from diffeditor.result import Result
from tests.tiny import count_hooks, quick, random_tensor, sample_task

QUICK = quick(steps=4)
TASK = sample_task("move", 80, 80)
GIGABYTE = 2**30
DEVICE = torch.device("meta")


def pixels(result: Result) -> np.ndarray:
    return np.asarray(result.image)


@contextmanager
def full(model: StableDiffusion, *calls: int) -> Iterator[None]:
    """These calls of the UNet find no memory."""
    made = 0

    def fail(*_: Any) -> None:
        nonlocal made
        made += 1
        if made in calls:
            raise torch.OutOfMemoryError("no room, says the test")

    hook = model.unet.get_submodule("mid_block").register_forward_pre_hook(fail)
    try:
        yield
    finally:
        hook.remove()


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes that are free, to be changed."""
    left = [GIGABYTE]
    monkeypatch.setattr("diffeditor.memory_choice.free_bytes", lambda _: left[0])
    return left


@pytest.mark.parametrize("name", ["fast", "balanced", "low"])
def test_every_plan_gives_the_picture(tiny_model: StableDiffusion, name: str) -> None:
    """The first two bit for bit, the last one nearly."""
    expected = pixels(Editor(tiny_model, memory="fast").edit(TASK, QUICK))
    result = Editor(tiny_model, memory=name).edit(TASK, QUICK)
    assert result.metadata["memory"] == name and result.metadata["warnings"] == []
    if name != "low":
        assert np.array_equal(pixels(result), expected)
    difference = np.abs(pixels(result).astype(int) - expected.astype(int))
    assert difference.mean() < 3


def test_two_pictures_run_one_by_one(tiny_model: StableDiffusion) -> None:
    task = sample_task("paste", 80, 80)
    roomy, frugal = (
        pixels(Editor(tiny_model, memory=name).edit(task, QUICK)).astype(int)
        for name in ("fast", "low")
    )
    assert np.abs(roomy - frugal).mean() < 3


def test_auto_takes_what_fits(tiny_model: StableDiffusion, free: list[int]) -> None:
    editor = Editor(tiny_model)
    assert editor.edit(TASK, QUICK).metadata["memory"] == "fast"
    free[0] = 0
    assert editor.edit(TASK, QUICK).metadata["memory"] == "low"
    free[0] = GIGABYTE
    assert editor.edit(TASK, QUICK).metadata["memory"] == "fast"


def test_inversions_of_other_edits_make_room(tiny_model: StableDiffusion, free: list[int]) -> None:
    editor, other = Editor(tiny_model), sample_task("move", 80, 80, prompt="another")
    editor.edit(TASK, QUICK)
    editor.edit(other, QUICK)
    assert editor.edit(TASK, QUICK).metadata["inversion_cached"]
    free[0] = -GIGABYTE
    editor.edit(other, QUICK)
    free[0] = GIGABYTE
    assert not editor.edit(TASK, QUICK).metadata["inversion_cached"]


@pytest.mark.parametrize("call", [2, 7, 9])
def test_a_full_device_steps_down_and_ends(tiny_model: StableDiffusion, call: int) -> None:
    editor = Editor(tiny_model)
    expected = pixels(editor.edit(TASK, QUICK))
    editor.clear_cache()
    with full(tiny_model, call):
        result = editor.edit(TASK, QUICK)
    assert result.metadata["memory"] == "balanced" and result.metadata["warnings"] == [AGAIN]
    assert np.array_equal(pixels(result), expected)
    again = editor.edit(TASK, QUICK)
    assert again.metadata["memory"] == "balanced" and again.metadata["warnings"] == []


def test_every_more_frugal_plan_is_tried(tiny_model: StableDiffusion) -> None:
    with full(tiny_model, 2, 4):
        result = Editor(tiny_model, memory="fast").edit(TASK, QUICK)
    assert result.metadata["memory"] == "low" and result.metadata["warnings"] == [AGAIN]


def test_progress_begins_anew(tiny_model: StableDiffusion) -> None:
    with full(tiny_model, 3):
        steps = [step.index for step in Editor(tiny_model).stream(TASK, QUICK)]
    assert steps == [1, 2, *range(1, 10)]


def test_a_device_that_stays_full_is_told_with_a_size_that_fits(
    tiny_model: StableDiffusion,
) -> None:
    editor = Editor(tiny_model, memory="fast")
    with full(tiny_model, 2, 4, 6), pytest.raises(OutOfMemory) as told:
        editor.edit(TASK, QUICK)
    assert str(told.value) == (
        "The device has no room for a working size of 96 x 96; set the preset's resolution to 64 "
        "or less."
    )
    assert editor.edit(TASK, quick(steps=4, resolution=64)).metadata["memory"] == "low"


def test_a_device_with_room_for_nothing_is_told(
    tiny_model: StableDiffusion, free: list[int]
) -> None:
    editor = Editor(tiny_model, memory="low")
    free[0] = -GIGABYTE
    with full(tiny_model, 2, 4), pytest.raises(OutOfMemory, match="close other programs that use"):
        editor.edit(TASK, QUICK)
    assert editor.edit(TASK, QUICK).metadata["memory"] == "low"


def test_other_errors_pass(tiny_model: StableDiffusion, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("a wire is loose")

    monkeypatch.setattr(tiny_model, "decode", broken)
    with pytest.raises(RuntimeError, match="a wire is loose"):
        Editor(tiny_model).edit(TASK, QUICK)


def test_a_preview_without_room_is_none(tiny_model: StableDiffusion) -> None:
    def no_room(*_: object) -> None:
        raise RuntimeError("MPS backend out of memory")

    steps = Editor(tiny_model).stream(TASK, QUICK)
    shown = [step for step in steps if step.phase == "sample"][-1]
    decoder = tiny_model.vae.get_submodule("decoder")
    assert shown.preview() is not None
    hook = decoder.register_forward_pre_hook(no_room)
    try:
        assert shown.preview() is None
    finally:
        hook.remove()


def test_an_unknown_plan_is_refused(tiny_model: StableDiffusion) -> None:
    with pytest.raises(InvalidSetting, match="There is no memory plan 'huge'"):
        Editor(tiny_model, memory="huge")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("x"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (cv2.error("(-4:Insufficient memory) Failed to allocate 9 bytes"), True),
        (cv2.error("(-215:Assertion failed) !ssize.empty()"), False),
        (RuntimeError("size mismatch"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_says_that_memory_is_full(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_a_bank_keeps_what_its_plan_says() -> None:
    x = random_tensor(1, 6, 8)
    banks = {plan.name: MemoryBank([0], plan) for plan in (FAST, BALANCED, LOW)}
    for bank in banks.values():
        bank.write(0, "layer", x, x.bfloat16())
    assert banks["fast"].nbytes == banks["balanced"].nbytes == 48 * (4 + 2)
    assert torch.equal(banks["balanced"].read(0)["layer"][0], x)
    assert banks["low"].nbytes == 48 * (2 + 2)
    assert torch.equal(banks["low"].read(0)["layer"][0], x.bfloat16())


def test_checkpointing_leaves_nothing_behind(tiny_model: StableDiffusion) -> None:
    unet = tiny_model.unet
    hooks, text = count_hooks(unet), repr(unet)
    with pytest.raises(KeyError), checkpointing(unet):
        assert unet.is_gradient_checkpointing
        raise KeyError
    assert not unet.is_gradient_checkpointing
    assert count_hooks(unet) == hooks and repr(unet) == text


def test_idle_parts_come_for_their_work_and_go(
    tiny_model: StableDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of where they go; there is one device here, so the moves are watched and not made."""
    moves: list[tuple[str, str]] = []
    move = torch.nn.Module.to

    def watched(part: torch.nn.Module, where: Any, *rest: Any, **options: Any) -> torch.nn.Module:
        moves.append((type(part).__name__, str(where)))
        return part if where == DEVICE else move(part, where, *rest, **options)

    monkeypatch.setattr(torch.nn.Module, "to", watched)
    monkeypatch.setattr(StableDiffusion, "device", DEVICE)
    tiny_model.follow(BALANCED)
    parts = {"AutoencoderKL", "CLIPTextModel", "CLIPVisionModelWithProjection"}
    assert set(moves) == {(name, "cpu") for name in (*parts, "ImagePromptEncoder")}
    moves.clear()
    with tiny_model._at_work(tiny_model.vae):
        assert moves == [("AutoencoderKL", "meta")]
    assert moves == [("AutoencoderKL", "meta"), ("AutoencoderKL", "cpu")]
    tiny_model.follow(FAST)
    moves.clear()
    with tiny_model._at_work(tiny_model.vae):
        pass
    assert moves == [("AutoencoderKL", "meta")]
