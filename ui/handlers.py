"""What happens on the page: plain functions from the values of its components to new ones.

All take and give `{name of a component: value}`; what is not given stays as it is.
"""

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr
from PIL import Image

from diffeditor import Editor, Result, Step
from diffeditor.errors import DiffEditorError, InvalidEdit
from ui import overlay, text
from ui.controls import read_preset, whole
from ui.files import cached
from ui.state import Page, Values, read_page
from ui.tabs import TOOLS, Tool

Updates = dict[str, Any]

SHOWN_SIDE = 1600
"""Pixels of the longer side of a result as it is shown; the download has all of them."""
PREVIEW_EVERY = 5
"""Steps; a preview costs more than a status line."""


def chosen(values: Values) -> Tool:
    """The tool of the open tab.

    Raises:
        InvalidEdit: no tab has this name.
    """
    if values["tool"] not in TOOLS:
        raise InvalidEdit(text.NO_TOOL)
    return TOOLS[values["tool"]]


def edit(editor: Editor, values: Values) -> Iterator[Updates]:
    """Runs the edit of the open tab: a status for every step, previews, then the result.

    Closing the iterator closes the engine's, which frees the device.
    """
    try:
        tool = chosen(values)
        page = read_page(tool.name, values)
        task = tool.task(page)
        preset, seed = read_preset(values), whole(values["seed"], text.SEED)
        yield {"status": text.STARTING}
        with closing(editor.stream(task, preset=preset, seed=seed)) as steps:
            for step in steps:
                if step.result is not None:
                    yield from _finished(page, step.result, f"{tool.name}-{seed}")
                    return
                yield {"status": step.message} | _preview(page, step)
    except DiffEditorError as error:
        yield {"status": str(error)}
    except Exception:
        logging.getLogger(__name__).exception("An edit failed")
        yield {"status": text.UNEXPECTED}


def _preview(page: Page, step: Step) -> Updates:
    image = step.preview() if step.index % PREVIEW_EVERY == 0 else None
    return {} if image is None else {"result": _shown(page, image)}


def _shown(page: Page, image: Image.Image) -> tuple[str, str]:
    """Before and after as files, no larger than a screen shows."""
    pair = page.source.image.convert("RGB"), image.copy()
    for picture in pair:
        picture.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    return cached(pair[0]), cached(pair[1])


def _finished(page: Page, result: Result, name: str) -> Iterator[Updates]:
    """The result; its files are deleted once the page has its own copies."""
    with TemporaryDirectory() as folder:
        picture, recipe = Path(folder, f"{name}.png"), Path(folder, f"{name}.json")
        result.image.save(picture)
        result.recipe.save(recipe)
        yield {
            "status": text.done(result.metadata),
            "result": _shown(page, result.image),
            "numbers": result.metadata,
            "save_picture": gr.update(value=str(picture), interactive=True),
            "save_recipe": gr.update(value=str(recipe), interactive=True),
        }


def refresh(values: Values) -> Updates:
    """The picture to click on, with all marks, and a sentence on what is missing."""
    try:
        tool = chosen(values)
    except InvalidEdit as error:
        return {"advice": str(error)}
    second = gr.update(visible=True if tool.reference else "hidden")
    try:
        page = read_page(tool.name, values)
    except InvalidEdit as error:
        return {"board": None, "advice": str(error), "second": second}
    marks, advice = _marks(tool, page)
    if values["start"] is not None:
        advice = text.WHERE_TO
    board = overlay.draw(page.source, start=values["start"], **marks)
    label = text.BOARD if tool.click else text.BOARD_SEEN
    shown = gr.update(value=cached(board, "jpeg"), label=label)
    return {"board": shown, "advice": advice, "second": second}


def _marks(tool: Tool, page: Page) -> tuple[dict[str, Any], str]:
    """What to draw over the picture, and what is missing or to be known before the run."""
    arrows = tool.arrows(page) if tool.arrows else []
    try:
        task = tool.task(page)
    except InvalidEdit as error:
        return {"arrows": arrows}, str(error)
    region = task.region() if tool.click else None
    return {"arrows": arrows, "region": region}, " ".join([text.READY, *task.warnings()])


def click(values: Values, place_on_board: tuple[int, int]) -> Updates:
    """A click on the drawn picture, at (column, row) of it."""
    try:
        tool = chosen(values)
        page = read_page(tool.name, values)
        if tool.click is None:
            return {}
        place = overlay.to_picture(place_on_board, page.source.image)
        done = tool.click(page, place, values["start"])
    except InvalidEdit as error:
        return {"advice": str(error)}
    changes = {f"{tool.name}.{name}": value for name, value in done.changes.items()}
    return {"start": done.start} | changes
