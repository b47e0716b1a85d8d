"""The release's pattern on the tiny model: its passes, its pictures, its wastes, and the table."""

import time
from collections.abc import Mapping
from dataclasses import fields, replace
from mmap import PAGESIZE, mmap

import pytest
import torch

from benchmarks.arithmetic import Cost, operations
from benchmarks.passes import KINDS
from benchmarks.peak import PeakMemory
from benchmarks.release import release_preset, table
from benchmarks.release_comparison import SAME_PICTURE, Comparison, difference
from benchmarks.release_pattern import HostBank, ReleasePattern, Waste, ever_less
from diffeditor import Preset
from diffeditor.backbones import StableDiffusion
from diffeditor.geometry import Size
from diffeditor.images import to_image
from diffeditor.tasks import Task
from tests.tiny import count_hooks, random_tensor, sample_task

SIDE = 64
METHOD = {
    "inversion": 50,
    "CFG": 2 * 58,
    "roll-forward": 12,
    "reference": 28,
    "guided": 28,
    "backward": 2 * 28,
}
"""The release's passes at 50 steps, as the method's description counts them."""


def task(name: str = "move") -> Task:
    return sample_task(name, SIDE, SIDE)


PRESET = release_preset(50, SIDE, None)
SHORT = release_preset(15, SIDE, None)  # guides in 6 steps; one travels, in 3 rounds
FRUGAL = Waste(**{field.name: False for field in fields(Waste)})


UNGUIDED = replace(SHORT, guidance_scale=1.0)


def passes(model: StableDiffusion, waste: Waste, preset: Preset = SHORT) -> dict[str, int]:
    """Of a first edit in a few steps."""
    pattern = ReleasePattern(model, preset, waste)
    pattern.edit(task(), seed=0)
    return pattern.passes


@pytest.fixture(scope="module")
def wasteful(tiny_model: StableDiffusion) -> dict[str, int]:
    """The passes of the release's pattern in a few steps."""
    return passes(tiny_model, Waste())


@pytest.fixture(scope="module")
def compared(tiny_model: StableDiffusion) -> Comparison:
    """All ways of one edit in a few steps, made forwards and backwards."""
    comparison = Comparison({"float32": tiny_model}, task(), SHORT)
    comparison.run(2, say=lambda _: None)
    return comparison


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("move", {}),
        ("face", {"backward": 28}),
        ("appearance", {"inversion": 100, "reference": 56}),
    ],
)
def test_the_passes_are_those_of_the_release(
    name: str, other: Mapping[str, int], tiny_model: StableDiffusion
) -> None:
    unguided = replace(tiny_model, strengths={name: {"guidance_scale": 1.0}})  # as some models need
    pattern = ReleasePattern(unguided, PRESET, Waste())
    pattern.edit(task(name), seed=0)
    assert pattern.passes == {**METHOD, **other}


@pytest.mark.parametrize(
    ("removed", "saved"),
    [
        ("features_each_round", {"reference": 2}),
        ("idle_half", {}),  # where the scale is above 1, both count
        ("last_roll_forward", {"roll-forward": 1}),
        ("host_bank", {}),
        ("second_unet", {}),
        ("inversion_each_edit", {}),
    ],
)
def test_a_waste_removed_saves_exactly_its_passes(
    removed: str,
    saved: Mapping[str, int],
    tiny_model: StableDiffusion,
    wasteful: Mapping[str, int],
) -> None:
    less = passes(tiny_model, replace(Waste(), **{removed: False}))
    spared = {kind: wasteful[kind] - less[kind] for kind in KINDS}
    assert {kind: count for kind, count in spared.items() if count} == saved


def test_at_scale_1_half_of_the_guided_passes_is_spared(tiny_model: StableDiffusion) -> None:
    both = ReleasePattern(tiny_model, UNGUIDED, Waste())
    half = ReleasePattern(tiny_model, UNGUIDED, replace(Waste(), idle_half=False))
    pictures = [to_image(pattern.edit(task(), seed=0)) for pattern in (both, half)]
    assert half.passes == {**both.passes, "CFG": both.passes["CFG"] // 2}
    assert difference(*pictures) < SAME_PICTURE


def test_every_waste_is_removed_in_turn() -> None:
    wastes = [waste for _, waste in ever_less()]
    assert wastes[0] == Waste() and wastes[-1] == FRUGAL
    assert len({*wastes}) == len(fields(Waste)) + 1


def test_a_kept_inversion_spares_the_next_edit_inversion_and_reference(
    tiny_model: StableDiffusion,
) -> None:
    pattern = ReleasePattern(tiny_model, SHORT, FRUGAL)
    first = pattern.edit(task(), seed=0)
    once = pattern.passes
    again = pattern.edit(task(), seed=0)
    assert torch.equal(first, again)
    assert pattern.passes == {**once, "inversion": 0, "reference": 0}


def test_the_release_makes_the_next_edit_from_the_start(
    tiny_model: StableDiffusion, wasteful: Mapping[str, int]
) -> None:
    pattern = ReleasePattern(tiny_model, SHORT, Waste())
    pattern.edit(task(), seed=0)
    pattern.edit(task(), seed=0)
    assert pattern.passes == wasteful


@pytest.mark.parametrize("second", [True, False])
def test_features_come_from_the_second_unet_if_there_is_one(
    second: bool, tiny_model: StableDiffusion
) -> None:
    its_own: list[bool] = []
    handle = tiny_model.unet.register_forward_pre_hook(
        lambda unet, _: its_own.append(unet is tiny_model.unet)
    )
    try:
        made = passes(tiny_model, replace(Waste(), second_unet=second))
    finally:
        handle.remove()
    assert its_own.count(False) == second * (made["reference"] + made["guided"])
    assert its_own.count(True) > 0


def test_the_host_bank_brings_an_entry_to_the_device_whenever_it_is_read() -> None:
    meta = torch.device("meta")
    bank = HostBank(range(2), meta)
    key, value = random_tensor(1, 4, 8), random_tensor(1, 4, 8, seed=1)
    bank.write(1, "layer", key, value)
    bank.write(2, "layer", key, value)
    assert [t.device for t in bank.read(1)["layer"]] == [meta, meta]
    assert bank.nbytes == 2 * key.numel() * key.element_size()


def test_all_pictures_are_equal(compared: Comparison) -> None:
    assert compared.differing() == []
    assert len(compared.ours) == 2


def test_a_picture_that_differs_is_named(compared: Comparison) -> None:
    way = compared.ours[1]
    kept = way.difference
    for wrong in (0.02, float("nan")):
        way.difference = wrong
        assert compared.differing() == [way]
    way.difference = kept


def test_the_edit_itself_changes_more_than_the_ways_differ_by(tiny_model: StableDiffusion) -> None:
    pattern = ReleasePattern(tiny_model, SHORT, Waste())
    pictures = [to_image(pattern.edit(task(name), seed=0)) for name in ("move", "drag")]
    assert difference(*pictures) > 0.01
    assert difference(pictures[0], pictures[0]) == 0


def test_ours_makes_the_frugal_passes(compared: Comparison) -> None:
    first, again = (way.passes for way in compared.ours)
    assert first == compared.pattern[-2].passes
    assert again == compared.pattern[-1].passes


def test_the_models_are_left_as_they_were(
    tiny_model: StableDiffusion, compared: Comparison
) -> None:
    assert count_hooks(tiny_model.unet) == 0
    assert all(way.seconds and way.processor and way.peak[0] > 0 for way in compared.ours)


def test_the_table_has_every_way_and_what_the_arithmetic_allows(compared: Comparison) -> None:
    text = table(compared, {"float32": 1e12})
    lines = text.splitlines()
    for way, row in zip((*compared.pattern, *compared.ours), lines[1:], strict=False):
        assert row.startswith(way.name) and f"{way.passes['CFG']}" in row
    assert all(kind in lines[0] for kind in KINDS)
    release, first = compared.pattern[0], compared.ours[0]
    assert f"arithmetic alone {release.operations / first.operations:.2f} x" in text


def test_operations_grow_with_the_passes_and_the_picture(tiny_model: StableDiffusion) -> None:
    small, large = (Cost.of(tiny_model, Size(side, side), 20) for side in (8, 16))
    assert 0 < small.features < small.whole < large.whole
    assert small.total({"CFG": 2, "guided": 1, "backward": 3}) == (
        2 * small.whole + small.features + 3 * small.backward
    )


def test_operations_are_those_of_a_convolution_counted_by_hand() -> None:
    layer = torch.nn.Conv2d(3, 5, 3, padding=1, device="meta")
    assert operations(lambda: layer(torch.empty(1, 3, 7, 7, device="meta"))) == 2 * 49 * 5 * 27


def test_peak_memory_sees_what_was_held_only_for_a_while() -> None:
    """Pages straight from the system: an allocator may have kept some from other tests."""
    size = 256 * 2**20
    with PeakMemory(torch.device("cpu")) as before:
        pass
    with PeakMemory(torch.device("cpu")) as held:
        with mmap(-1, size) as kept:
            for start in range(0, size, PAGESIZE):
                kept[start] = 1
            given_up = time.monotonic() + 60
            while held.bytes - before.bytes < size / 2 and time.monotonic() < given_up:
                time.sleep(0.01)
    assert held.bytes - before.bytes > size / 2
