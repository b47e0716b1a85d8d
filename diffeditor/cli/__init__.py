"""The command line: diffeditor COMMAND ... Every task is a command, every field an option.

The first argument chooses the command; only then are its parser and what it needs imported, so that
`diffeditor --help` answers at once. Exit status: 0 done, 2 wrong input, 130 interrupted.
"""

import sys
from collections.abc import Sequence

from diffeditor.cli.command import group, module_command
from diffeditor.cli.edits import RUN, edit_command
from diffeditor.cli.files import CONVERT_IMAGE_PROMPT, WORLDS
from diffeditor.cli.page import APP
from diffeditor.errors import DiffEditorError

ABOUT = (
    "Edit pictures by points, masks and references. COMMAND --help tells what a command takes; "
    "edits and the page take --model, --device, --dtype and --memory."
)

INTERRUPTED = 130
WRONG_INPUT = 2

COMMANDS = {
    "app": APP,
    "move": edit_command("move", "move or resize an object"),
    "drag": edit_command("drag", "drag points to where they should be"),
    "face": edit_command("face", "give a face the shape of another one"),
    "paste": edit_command("paste", "paste an object from another picture"),
    "appearance": edit_command("appearance", "make an object look like another one"),
    "run": RUN,
    "train": group(
        "train a model",
        {
            "embedded": module_command("training.command", "train the embedded model"),
            "image-prompt": module_command(
                "training.image_prompt_command", "train an image prompt for any model"
            ),
        },
    ),
    "models": group(
        "find, download and check models",
        {
            "list": module_command("models.list", "the known models, and which of them are here"),
            "fetch": module_command("models.fetch", "download a model of the hub"),
            "verify": module_command(
                "models.verify", "check that a model's files are whole and right"
            ),
        },
    ),
    "convert": group(
        "change the layout of a file",
        {"image-prompt": CONVERT_IMAGE_PROMPT},
    ),
    "bench": group(
        "measure the model and the method",
        {
            "worlds": module_command("bench.worlds", "edits of worlds against their ground truth"),
            "teeth": module_command("bench.teeth", "how often opening a closed mouth shows teeth"),
            "reconstruction": module_command(
                "bench.reconstruction", "autoencoder, and inversion and back"
            ),
            "samples": module_command("bench.samples", "pictures from text against renders"),
        },
    ),
    "worlds": WORLDS,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        group(ABOUT, COMMANDS).run("diffeditor", given)
    except DiffEditorError as error:
        print(f"diffeditor: error: {error}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        print("diffeditor: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0
