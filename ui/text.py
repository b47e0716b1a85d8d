"""Every word the page says on its own; sentences about bad input come from the engine."""

from collections.abc import Mapping
from typing import Any

TITLE = "DiffEditor"
SUBTITLE = "Say what goes where; the rest of the picture stays as it is."

PICTURE = "Your picture"
PICTURE_HINT = "Drop a picture here. Brush over the part that the edit is about."
MASK_FILE = "Mask from a file"
REFERENCE = "Second picture"
REFERENCE_HINT = "Drop the second picture here."
BOARD = "Click here"
BOARD_SEEN = "What is marked"
ADVICE = "What is next"
PROMPT = "What it shows (optional)"
PROMPT_EXAMPLE = "a red ball on a wooden table"
REFERENCE_PROMPT = "What the second picture shows (optional)"
EXAMPLES = "Examples"
POINTS = "Points, in pixels"
POINT_COLUMNS = ["from x", "from y", "to x", "to y"]
REMOVE_POINT = "Remove the last point"
SHIFT_X = "Right, pixels"
SHIFT_Y = "Down, pixels"
SCALE = "Size"
FILL_FILE = "Fill the gap like this mask"
GROUPS = "Parts of the face to change"

EDIT = "Edit"
CANCEL = "Cancel"
STATUS = "Status"
RESULT = "Before and after"
SAVE_PICTURE = "Download picture"
SAVE_RECIPE = "Download recipe"
NUMBERS = "Numbers of this edit"
PRESET = "Preset"
SEED = "Seed"
STEPS = "Steps"
SETTINGS = "Strengths"
RESET = "Back to defaults"
DEFAULT = "default"
RESOLUTION = "Working size, pixels"

STRENGTHS: Mapping[str, str] = {
    "guidance_scale": "Pull of the prompt",
    "energy_scale": "Pull of the edit",
    "eta_in": "Freedom inside the edit",
    "eta_out": "Freedom outside the edit",
    "image_prompt_scale": "Weight of the image prompt",
    "w_edit": "Edit reaches its goal",
    "w_content": "The rest stays",
    "w_contrast": "The left place differs",
    "w_inpaint": "The left place is filled",
}
"""Plain words for the strengths of a preset, by field name."""

FEW_POINTS = 4
"""Up to so many points are spoken of one by one."""

READY = "Press Edit."
NO_PICTURE = "Load a picture first."
NO_REFERENCE = "Load the second picture too."
NOT_UPLOADED = "Use a picture that was loaded on this page."
RELOAD = "The page sent something that cannot be used; load it again."
BAD_MASK = "The mask file is not a picture that can be read; save it as PNG."
NO_TOOL = "Choose what to do in the tabs."
WHERE_TO = "Now click where that shall go."
STARTING = "Starting"
STOPPED = "Stopped."
UNEXPECTED = "Something went wrong that should not; the terminal says more."


def mask_size(mask: tuple[int, int], picture: tuple[int, int]) -> str:
    """Both sizes are (width, height) in pixels."""
    return (
        f"The mask file is {mask[0]} x {mask[1]} pixels and its picture {picture[0]} x "
        f"{picture[1]}; make both the same size."
    )


def whole_number(name: str, value: Any) -> str:
    """What to do about a box that needs a whole number and holds something else."""
    return f"{name} must be a whole number, not {value!r}."


def limits(low: float, high: float) -> str:
    """The range of a number box."""
    return f"{low:g} to {high:g}"


def cannot_listen(host: str, port: int | None) -> str:
    """What to do where the page cannot be served."""
    return f"The page cannot be served on {host}, port {port}; choose another port or host."


def model(name: str, native_size: int) -> str:
    """Which model edits here."""
    return f"Model: {name}, at its best near {native_size} x {native_size} pixels"


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
