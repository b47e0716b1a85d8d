"""The command line: diffeditor COMMAND ... Every task is a command, every field an option.

The first argument chooses the command; only then are its parser and what it needs imported, so that
`diffeditor --help` answers at once. Exit status: 0 done, 2 wrong input, 130 interrupted.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import MISSING, dataclass, field, fields, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffeditor.errors import DiffEditorError, InvalidSetting
from diffeditor.memory_policy import MEMORY_CHOICES

if TYPE_CHECKING:
    from diffeditor.config import Preset
    from diffeditor.editor import Editor
    from diffeditor.recipe import Recipe
    from diffeditor.result import Result, Step

ABOUT = (
    "Edit pictures by points, masks and references. COMMAND --help tells what a command takes; "
    "edits and the page take --model, --device, --dtype and --memory."
)

INTERRUPTED = 130
WRONG_INPUT = 2
WORLD_SIDES = (16, 2048)
"""Pixels; renderers work with several float planes per object."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A word on the command line: its help, and what it does with the arguments after it.

    run: (the program's name so far, those arguments) -> None.
    """

    help: str
    run: Callable[[str, Sequence[str]], None]


@dataclass(frozen=True, kw_only=True)
class Option:
    """How a field of a task is given: the settings of `add_argument`, and how its value is read."""

    help: str
    flag: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    read: Callable[[Any], Any] = lambda value: value


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        _group(ABOUT, COMMANDS).run("diffeditor", given)
    except DiffEditorError as error:
        print(f"diffeditor: error: {error}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        print("diffeditor: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def _group(help: str, commands: Mapping[str, Command]) -> Command:
    """A command whose first argument names another one."""

    def run(program: str, given: Sequence[str]) -> None:
        parser = argparse.ArgumentParser(prog=program, description=help)
        names = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
        for name, command in commands.items():
            names.add_parser(name, help=command.help, add_help=False)
        chosen = parser.parse_args(given[:1]).command
        commands[chosen].run(f"{program} {chosen}", given[1:])

    return Command(help=help, run=run)


def _leaf(
    help: str,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    act: Callable[[argparse.Namespace], None],
) -> Command:
    """A command with options; `add_arguments` runs only when it is chosen."""

    def run(program: str, given: Sequence[str]) -> None:
        parser = argparse.ArgumentParser(prog=program, description=help)
        add_arguments(parser)
        act(parser.parse_args(given))

    return Command(help=help, run=run)


# Edits


def _read_points(values: Sequence[Sequence[float]] | None) -> list[Any]:
    return [((x0, y0), (x1, y1)) for x0, y0, x1, y1 in values or ()]


def _read_groups(values: Sequence[str]) -> str | Sequence[str]:
    return "all" if list(values) == ["all"] else values


def _read_landmarks(path: str | None) -> Any:
    """An array (68, 2) or nested lists from .npy or .json; the task checks what they hold."""
    import numpy as np

    if path is None:
        return None
    try:
        if path.lower().endswith(".npy"):
            return np.load(path, allow_pickle=False)
        return json.loads(Path(path).read_bytes())
    except (OSError, ValueError, EOFError, RecursionError) as error:
        raise InvalidSetting(
            f"The landmarks {path!r} cannot be read; give a .json or .npy file of 68 points x, y."
        ) from error


_FILE = {"metavar": "FILE"}
_MASK = "bright where it selects, of the size of its picture"
TASK_OPTIONS = {
    "image": Option(help="the picture to edit", settings=_FILE),
    "mask": Option(help=f"what the edit acts on: {_MASK}", settings=_FILE),
    "fill_mask": Option(help=f"what to fill the vacated place with: {_MASK}", settings=_FILE),
    "reference": Option(help="the second picture", settings=_FILE),
    "reference_mask": Option(help=f"what to take from the reference: {_MASK}", settings=_FILE),
    "shift": Option(
        help="how far to move it, in pixels right and down",
        settings={"nargs": 2, "type": float, "metavar": ("DX", "DY")},
    ),
    "scale": Option(help="how much larger to make it", settings={"type": float}),
    "points": Option(
        flag="--point",
        help="drag the point x0, y0 to x1, y1, in pixels; may be given many times",
        settings={
            "nargs": 4,
            "type": float,
            "action": "append",
            "metavar": ("X0", "Y0", "X1", "Y1"),
        },
        read=_read_points,
    ),
    "target_landmarks": Option(
        help="68 points x, y where the face shall be: .json or .npy",
        settings=_FILE,
        read=_read_landmarks,
    ),
    "source_landmarks": Option(
        help="68 points x, y where the face is; found if not given",
        settings=_FILE,
        read=_read_landmarks,
    ),
    "groups": Option(
        help="parts of the face: all, or some of jaw brows nose eyes mouth",
        settings={"nargs": "+"},
        read=_read_groups,
    ),
    "strength": Option(
        help="how much of the way the landmarks go, 0 to 1.5", settings={"type": float}
    ),
    "prompt": Option(help="what the picture shows", settings={"metavar": "TEXT"}),
    "reference_prompt": Option(help="what the reference shows", settings={"metavar": "TEXT"}),
}
"""By the name of the field, the same in every task that has it."""


def _edit(name: str, help: str) -> Command:
    """The command of a task."""

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        from diffeditor.tasks import TASKS

        for item in fields(TASKS[name]):
            _add_task_option(parser, item.name, item.default)
        _add_edit_options(parser)

    def act(options: argparse.Namespace) -> None:
        from diffeditor.recipe import Recipe
        from diffeditor.tasks import TASKS

        values = {
            item.name: TASK_OPTIONS[item.name].read(getattr(options, item.name))
            for item in fields(TASKS[name])
        }
        preset = _chosen_preset(options)
        recipe = Recipe.from_task(
            TASKS[name](**values),
            preset,
            options.seed,
            options.model,
            vae=options.vae,
            loras=options.lora,
        )
        _carry_out(recipe, f"{Path(options.image).stem}-{name}.png", options)

    return _leaf(help, add_arguments, act)


def _add_task_option(parser: argparse.ArgumentParser, name: str, default: Any) -> None:
    option = TASK_OPTIONS[name]
    required = default is MISSING
    shown = "" if required or default in (None, "") else f" (default: {default})"
    parser.add_argument(
        option.flag or "--" + name.replace("_", "-"),
        dest=name,
        required=required,
        default=None if required else default,
        help=option.help + shown,
        **option.settings,
    )


def _add_edit_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", default="diffeditor", help="default: diffeditor")
    parser.add_argument("--steps", type=int, help="of the sampling (default: the preset's)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change any field of the preset, e.g. energy_scale=1.5; may be given many times",
    )
    _add_run_options(parser, model="embedded")


def _add_run_options(parser: argparse.ArgumentParser, model: str | None) -> None:
    _add_editor_options(parser, model)
    parser.add_argument("-o", "--output", metavar="FILE.png", help="where the result goes")
    parser.add_argument("--recipe", metavar="FILE.json", help="also save the edit, to run it again")
    parser.add_argument(
        "--no-recipe",
        action="store_true",
        help="leave the edit, and with it the source picture, out of the PNG",
    )


def _add_editor_options(parser: argparse.ArgumentParser, model: str | None) -> None:
    parser.add_argument("--model", default=model, help="embedded, a hub id, a folder or a file")
    parser.add_argument("--vae", help="a folder, file or hub id, in place of the model's own")
    parser.add_argument(
        "--landmarks",
        metavar="FILE",
        help="finds landmarks of faces: .safetensors, MediaPipe's .task or dlib's .dat",
    )
    parser.add_argument(
        "--lora",
        action="append",
        default=[],
        metavar="PATH[:SCALE]",
        help="a LoRA file to add to the model; may be given many times",
    )
    parser.add_argument("--image-prompt", metavar="FILE", help="an image prompt, or its hub id")
    parser.add_argument("--image-encoder", metavar="FOLDER", help="the image prompt's CLIP")
    parser.add_argument(
        "--allow-pickle", action="store_true", help="also read models in PyTorch's own format"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, or a device of PyTorch")
    parser.add_argument(
        "--dtype",
        default="auto",
        help="what the networks compute in: float32, bfloat16, float16; auto: the device's best",
    )
    parser.add_argument(
        "--memory",
        choices=MEMORY_CHOICES,
        default="auto",
        help="how the device's memory is used; auto: the fastest way that fits",
    )


def _chosen_preset(options: argparse.Namespace) -> "Preset":
    from diffeditor.config import find_preset
    from diffeditor.recipe import changed_preset

    changes = dict(_assignment(text) for text in options.set)
    if options.steps is not None:
        changes["steps"] = options.steps
    return changed_preset(find_preset(options.preset), changes)


def _assignment(text: str) -> tuple[str, Any]:
    """FIELD=VALUE with a JSON value, or plain text."""
    name, equals, value = text.partition("=")
    if not equals:
        raise InvalidSetting(f"--set takes FIELD=VALUE, not {text!r}.")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def _carry_out(recipe: "Recipe", default_output: str, options: argparse.Namespace) -> None:
    """Edits, saves what the options ask for, and says where it is."""
    from diffeditor.recipe import save_result

    output = options.output or default_output
    _check_outputs(output, options.recipe)
    started = time.monotonic()
    editor = _loaded_editor(options, recipe.model, recipe.vae, recipe.loras)
    result = _followed(editor, recipe)
    included = save_result(result, output, recipe=not options.no_recipe)
    if options.recipe is not None:
        result.recipe.save(options.recipe)
    elif not included and not options.no_recipe:
        _note("the recipe is too large for the PNG; --recipe FILE.json keeps it")
    print(f"{output}  {time.monotonic() - started:.1f} s")


def _loaded_editor(
    options: argparse.Namespace, model: str, vae: str | None, loras: Sequence[str]
) -> "Editor":
    """The editor, loaded without the reports and progress bars of the libraries beneath it."""
    from diffeditor.backbones.quiet import quiet_libraries
    from diffeditor.editor import load_editor

    quiet_libraries()
    given: dict[str, Any] = {
        "vae": vae,
        "loras": list(loras),
        "landmarks": options.landmarks,
        "image_prompt": options.image_prompt,
        "image_encoder": options.image_encoder,
        "allow_pickle": options.allow_pickle,
        "dtype": options.dtype,
        "memory": options.memory,
    }
    parts = {name: value for name, value in given.items() if value and value != "auto"}
    return load_editor(model, device=options.device, **parts)


def _check_outputs(output: str, recipe: str | None) -> None:
    """Refuses before the run what could not be written after it."""
    from diffeditor.recipe import checked_result_path

    checked_result_path(output)
    if recipe is not None and not Path(recipe).absolute().parent.is_dir():
        raise InvalidSetting(f"There is no folder for {recipe!r}; make it or choose another path.")


def _followed(editor: "Editor", recipe: "Recipe") -> "Result":
    """The result of an edit, with its progress and warnings on stderr."""
    result = None
    steps = editor.stream(recipe.task(), preset=recipe.preset(), seed=recipe.seed)
    with closing(steps):
        for step in _reported(steps):
            result = step.result
    assert result is not None  # the last step carries it
    for warning in result.metadata.get("warnings", ()):
        _note(warning)
    return result


def _reported(steps: Iterator["Step"]) -> Iterator["Step"]:
    """The steps; a terminal shows them in one line, a file gets a line per phase."""
    rewrites, phase = sys.stderr.isatty(), None
    try:
        for step in steps:
            if rewrites:
                print(f"\r\x1b[K{step.message[:79]}", end="", file=sys.stderr, flush=True)
            elif step.phase != phase:
                print(step.phase, file=sys.stderr, flush=True)
            phase = step.phase
            yield step
    finally:
        if rewrites:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _note(text: str) -> None:
    print(f"diffeditor: note: {text}", file=sys.stderr)


# The other commands


def _add_recipe_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="RECIPE", help="a recipe's JSON file or a result's PNG")
    _add_run_options(parser, model=None)


def _run_recipe(options: argparse.Namespace) -> None:
    from diffeditor.recipe import Recipe

    recipe = Recipe.load(options.source)
    if options.model is not None:  # another model brings its own VAE and no LoRA files
        recipe = replace(recipe, model=options.model, vae=None, loras=())
    recipe = replace(recipe, vae=options.vae or recipe.vae, loras=options.lora or recipe.loras)
    _carry_out(recipe, f"{Path(options.source).stem}-again.png", options)


def _add_app_arguments(parser: argparse.ArgumentParser) -> None:
    _add_editor_options(parser, "embedded")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=7860)


def _run_app(options: argparse.Namespace) -> None:
    try:
        from ui.launch import launch
        from ui.models import Models
    except ModuleNotFoundError as error:
        raise DiffEditorError(
            f"The page needs {error.name!r}, which is not installed; install diffeditor[ui]."
        ) from error

    def load(model: str, device: str) -> "Editor":
        """Another model brings its own VAE and no LoRA files."""
        given = model == options.model
        parts = (options.vae, options.lora) if given else (None, ())
        return _loaded_editor(options, model, *parts)

    launch(Models([options.model], options.device, load), options.host, options.port)


def _add_worlds_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("-n", type=int, default=16, help="how many worlds")
    parser.add_argument("--seed", type=int, default=0, help="of the first one")
    parser.add_argument("--size", type=int, default=128, help="side in pixels")


def _run_worlds(options: argparse.Namespace) -> None:
    from diffeditor.worlds.sheet import write_worlds

    low, high = WORLD_SIDES
    if options.n < 1 or options.seed < 0 or not low <= options.size <= high:
        raise InvalidSetting(
            f"Worlds need -n from 1, --seed from 0 and --size from {low} to {high} pixels."
        )
    try:
        write_worlds(options.out, options.n, options.seed, options.size)
    except OSError as error:
        raise InvalidSetting(
            f"{str(options.out)!r} cannot be written; choose another folder."
        ) from error


def _module(name: str, help: str) -> Command:
    """The command of a module of the package, which has `add_arguments` and `run`."""

    def module() -> Any:
        return import_module(f"diffeditor.{name}")

    return _leaf(
        help,
        lambda parser: module().add_arguments(parser),
        lambda options: module().run(options),
    )


def _add_convert_arguments(parser: argparse.ArgumentParser) -> None:
    from diffeditor.image_prompt_files import LAYOUTS

    parser.add_argument("source", type=Path, metavar="IN", help="an image prompt of any layout")
    parser.add_argument("target", type=Path, metavar="OUT", help="the file to write")
    parser.add_argument("--to", choices=tuple(LAYOUTS), default="ours", help="layout of OUT")


def _run_convert(options: argparse.Namespace) -> None:
    from diffeditor.image_prompt_files import convert_image_prompt

    convert_image_prompt(options.source, options.target, options.to)


COMMANDS = {
    "app": _leaf("open the page in this machine's browser", _add_app_arguments, _run_app),
    "move": _edit("move", "move or resize an object"),
    "drag": _edit("drag", "drag points to where they should be"),
    "face": _edit("face", "give a face the shape of another one"),
    "paste": _edit("paste", "paste an object from another picture"),
    "appearance": _edit("appearance", "make an object look like another one"),
    "run": _leaf("repeat an edit that was saved before", _add_recipe_arguments, _run_recipe),
    "train": _group(
        "train a model",
        {
            "embedded": _module("training.command", "train the embedded model"),
            "image-prompt": _module(
                "training.image_prompt_command", "train an image prompt for any model"
            ),
        },
    ),
    "models": _group(
        "find, download and check models",
        {
            "list": _module("models.list", "the known models, and which of them are here"),
            "fetch": _module("models.fetch", "download a model of the hub"),
            "verify": _module("models.verify", "check that a model's files are whole and right"),
        },
    ),
    "convert": _group(
        "change the layout of a file",
        {
            "image-prompt": _leaf(
                "write an image prompt as others read it", _add_convert_arguments, _run_convert
            )
        },
    ),
    "bench": _group(
        "measure the model and the method",
        {
            "worlds": _module("bench.worlds", "edits of worlds against their ground truth"),
            "teeth": _module("bench.teeth", "how often opening a closed mouth shows teeth"),
            "reconstruction": _module(
                "bench.reconstruction", "autoencoder, and inversion and back"
            ),
            "samples": _module("bench.samples", "pictures from text against renders"),
        },
    ),
    "worlds": _leaf("draw pictures of the worlds", _add_worlds_arguments, _run_worlds),
}


if __name__ == "__main__":
    sys.exit(main())
