"""Which plan fits, which size fits: arithmetic on footprints, and the footprint of a real model."""

from dataclasses import replace

import pytest
import torch

from diffeditor.backbones import StableDiffusion
from diffeditor.backbones.footprint import Footprint, PeakBytes
from diffeditor.errors import InvalidSetting
from diffeditor.memory_plan import (
    RESERVE,
    SMALLER,
    Work,
    cells_that_fit,
    first_that_fits,
    needed,
)
from diffeditor.memory_policy import BALANCED, FAST, LOW, PLANS, allowed_plans, plans_from

MODEL = Footprint(
    idle=1000,
    largest_idle=600,
    plain=20.0,
    guided=100.0,
    checkpointed=50.0,
    decoded=30.0,
    bank=4.0,
    half_bank=2.0,
    features=3.0,
)
WORK = Work(cells=100, pictures=1, bank_steps=50, guided_steps=20)


def test_each_plan_needs_less_than_the_one_before() -> None:
    needs = [needed(MODEL, plan, WORK, on_host=False) for plan in PLANS]
    assert needs == sorted(needs, reverse=True) and len(set(needs[:2])) == 2
    assert needs[0] == 1000 + 100 * (50 * 4 + 20 * 3 + RESERVE * 100)
    assert needs[1] == 600 + 100 * (20 * 3 + RESERVE * 50)


def test_on_the_host_waiting_there_saves_nothing() -> None:
    fast, balanced, low = (needed(MODEL, plan, WORK, on_host=True) for plan in PLANS)
    assert balanced == fast - 100 * RESERVE * 50  # the gradient alone
    assert low == balanced - 100 * 50 * 2  # the bank in half as many bits


def test_a_second_picture_takes_its_own_bank_and_features() -> None:
    more = needed(MODEL, FAST, replace(WORK, pictures=2), on_host=False)
    assert more - needed(MODEL, FAST, WORK, on_host=False) == 100 * (50 * 4 + 20 * 3)


@pytest.mark.parametrize("plan", PLANS)
def test_the_first_plan_with_room_is_taken(plan: object) -> None:
    assert plan in PLANS
    room = needed(MODEL, plan, WORK, on_host=False)  # type: ignore[arg-type]
    found = first_that_fits(PLANS, MODEL, WORK, room, on_host=False)
    assert needed(MODEL, found, WORK, on_host=False) == room
    assert first_that_fits(PLANS, MODEL, WORK, 0, on_host=False) is LOW


def test_the_size_that_is_named_fits_and_no_larger_one_does() -> None:
    work = replace(WORK, cells=10_000)
    room = needed(MODEL, LOW, replace(work, cells=1234), on_host=False)
    cells = cells_that_fit(MODEL, LOW, work, room, on_host=False)
    assert cells == 1234
    assert needed(MODEL, LOW, replace(work, cells=cells + 1), on_host=False) > room
    assert cells_that_fit(MODEL, LOW, work, 0, on_host=False) == 0


def test_a_size_that_found_no_room_is_never_named() -> None:
    assert cells_that_fit(MODEL, LOW, WORK, 10**12, on_host=False) == SMALLER * WORK.cells


def test_a_choice_is_a_plan_or_all_of_them() -> None:
    assert allowed_plans("auto") == PLANS and allowed_plans("balanced") == (BALANCED,)
    assert plans_from(BALANCED) == (BALANCED, LOW)
    with pytest.raises(InvalidSetting, match="no memory plan 'tiny'; choose one of auto, fast, ba"):
        allowed_plans("tiny")


def test_bytes_are_counted_while_they_are_held() -> None:
    x = torch.zeros(1000)
    with PeakBytes() as counted:
        y = x + 1
        z = y.view(10, 100)
        z.add_(1)
        assert counted.now == counted.peak == 4000
        del y, z
        assert counted.now == 0
        w = x.clone().requires_grad_()
        squared = (w * 2).square().sum()  # holds w and w * 2
        assert counted.now == 8004
        squared.backward()
    assert counted.peak > 8004


def test_the_footprint_of_a_model_is_measured(tiny_model: StableDiffusion) -> None:
    found = tiny_model.footprint()
    assert found is tiny_model.footprint()
    assert 0 < found.plain < found.checkpointed < found.guided
    assert 0 < found.largest_idle < found.idle
    assert found.half_bank == found.bank / 2
    # keys and values, two layers of 32 channels on a quarter of the cells and two of 16
    assert found.bank == 2 * 4 * (2 * 32 / 4 + 2 * 16)
    assert tiny_model.plan is FAST
