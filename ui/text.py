"""Every word the page says on its own; sentences about bad input come from the engine."""

from collections.abc import Iterable, Mapping
from typing import Any

TITLE = "DiffEditor"
SUBTITLE = "Say what goes where; the rest of the picture stays as it is."

MODEL = "Model"
OPEN_RECIPE = "Open a recipe"
EXAMPLES = "Examples"
PROMPT = "What your picture shows (optional)"
PROMPT_EXAMPLE = "a red ball on a wooden table"
REFERENCE_PROMPT = "What the second picture shows (optional)"
GROUPS = "Parts of the face to change"
STRENGTH = "How far, per cent of the way"
EDIT = "Edit"
CANCEL = "Cancel"
STATUS = "Status"
SEED = "Seed"

FEW_POINTS = 4
"""Up to so many points are spoken of one by one."""

READY = "Ready: press Edit."
NO_PICTURE = "Open your picture, or click on an example."
NO_REFERENCE = "Open the second picture too."
NOT_UPLOADED = "Use a picture that was loaded on this page."
GONE = "The picture is no longer there; open it again."
RESULT_GONE = "This result is no longer there; results are kept for a day."
RELOAD = "The page sent something that cannot be used; load it again."
WAITING = "Waiting for its turn"
STARTING = "Starting"
STOPPED = "Stopped."
UNEXPECTED = "Something went wrong that should not; the terminal says more."


def cannot_listen(host: str, port: int | None) -> str:
    """What to do where the page cannot be served."""
    return f"The page cannot be served on {host}, port {port}; choose another port or host."


def model(name: str) -> str:
    """A model in a list."""
    return f"{MODEL}: {name}"


def ready(warnings: Iterable[str]) -> str:
    """That nothing is missing, and what should be known before it runs."""
    return " ".join([READY, *warnings])


def counted(status: str, number: int, total: int) -> str:
    """A status of one of several runs."""
    return f"Picture {number} of {total}: {status}"


def done(metadata: Mapping[str, Any]) -> str:
    """What an edit came to, from its metadata; ways too short to be measured are left out."""
    sentences = [f"Done in {metadata['seconds']['total']:.1f} s."]
    shares = metadata["reached"]
    went = {n: round(100 * max(0.0, x)) for n, x in enumerate(shares, 1) if x is not None}
    if len(shares) == 1 and went:
        sentences.append(f"It went {went[1]} % of its way.")
    elif len(shares) <= FEW_POINTS:
        sentences += [f"Point {n} went {percent} % of its way." for n, percent in went.items()]
    elif went:
        sentences.append(f"The points went {round(sum(went.values()) / len(went))} % of their way.")
    return " ".join([*sentences, *metadata["warnings"]])
