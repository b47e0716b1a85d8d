"""Every word the page says on its own; sentences about bad input come from the engine."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ui.models import Parts

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
LONGEST_NAME = 80
"""Characters of a name that a stranger may have chosen."""

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
NOT_MADE = "The edit was not made; the message in the corner of the page says why."
UNEXPECTED = "Something went wrong that should not; the terminal says more."


def cannot_listen(host: str, port: int | None) -> str:
    """What to do where the page cannot be served."""
    return f"The page cannot be served on {host}, port {port}; choose another port or host."


def other_model(name: str) -> str:
    """That a recipe's model is not to be had here."""
    return (
        f"The recipe was made with the model {_short(name)}, which is not offered here; "
        "another one gives another picture."
    )


def other_parts(recipe: Parts, here: Parts) -> str:
    """That a recipe's model had another VAE or other LoRA files than here."""
    return (
        f"The recipe was made with {_parts(*recipe)}, and its model is here with "
        f"{_parts(*here)}: the picture will be another one."
    )


def _parts(vae: str | None, loras: Sequence[str]) -> str:
    files = f"the LoRA files {', '.join(map(_short, loras))}" if loras else "no LoRA files"
    return f"{_short(vae) if vae else 'its own VAE'} and {files}"


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."


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
