"""The memory bank: what is kept, and that nothing is written after the inversion."""

import pytest
import torch

from diffeditor.device import to_device
from diffeditor.memory import MemoryBank
from tests.tiny import random_tensor


def test_only_the_wanted_steps_are_kept() -> None:
    bank = MemoryBank([2, 3])
    for step in range(5):
        bank.write(step, "layer", torch.full((1, 4, 2), step), torch.full((1, 4, 2), -step))
    key, value = bank.read(3)["layer"]
    assert bool((key == 3).all()) and bool((value == -3).all())
    assert bank.nbytes == 2 * 2 * key.numel() * key.element_size()
    with pytest.raises(KeyError):
        bank.read(4)


def test_a_frozen_bank_refuses_every_write() -> None:
    bank = MemoryBank([0])
    bank.write(0, "layer", torch.ones(1, 2, 2), torch.ones(1, 2, 2))
    bank.freeze()
    for step in (0, 1):
        with pytest.raises(RuntimeError, match="frozen"):
            bank.write(step, "layer", torch.zeros(1, 2, 2), torch.zeros(1, 2, 2))
    assert bool(bank.read(0)["layer"][0].all())


def test_entries_hold_no_graph() -> None:
    bank = MemoryBank([0])
    key = random_tensor(1, 2, 2).requires_grad_() * 2
    bank.write(0, "layer", key, key)
    assert not any(entry.requires_grad for entry in bank.read(0)["layer"])


def test_what_is_on_the_device_already_stays_as_it_is() -> None:
    """Pinning is for tensors of the host: others refuse it."""
    there = torch.empty(2, device="meta")
    assert to_device(there, torch.device("meta")) is there
