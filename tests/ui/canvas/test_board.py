"""The state of the canvas and what Python answers, in a browser without a page round them."""

import numpy as np
import pytest

from tests.ui.canvas.conftest import Run
from ui.files import MAX_UPLOAD

pytestmark = pytest.mark.browser

START = """
const tick = () => new Promise((done) => setTimeout(done, 5));
const until = async (condition) => { while (!condition()) await tick(); };
const painted = (width, height, colour) => {
  const surface = new OffscreenCanvas(width, height);
  const context = surface.getContext("2d");
  context.fillStyle = colour;
  context.fillRect(0, 0, width, height);
  return surface.convertToBlob();
};
const address = async (...look) => URL.createObjectURL(await painted(...look));
const picture = async () => ({
  file: { path: "p" }, view: { url: await address(200, 100, "navy") }, width: 200, height: 100,
});
let answer = null;
let asked = [];
const ask = (data) => new Promise((resolve) => { asked.push(data); answer = resolve; });
const b = new board.Board({
  props: { features: { segment: true } },
  trigger() {},
  upload: async () => ({ path: "p", url: "http://canvas.test/file=p" }),
  server: { find_landmarks: ask, open_picture: ask, segment: ask },
});
b.commit(state.withPicture(b.state, "source", await picture()), "");
await until(() => b.ready && b.layers.mask.ready);
const press = (x, y) => {
  b.gesture = gestures.begin(b, "source", { x, y }, { reach: 5, negative: false });
};
const go = (x, y) => b.gesture?.move({ x, y });
const release = (x, y) => { go(x, y); b.end(); };
const steps = () => b.history.past.map(({ label }) => label);
"""
"""A board with a picture of 200 x 100 pixels, whose server answers with `answer(...)`."""
ARROW = "press(20, 20); go(60, 40);"
"""An arrow that is being drawn."""


def test_landmarks_that_are_found_during_a_gesture_stay(run: Run) -> None:
    arrows, landmarks = run(
        f"{START} const done = requests.findLandmarks(b); {ARROW}"
        "answer({ok: true, landmarks: [[1, 2]]}); await done; release(90, 60);"
        "return [b.state.arrows, b.state.landmarks]"
    )
    assert arrows == [[20, 20, 60, 40]]
    assert landmarks == [[1, 2]]


def test_a_picture_that_is_opened_during_a_gesture_stays(run: Run) -> None:
    arrows, reference = run(
        f"{START} const done = requests.openPicture(b, 'reference', new File(['x'], 'x.png'));"
        f"await until(() => answer); {ARROW}"
        "answer({ok: true, picture: {file: {path: 'p'}, view: {path: 'v'}, width: 9, height: 9}});"
        "await done; release(90, 60); return [b.state.arrows, b.state.reference?.width]"
    )
    assert arrows == [[20, 20, 60, 40]]
    assert reference == 9


def test_an_object_that_is_selected_during_a_gesture_stays(run: Run) -> None:
    arrows, box = run(
        f"{START} const done = requests.segment(b, 'mask', {{point: {{x: 9, y: 9}}}}); {ARROW}"
        "answer({ok: true, mask: await address(200, 100, 'white')}); await done; release(90, 60);"
        "return [b.state.arrows, b.state.mask?.box]"
    )
    assert arrows == [[20, 20, 60, 40]]
    assert box == {"left": 0, "top": 0, "width": 200, "height": 100}


def test_a_box_that_is_drawn_as_a_click_is_answered_asks_for_both(run: Run) -> None:
    second, mask = run(
        f"{START} b.setMode('segment');"
        "const done = requests.segment(b, 'mask', {point: {x: 9, y: 9}});"
        "press(20, 20); go(60, 40);"
        "answer({ok: true, mask: await address(200, 100, 'white')}); await done;"
        "return [asked[1], b.state.mask]"
    )
    assert (second["positive"], second["box"]) == ([[9, 9]], [20, 20, 60, 40])
    assert mask is None  # of the click alone


def test_a_mask_that_is_opened_during_a_stroke_is_a_step_of_its_own(run: Run) -> None:
    cells, before, labels = run(
        f"{START} b.setMode('brush'); const file = await painted(200, 100, 'white');"
        "const done = requests.openMask(b, 'source', file); press(20, 20); go(60, 20); await done;"
        "release(90, 20); const inside = () => b.layers.mask.bitmap.cells.reduce((n, c) => n + c);"
        "const cells = inside(); const labels = steps(); b.undo(); return [cells, inside(), labels]"
    )
    assert cells == 200 * 100
    assert 0 < before < cells
    assert labels == ["a brush stroke", "a mask is opened"]


def test_what_is_too_large_is_said_before_it_is_sent(run: Run) -> None:
    message, sent = run(
        f"{START} b.upload = () => {{ throw new Error('sent'); }};"
        "await requests.openPicture(b, 'source', {size: given.limit + 1}); const said = b.message;"
        "await requests.openPicture(b, 'source', {size: given.limit}); return [said, b.message]",
        limit=MAX_UPLOAD,
    )
    assert message.startswith("The file has more than 100 MB; ")
    assert sent != message


def test_a_cell_has_the_size_of_the_picture_that_is_shown_now(run: Run) -> None:
    cells = run(
        "const view = {width: 50, height: 40};"
        "const layer = new layers.MaskLayer('mask', () => {});"
        "const at = []; for (const k of [2, 4]) {"
        " layer.show(null, {width: 50 * k, height: 40 * k}, view);"
        " at.push(layer.toCells({x: 40, y: 20})); } return at"
    )
    assert np.array([[c["x"], c["y"]] for c in cells]).tolist() == [[20, 10], [10, 5]]
