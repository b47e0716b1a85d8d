"""Which memory plan fits an edit, and which size fits a device. Pure arithmetic on footprints.

room     bytes free on the device, with those of the idle parts and of what can be forgotten
work     how large the edit is
needed   parts + held + working:
         parts    the idle parts that are on the device: all of them, or the largest alone
         held     memory bank and reference features
         working  the peak of the hungriest pass, and a reserve for what cannot be counted
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from diffeditor.backbones.footprint import Footprint
from diffeditor.memory_policy import MemoryPlan

RESERVE = 1.25
"""Times the counted peak of a pass: work space of the libraries, fragments between tensors."""

SMALLER = 0.75
"""Of the cells that found no room, the most that are said to fit."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What of an edit takes memory: latent cells, pictures, steps with a bank and with guidance."""

    cells: int
    pictures: int
    bank_steps: int
    guided_steps: int


def needed(footprint: Footprint, plan: MemoryPlan, work: Work, *, on_host: bool) -> int:
    """Bytes of the device that an edit needs beside the UNet.

    on_host: the device is the host itself, where waiting and being put aside save nothing.
    """
    parts = footprint.largest_idle if plan.idle_on_host and not on_host else footprint.idle
    bank = footprint.half_bank if plan.bank_halved else footprint.bank
    if plan.bank_on_host and not on_host:
        bank = 0.0
    held = work.pictures * (work.bank_steps * bank + work.guided_steps * footprint.features)
    working = max(
        footprint.plain * (1 if plan.one_by_one else 2),
        footprint.checkpointed if plan.checkpointed else footprint.guided,
        footprint.decoded * (1 if plan.one_by_one else work.pictures),
    )
    return parts + int(work.cells * (held + RESERVE * working))


def first_that_fits(
    plans: Sequence[MemoryPlan], footprint: Footprint, work: Work, room: int, *, on_host: bool
) -> MemoryPlan:
    """The first plan whose need has room; the last one if none has."""
    fits = (p for p in plans if needed(footprint, p, work, on_host=on_host) <= room)
    return next(fits, plans[-1])


def cells_that_fit(
    footprint: Footprint, plan: MemoryPlan, work: Work, room: int, *, on_host: bool
) -> int:
    """The most latent cells for which an edit like `work`, which found no room, would find it."""
    fixed, one = (
        needed(footprint, plan, replace(work, cells=cells), on_host=on_host) for cells in (0, 1000)
    )
    most = max(0, room - fixed) * 1000 // max(1, one - fixed)
    return min(most, int(SMALLER * work.cells))
