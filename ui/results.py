"""The results: before and after, this run's variations, and the history of the session.

Names of components start with "results.". Handlers are plain functions from the session's history
to `{name: value}`. What the buttons act on is the result that the browser shows, whose token it
sends along, and never one of another session.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from PIL import Image

from diffeditor import Result
from ui import text
from ui.canvas import Canvas, Patch
from ui.files import cached
from ui.history import SHOWN_SIDE, Entry, History, copied, reduced
from ui.state import Blocks, Updates, Values, by_component, visibility

INPUTS = ("results.history",)
"""What `intermediate` and `finished` read."""
ACTS = ("results.save_picture", "results.save_recipe", "results.use", "results.delete")
"""The buttons that act on the result that is shown."""
SHOWN = (
    "results.slider",
    "results.variations",
    "results.shown",
    "results.compare",
    *ACTS,
    "results.numbers",
)
"""What shows one result."""
OUTPUTS = (*SHOWN, "results.strip")
"""What `intermediate` and `finished` write."""

BEFORE_AND_AFTER = "Before and after"
VARIATIONS = "Variations of this run"
HISTORY = "Results so far"
COMPARE, BEFORE = "Compare with", "the picture before"
USE, SAVE_PICTURE, SAVE_RECIPE = "Use as source", "Download picture", "Download recipe"
DELETE = "Delete"
NUMBERS = "What was measured"
SLIDER_HEIGHT = 420
"""CSS pixels."""
NOTHING_YET = "The result comes here, to be compared with the picture before."
CSS = f"""
#result, .strip {{ padding-top: 32px; }}
#result > label, .strip > label {{
  top: 0; left: 0; height: 32px; padding: 0 12px; border: 0; background: none; box-shadow: none;
  color: var(--body-text-color); font-size: 13px;
}}
#result > label span, .strip > label span {{ display: none; }}
#result .icon-button-wrapper {{ top: -30px; right: 4px; border: 0; background: none; }}
#result:not(:has(img)) > :not(label, .wrap) {{ display: none; }}
#result:not(:has(img))::after {{
  content: "{NOTHING_YET}";
  display: grid; place-items: center; height: 300px; padding: 0 32px;
  color: var(--body-text-color-subdued); text-align: center;
}}
#history .grid-wrap, #variations .grid-wrap {{ 
  height: auto; min-height: 0; max-height: 312px; padding: 0; overflow-y: auto;
}}
#history .grid-container, #variations .grid-container {{ padding: 0 12px 10px; gap: 8px; }}
.strip .thumbnail-item {{
  display: flex; flex-direction: column; height: auto; aspect-ratio: auto; border: 0;
  border-radius: 6px; background: none; box-shadow: none;
}}
.strip .thumbnail-item img {{
  height: 104px; border-radius: 6px; background: var(--background-fill-secondary);
}}
.strip .caption-label {{
  position: static; width: 100%; max-width: none; padding: 4px 1px 0; border: 0;
  background: none; color: var(--body-text-color-subdued);
  font-size: 11px; line-height: 14px; text-align: left;
  text-wrap: balance; white-space: normal;
}}
#compare > .container {{ display: flex; align-items: center; gap: 12px; }}
#compare > .container > span {{ margin: 0; flex: none; }}
#compare > .container > .wrap {{ flex: 1; min-width: 0; }}
#compare {{ padding: 6px 8px 6px 12px; }}
.acts {{ gap: 8px; }}
"""
"""For the page: labels and captions stand beside pictures and cover nothing."""

PAGE_ONLY: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "queue": False,  # at once, also while the device is busy
}


def build() -> Blocks:
    """The components; `connect` gives them their events."""
    blocks: Blocks = {
        "results.history": gr.State(History()),
        "results.shown": gr.Textbox(visible="hidden"),
        "results.slider": gr.ImageSlider(
            label=BEFORE_AND_AFTER,
            interactive=False,
            buttons=["fullscreen"],
            max_height=SLIDER_HEIGHT,  # with `height` the two pictures are not on one another
            elem_id="result",
        ),
        "results.compare": gr.Dropdown(
            [(BEFORE, "")],
            value="",
            label=COMPARE,
            interactive=True,
            visible="hidden",
            elem_id="compare",
        ),
    }
    with gr.Row(elem_classes="acts"):
        blocks["results.use"] = gr.Button(USE, interactive=False, size="sm", min_width=110)
        blocks["results.save_picture"] = _download(SAVE_PICTURE)
        blocks["results.save_recipe"] = _download(SAVE_RECIPE)
        blocks["results.delete"] = gr.Button(DELETE, interactive=False, size="sm", min_width=80)
    blocks["results.variations"] = _gallery(VARIATIONS, "variations")
    blocks["results.strip"] = _gallery(HISTORY, "history")
    with gr.Accordion(NUMBERS, open=False):
        blocks["results.numbers"] = gr.JSON(show_label=False)
    return blocks


def _gallery(label: str, elem_id: str) -> gr.Gallery:
    """A strip of thumbnails, hidden as long as it has none."""
    return gr.Gallery(
        label=label,
        columns=4,
        fit_columns=False,
        visible="hidden",
        object_fit="contain",
        allow_preview=False,
        interactive=False,
        buttons=[],
        elem_id=elem_id,
        elem_classes="strip",
    )


def _download(label: str) -> gr.DownloadButton:
    return gr.DownloadButton(label, interactive=False, size="sm", min_width=110)


def connect(blocks: Blocks, canvas: Canvas) -> None:
    """Ties the components' events to their handlers. canvas: what a result becomes source of."""
    history, token, other = (blocks[f"results.{name}"] for name in ("history", "shown", "compare"))

    def named(updates: Updates) -> dict[Block, Any]:
        return by_component(blocks, updates)

    def outputs(names: Sequence[str]) -> list[Any]:
        return [blocks[name] for name in names]

    def chosen(kept: History, event: gr.SelectData) -> dict[Block, Any]:
        return named(choose(kept, event.value))

    def on(handler: Callable[..., Updates]) -> Callable[..., dict[Block, Any]]:
        return lambda *values: named(handler(*values))

    for gallery in ("results.variations", "results.strip"):
        blocks[gallery].select(chosen, history, outputs(SHOWN), **PAGE_ONLY)
    halves = outputs(("results.slider", *ACTS))
    other.input(on(compare), [history, token, other], halves, **PAGE_ONLY)
    blocks["results.delete"].click(on(delete), [history, token], outputs(OUTPUTS), **PAGE_ONLY)
    blocks["results.use"].click(use, [history, token], canvas, **PAGE_ONLY)


# Handlers


def intermediate(values: Values, source_image: Image.Image, image: Image.Image) -> Updates:
    """Shows a picture of a running edit beside its source, which no button acts on."""
    history: History = values["results.history"]
    history.looking = True
    pair = (cached(reduced(p, SHOWN_SIDE), "jpeg", quality=90) for p in (source_image, image))
    slider = gr.update(value=tuple(pair), label=BEFORE_AND_AFTER)
    return {"results.slider": slider, **{name: gr.update(interactive=False) for name in ACTS}}


def back(history: History, token: str) -> Updates:
    """Shows a result again, if a picture of an edit that is over is in its place."""
    if not history.looking:
        return {}
    history.looking = False
    return show(history, history.find(token))


def finished(values: Values, source_image: Image.Image, result: Result) -> Updates:
    """Keeps and shows the result of one seed. values: of the page when the run began."""
    history: History = values["results.history"]
    history.looking = False
    first = result.recipe.seed == values["settings.seed"]
    return show(history, history.add(source_image, result, first=first)) | _strip(history)


def show(history: History, entry: Entry | None) -> Updates:
    """Shows a result, or that there is none; from now on all are kept for another day."""
    history.renew()
    run = history.run(entry) if entry else []
    return {
        "results.slider": _compared(None, entry),
        "results.variations": gr.update(value=_thumbs(run), visible=visibility(len(run) > 1)),
        "results.shown": entry.token if entry else "",
        "results.compare": gr.update(
            choices=_others(history, entry), value="", visible=visibility(entry is not None)
        ),
        **_acts(entry),
        "results.numbers": dict(entry.metadata) if entry else None,
    }


def choose(history: History, thumb: Any) -> Updates:
    """Shows the result whose thumbnail was clicked. thumb: what the gallery says of it."""
    try:
        token = Path(thumb["image"]["path"]).parent.name
    except (KeyError, TypeError):
        return {}
    entry = history.find(token)
    return show(history, entry) if entry else {}


def compare(history: History, token: str, other: str) -> Updates:
    """Puts another result, or the picture before, on the other half of the slider."""
    entry = history.find(token)
    if entry is None:
        return {}
    return {"results.slider": _compared(history.find(other), entry), **_acts(entry)}


def delete(history: History, token: str) -> Updates:
    """Deletes the result that is shown, and shows the one before it."""
    entry = history.find(token)
    if entry is None:
        return {}
    place = history.entries.index(entry)
    history.remove(token)
    left = history.entries
    return show(history, left[max(0, place - 1)] if left else None) | _strip(history)


def use(history: History, token: str) -> Any:
    """The patch that makes the result that is shown the source picture.

    Raises:
        gr.Error: its file was deleted for its age.
    """
    entry = history.find(token)
    if entry is None:
        return gr.skip()
    try:
        return Patch(source=copied(entry.picture))
    except FileNotFoundError:
        raise gr.Error(text.RESULT_GONE, print_exception=False) from None


def _strip(history: History) -> Updates:
    shown = visibility(bool(history.entries))
    return {"results.strip": gr.update(value=_thumbs(history.entries), visible=shown)}


def _thumbs(entries: Sequence[Entry]) -> list[tuple[str, str]]:
    return [(entry.thumb, entry.title) for entry in entries]


def _others(history: History, entry: Entry | None) -> list[tuple[str, str]]:
    others = [(other.title, other.token) for other in history.entries if other != entry]
    return [(BEFORE, ""), *others]


def _compared(other: Entry | None, entry: Entry | None) -> Any:
    if entry is None:
        return gr.update(value=None, label=BEFORE_AND_AFTER)
    left, name = (other.after, other.title) if other else (entry.before, "Before")
    return gr.update(value=(left, entry.after), label=f"{name} | {entry.title}")


def _acts(entry: Entry | None) -> Updates:
    """The buttons, which act on this entry."""
    return {
        "results.save_picture": _file(entry and entry.picture),
        "results.save_recipe": _file(entry and entry.recipe),
        "results.use": gr.update(interactive=entry is not None),
        "results.delete": gr.update(interactive=entry is not None),
    }


def _file(path: str | None) -> Any:
    return gr.update(value=path, interactive=path is not None)
