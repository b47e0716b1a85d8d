"""The memory plan of an editor's edits, chosen from what is free and from what went wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import isqrt

from diffeditor.backbones import Backbone
from diffeditor.config import MIN_RESOLUTION
from diffeditor.device import HOST, free_bytes, is_out_of_memory
from diffeditor.errors import OutOfMemory
from diffeditor.geometry import Size, working_size
from diffeditor.memory_plan import Work, cells_that_fit, first_that_fits, needed
from diffeditor.memory_policy import MemoryPlan, allowed_plans, plans_from
from diffeditor.plan import Grid

TOO_LARGE = (
    "The device has no room for this model and an edit; close other programs that use it, or "
    "choose another device."
)


class MemoryChoice:
    """A user's choice of a memory plan, and what running out of memory has made of it since."""

    def __init__(self, memory: str) -> None:
        """memory: auto, fast, balanced or low.

        Raises:
            InvalidSetting: it is none of these.
        """
        self._plans = allowed_plans(memory)

    @property
    def is_open(self) -> bool:
        """Whether there is more than one plan to choose from."""
        return len(self._plans) > 1

    def plan(self, backbone: Backbone, work: Work, forgettable: int) -> MemoryPlan:
        """The first plan that fits, if these bytes of inversions are forgotten where need be."""
        if not self.is_open:
            return self._plans[0]
        room = _room(backbone) + forgettable
        on_host = _on_host(backbone)
        return first_that_fits(self._plans, backbone.footprint(), work, room, on_host=on_host)

    def spare(self, backbone: Backbone, plan: MemoryPlan, work: Work, forgettable: int) -> int:
        """Bytes of inversions that may stay beside an edit."""
        if not self.is_open:
            return forgettable
        need = needed(backbone.footprint(), plan, work, on_host=_on_host(backbone))
        return _room(backbone) + forgettable - need

    def step_down(self, plan: MemoryPlan) -> MemoryPlan:
        """The next more frugal plan, for this edit and the ones to come; the last one stays."""
        more_frugal = plans_from(plan)[1:] or (plan,)
        self._plans = more_frugal if self.is_open else more_frugal[:1]
        return more_frugal[0]

    def fitting_side(self, backbone: Backbone, work: Work, source: Size) -> int | None:
        """The largest resolution of a preset with room for such an edit; None if there is none."""
        room, on_host = _room(backbone), _on_host(backbone)
        cells = cells_that_fit(backbone.footprint(), self._plans[-1], work, room, on_host=on_host)
        factor, multiple = backbone.latent_factor, backbone.multiple
        highest = isqrt(cells) * factor // multiple * multiple
        sides = range(highest, MIN_RESOLUTION - 1, -multiple)

        def area(side: int) -> int:
            return working_size(source, side, multiple).divided(factor).area

        return next((side for side in sides if area(side) <= cells), None)

    def no_room(self, backbone: Backbone, work: Work, grid: Grid) -> OutOfMemory:
        """What to tell when the last try has failed."""
        fits, size = self.fitting_side(backbone, work, grid.source), grid.working
        if fits is None:
            return OutOfMemory(TOO_LARGE)
        return OutOfMemory(
            f"The device has no room for a working size of {size.width} x {size.height}; set the "
            f"preset's resolution to {fits} or less."
        )


@contextmanager
def explained_lack() -> Iterator[None]:
    """Within the block, a full device is told as OutOfMemory."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(TOO_LARGE) from error


def _on_host(backbone: Backbone) -> bool:
    return backbone.device.type == HOST.type


def _room(backbone: Backbone) -> int:
    """Bytes that are free, with those of the idle parts where they are on the device."""
    waiting = backbone.plan.idle_on_host and not _on_host(backbone)
    return free_bytes(backbone.device) + (0 if waiting else backbone.footprint().idle)
