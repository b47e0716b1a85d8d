"""An edit carried out: the editor loaded, its progress on stderr, the result saved."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffeditor.errors import InvalidSetting

if TYPE_CHECKING:
    from diffeditor.editor import Editor
    from diffeditor.recipe import Recipe
    from diffeditor.result import Result, Step


def carry_out(recipe: "Recipe", default_output: str, options: argparse.Namespace) -> None:
    """Edits, saves what the options ask for, and says where it is."""
    from diffeditor.recipe import save_result

    output = options.output or default_output
    _check_outputs(output, options.recipe)
    started = time.monotonic()
    editor = loaded_editor(options, recipe.model, recipe.vae, recipe.loras)
    result = _followed(editor, recipe)
    included = save_result(result, output, recipe=not options.no_recipe)
    if options.recipe is not None:
        result.recipe.save(options.recipe)
    elif not included and not options.no_recipe:
        _note("the recipe is too large for the PNG; --recipe FILE.json keeps it")
    print(f"{output}  {time.monotonic() - started:.1f} s")


def loaded_editor(
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
        "compile": options.compile,
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
