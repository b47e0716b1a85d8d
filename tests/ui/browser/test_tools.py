"""Each tool from upload to result, on the embedded model; and what Cancel leaves to the network."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffeditor import load_editor
from diffeditor.composite import feathered
from diffeditor.worlds import make_case
from tests.ui.browser.page import RUNNING, OpenPage, Served, write
from tests.ui.canvas.driver import Place
from ui import text
from ui.turns import Turns

pytestmark = [
    pytest.mark.browser,
    # Gradio keeps statistics with what pandas has given up.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.queueing"),
]

STEPS, SIDE = 6, 128


@pytest.fixture(scope="module")
def editor() -> Any:
    """The embedded model, which keeps what it was asked for and what it gave."""
    editor: Any = load_editor("embedded", device="cpu")
    stream = editor.stream

    def kept(task: Any, *rest: Any, **how: Any) -> Iterator[Any]:
        editor.task = task
        for step in stream(task, *rest, **how):
            editor.result = step.result
            yield step

    editor.stream = kept
    return editor


def box(mask: np.ndarray) -> tuple[Place, Place]:
    """Two corners of what a mask marks, a little outside."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, top = max(0, columns[0] - 1), max(0, rows[0] - 1)
    return (left, top), (min(SIDE, columns[-1] + 2), min(SIDE, rows[-1] + 2))


def middle(mask: np.ndarray) -> Place:
    (left, top), (right, bottom) = box(mask)
    return (left + right) / 2, (top + bottom) / 2


def mark(page: OpenPage, mask: np.ndarray, side: str = "source") -> None:
    page.mode("box")
    page.drag(*box(mask), side=side)


def place(page: OpenPage, start: Place, shift: Any) -> None:
    page.mode("place")
    page.drag(start, (start[0] + shift[0], start[1] + shift[1]))


def drag(page: OpenPage, task: Any) -> None:
    mark(page, task.mask)
    page.mode("place")
    for start, end in task.points:
        page.drag(start, end)


def move(page: OpenPage, task: Any) -> None:
    mark(page, task.mask)
    place(page, middle(task.mask), task.shift)


def paste(page: OpenPage, task: Any) -> None:
    mark(page, task.reference_mask, "reference")
    page.mode("place")
    page.drag((SIDE / 2, SIDE / 2), (SIDE / 2 + 10, SIDE / 2 + 6))


def appearance(page: OpenPage, task: Any) -> None:
    mark(page, task.mask)
    mark(page, task.reference_mask, "reference")


def face(page: OpenPage, task: Any) -> None:
    rev = page.rev()
    page.act("find").click()
    page.wait_past(rev + 1)  # a step for each portrait


DRAW: dict[str, Callable[[OpenPage, Any], None]] = {
    "drag": drag,
    "move": move,
    "paste": paste,
    "appearance": appearance,
    "face": face,
}


def upload(page: OpenPage, task: Any, folder: Path) -> np.ndarray:
    """Loads the pictures of a task; returns the first one's pixels."""
    names = {"source": "image", "reference": "reference"}
    pictures = {side: getattr(task, name, None) for side, name in names.items()}
    if task.name == "face":
        pictures["reference"] = make_case("face", seed=8, size=SIDE).task.source
    for side, picture in pictures.items():
        if picture is not None:
            picture.save(folder / f"{side}.png")
            page.open(folder / f"{side}.png", picture.size, side)
    return np.asarray(pictures["source"])


def few_steps(page: OpenPage) -> None:
    page.settings()
    write(page.page.get_by_role("spinbutton", name="Steps", exact=True), str(STEPS))


@pytest.mark.parametrize("tool", DRAW)
def test_a_picture_is_loaded_marked_and_edited(
    tool: str, page: OpenPage, served: Served, tmp_path: Path
) -> None:
    case = make_case(tool, seed=7, size=SIDE)
    page.tool(tool)
    before = upload(page, case.task, tmp_path)
    DRAW[tool](page, case.task)
    few_steps(page)
    page.edit()
    after = page.result()
    result, editor = served.editor.result, served.editor
    assert (result.metadata["task"], result.metadata["steps"]) == (tool, STEPS)
    assert np.array_equal(np.asarray(after), np.asarray(result.image))
    region = editor.task.prepared(editor.find_landmarks).region()
    outside = feathered(region, result.metadata["feather"]) == 0
    changed = (np.asarray(after) != before).any(-1)
    assert changed[region].mean() > 0.5
    assert outside.any() and not changed[outside].any()


def test_cancel_leaves_one_call_of_the_network_at_most(
    page: OpenPage, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    at_stop: list[int] = []
    stop = Turns.stop

    def counted(turns: Turns) -> None:
        stop(turns)
        at_stop.append(len(calls))

    monkeypatch.setattr(Turns, "stop", counted)
    Image.effect_noise((SIDE, SIDE), 60).convert("RGB").save(tmp_path / "noise.png")
    page.tool("drag")
    page.open(tmp_path / "noise.png", (SIDE, SIDE))
    page.mode("box")
    page.drag((30, 30), (90, 90))
    page.mode("place")
    page.drag((50, 50), (60, 50))
    unet = served.editor._backbone.unet
    hook = unet.mid_block.register_forward_pre_hook(lambda *_: calls.append(1))
    try:
        page.press(text.EDIT)
        page.says(RUNNING)
        page.press(text.CANCEL)
        page.says(text.STOPPED)
        page.until(lambda: at_stop and served.editor._lock.acquire(timeout=0.01))
        served.editor._lock.release()
    finally:
        hook.remove()
    assert 0 < len(calls) <= at_stop[0] + 1
    few_steps(page)
    page.edit()
