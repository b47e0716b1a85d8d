"""How an edit uses a device's memory: three plans, from the roomiest to the most frugal, as data.

The first two give the same picture bit for bit. The last one rounds the memory bank to 16 bits and
evaluates pictures one by one, which changes the last digits.
"""

from dataclasses import dataclass

from diffeditor.errors import InvalidSetting


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """What is kept where, and what is computed again rather than kept.

    idle_on_host: encoders and autoencoder wait on the host while they have nothing to do
    checkpointed: the guided pass keeps few of its activations and computes the others again
    bank_on_host: the memory bank lies in the host's memory, and comes back layer by layer
    bank_halved: the memory bank is rounded to bfloat16
    one_by_one: the networks see one picture at a time, both halves of a guided step in turn
    """

    name: str
    idle_on_host: bool = False
    checkpointed: bool = False
    bank_on_host: bool = False
    bank_halved: bool = False
    one_by_one: bool = False


FAST = MemoryPlan(name="fast")
BALANCED = MemoryPlan(name="balanced", idle_on_host=True, checkpointed=True, bank_on_host=True)
LOW = MemoryPlan(
    name="low",
    idle_on_host=True,
    checkpointed=True,
    bank_on_host=True,
    bank_halved=True,
    one_by_one=True,
)

PLANS = (FAST, BALANCED, LOW)
"""From the roomiest to the most frugal."""

MEMORY_CHOICES = ("auto", *(plan.name for plan in PLANS))
"""What `load_editor(memory=...)` and --memory take; auto: the first plan that fits."""


def plans_from(first: MemoryPlan) -> tuple[MemoryPlan, ...]:
    """This plan and the more frugal ones."""
    return PLANS[PLANS.index(first) :]


def allowed_plans(memory: str) -> tuple[MemoryPlan, ...]:
    """The plans that an edit may begin with, by the choice of a user.

    Raises:
        InvalidSetting: there is no such choice.
    """
    if memory not in MEMORY_CHOICES:
        raise InvalidSetting(
            f"There is no memory plan {memory!r}; choose one of {', '.join(MEMORY_CHOICES)}."
        )
    return PLANS if memory == "auto" else tuple(plan for plan in PLANS if plan.name == memory)
