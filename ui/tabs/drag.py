"""Drag points of the picture to new places."""

from typing import Any

import gradio as gr
from gradio.components import Component

from diffeditor import Drag
from ui import text
from ui.state import Arrow, Page, Place, is_number
from ui.tabs.tool import Click, Tool


def build() -> dict[str, Component]:
    points = gr.Dataframe(
        headers=text.POINT_COLUMNS,
        datatype="number",
        type="array",
        column_count=4,
        value=[],
        label=text.POINTS,
        max_height=130,
        buttons=[],
    )
    remove = gr.Button(text.REMOVE_POINT, size="sm")
    remove.click(
        lambda rows: pairs_of(rows)[:-1], points, points, queue=False, api_visibility="private"
    )
    return {"points": points}


def pairs_of(rows: Any) -> list[list[Any]]:
    """The rows of the table that hold something."""
    return [list(row) for row in rows or [] if any(cell not in (None, "") for cell in row)]


def task(page: Page) -> Drag:
    rows = pairs_of(page.controls["points"])
    return Drag(
        image=page.source.image,
        mask=page.source.mask,
        points=[(row[:2], row[2:]) for row in rows],
        prompt=page.prompt,
    )


def arrows(page: Page) -> list[Arrow]:
    """The rows that hold four numbers."""
    rows = [row for row in pairs_of(page.controls["points"]) if len(row) == 4]
    numbers = [row for row in rows if all(is_number(cell) for cell in row)]
    return [((x0, y0), (x1, y1)) for x0, y0, x1, y1 in numbers]


def click(page: Page, place: Place, start: Place | None) -> Click:
    """The first click starts an arrow, the second ends it."""
    if start is None:
        return Click(changes={}, start=place)
    rows = pairs_of(page.controls["points"])
    return Click(changes={"points": [*rows, [*start, *place]]})


DRAG = Tool(
    name="drag",
    title="Drag",
    hint="Brush over what may change. Then click where something is and where it shall be.",
    build=build,
    task=task,
    click=click,
    arrows=arrows,
)
