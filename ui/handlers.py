"""What happens on the page: plain functions from the values of its components to new ones.

All take and give `{name of a component: value}`; what is not given stays as it is.
"""

import html
import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import takewhile
from typing import Any, TypeAlias

import gradio as gr
from PIL import Image

from diffeditor import Editor, Step, instant_preview
from diffeditor.errors import DiffEditorError
from ui import recipes, results, settings, text
from ui.canvas import Patch
from ui.history import History
from ui.models import Models
from ui.settings import Chosen
from ui.state import Inputs, Updates, Values, read, visibility
from ui.tabs import TOOLS
from ui.turns import Marked, Turns

GoesOn: TypeAlias = Callable[[], bool]
"""Whether the edit is still wanted."""
PREVIEW_SIDE = 512
"""Pixels of the longer side at which the instant preview is made."""
LOOK_EVERY = 5
"""Steps between two pictures of a run; such a picture costs more than a status line."""


def advise(models: Models, values: Values) -> Updates:
    """What the edit will roughly look like, and what is missing or to be known before it runs.

    Advice on what has been edited meanwhile says nothing: the edit's own words are newer.
    """
    wanted = _wants_reference_prompt(values)
    shown = {"reference_prompt": gr.update(visible=visibility(wanted))}
    try:
        inputs = _inputs(models, values, PREVIEW_SIDE)
        task = _task(inputs).prepared(inputs.find_landmarks)
        preview = Patch(preview=instant_preview(task), rev=inputs.edit.rev)
        status = text.ready(task.warnings())
    except DiffEditorError as error:
        preview, status = Patch(preview=None), str(error)
    said = {} if values["turns"].edited(_marked(values)) else {"status": status}
    return {**shown, **said, "canvas": preview}


def _marked(values: Values) -> Marked:
    """What is on the canvas, and what is set beside it for its tool."""
    canvas = values["canvas"]
    if canvas is None:
        return Marked()
    controls = {k: v for k, v in values.items() if k.startswith(f"{canvas.tool}.")}
    return Marked(rev=canvas.rev, controls=controls)


def _wants_reference_prompt(values: Values) -> bool:
    canvas = values["canvas"]
    return canvas is not None and TOOLS[canvas.tool].reference_prompt


def edit(models: Models, values: Values) -> Iterator[Updates]:
    """Runs the edit that the page shows: a status for every step, previews, then the results.

    Closing the iterator closes the engine's, which frees the device. An edit that is no longer
    wanted ends without another word: what is said of it then is said by `stop`.
    """
    turns: Turns = values["turns"]
    goes_on = turns.begin(values["turn"], _marked(values))
    try:
        yield from _runs(models, values, goes_on)
    except DiffEditorError as error:
        if goes_on():
            yield {"status": str(error)}
    except Exception:
        logging.getLogger(__name__).exception("An edit failed")
        yield {"status": text.UNEXPECTED}
    finally:
        if goes_on():
            turns.end()


def restore(models: Models, path: str | None) -> Updates:
    """What brings back the edit of an uploaded recipe; with its model, where that is offered.

    Warns where the edit will not be made with what the recipe was made with.
    """
    try:
        restored = recipes.restore(path)
    except DiffEditorError as error:
        return {"status": str(error)}
    shown = {"canvas": restored.patch, "tabs": gr.update(selected=restored.tool)}
    if restored.model not in models.names:
        _warn(text.other_model(restored.model))
        return {**restored.updates, **shown}
    here = models.parts(restored.model)
    if restored.parts != here:
        _warn(text.other_parts(restored.parts, here))
    return {**restored.updates, **shown, "model": restored.model}


def _warn(sentence: str) -> None:
    """Shows a sentence that may hold a stranger's words, which Gradio would take for markup."""
    gr.Warning(html.escape(sentence))


def stop(turns: Turns) -> str:
    """Ends the session's edits; the status of that."""
    turns.stop()
    return text.STOPPED


def ended(turns: Turns, history: History, token: str) -> Updates:
    """What the page shows once an edit has ended, unless another one goes on.

    Steps may have told of themselves after `stop`. token: names the result that was shown before.
    """
    said = {} if turns.wanted else {"status": text.STOPPED}
    return said if turns.going else {**said, **results.back(history, token)}


def failed(turns: Turns, history: History, token: str) -> Updates:
    """The same once Gradio has refused or given up an edit; it says itself why."""
    if not turns.wanted:
        return ended(turns, history, token)
    turns.end()
    return {"status": text.NOT_MADE, **results.back(history, token)}


def _runs(models: Models, values: Values, goes_on: GoesOn) -> Iterator[Updates]:
    """A run for each seed; what is wrong is said before a model is loaded."""
    if not goes_on():
        return
    chosen = settings.read(values)
    inputs = _inputs(models, values)
    task = _task(inputs)
    yield {"status": text.STARTING}
    editor = models.editor(values["model"])
    for number, seed in enumerate(takewhile(lambda _: goes_on(), chosen.seeds), 1):
        for updates in _run(editor, task, chosen, seed, values, goes_on):
            yield updates | _counted(updates, number, chosen.variations)


def _run(
    editor: Editor, task: Any, chosen: Chosen, seed: int, values: Values, goes_on: GoesOn
) -> Iterator[Updates]:
    run = editor.stream(task, preset=chosen.preset, seed=seed, stopped=lambda: not goes_on())
    with closing(run) as steps:
        for step in steps:
            if not goes_on():
                return
            if step.result is None:
                yield {"status": step.message, **_look(values, task.source, step)}
            else:
                done = {"status": text.done(step.result.metadata)}
                yield done | results.finished(values, task.source, step.result)


def _look(values: Values, source: Image.Image, step: Step) -> Updates:
    """A picture of the run so far, now and then."""
    image = step.preview() if step.index % LOOK_EVERY == 0 else None
    return {} if image is None else results.intermediate(values, source, image)


def _counted(updates: Updates, number: int, total: int) -> Updates:
    """The status with the number of the variation that it is about."""
    return {"status": text.counted(updates["status"], number, total)} if total > 1 else {}


def _inputs(models: Models, values: Values, limit: int | None = None) -> Inputs:
    """Reads the page; landmarks are found by the model that is in memory."""
    return read(values, lambda portrait: found(models, portrait), limit)


def found(models: Models, portrait: Image.Image) -> Any:
    """The 68 landmarks of a portrait. Raises NoFaceFound."""
    return models.editor().find_landmarks(portrait)


def _task(inputs: Inputs) -> Any:
    return TOOLS[inputs.edit.tool].task(inputs)
