"""Raw requests to a page with the canvas, as a stranger may send them."""

from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import numpy as np
import pytest
from PIL import Image

from ui import text
from ui.canvas import Canvas, Patch
from ui.canvas.pixels import encoded_mask

# Gradio keeps statistics with what pandas has given up.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.queueing")

MARK = {"meta": {"_type": "gradio.FileData"}}
FUNCTIONS: dict[str, dict[str, Any]] = {
    "open_picture": {},
    "segment": {"width": 240, "height": 160, "box": None, "positive": [[9, 9]], "negative": []},
    "find_landmarks": {"width": 240, "height": 160},
    "fit_landmarks": {"width": 240, "height": 160, "points": [[9, 9], [20, 9], [15, 20]]},
}


@pytest.fixture(scope="module")
def config(demo: str) -> dict[str, Any]:
    return httpx.get(f"{demo}config").json()


def component(config: dict[str, Any], elem_id: str) -> int:
    """The number of a component of the page."""
    [found] = [one["id"] for one in config["components"] if one["props"].get("elem_id") == elem_id]
    return found


def call(url: str, config: dict[str, Any], function: str, data: Any) -> httpx.Response:
    """Calls one of the canvas's server functions."""
    body = {
        "data": data,
        "session_hash": "stranger",
        "component_id": component(config, "board"),
        "fn_name": function,
    }
    return httpx.post(f"{url}gradio_api/component_server", json=body)


def read(url: str, config: dict[str, Any], value: Any) -> str:
    """The events of the page's own reader for a value of the canvas."""
    target = [component(config, "read"), "click"]
    [event] = [one["id"] for one in config["dependencies"] if target in one["targets"]]
    session = {"session_hash": "stranger", "fn_index": event}
    httpx.post(f"{url}gradio_api/queue/join", json={"data": [value], **session})
    answer = ""
    asked = httpx.stream("GET", f"{url}gradio_api/queue/data?session_hash=stranger", timeout=60)
    with asked as got:
        for line in got.iter_lines():
            answer += line
            if "process_completed" in line:
                break
    return answer


@pytest.fixture
def private(photo: Image.Image, tmp_path: Path) -> list[str]:
    """Paths of a picture that was not loaded on the page, and of one that does not exist."""
    photo.save(tmp_path / "private.png")
    return [str(tmp_path / "private.png"), str(tmp_path / "missing.png"), "http://127.0.0.1:9/a"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_server_functions_read_uploads_only(
    function: str, demo: str, config: dict[str, Any], private: list[str]
) -> None:
    refused = {"ok": False, "error": text.NOT_UPLOADED}
    for path in [*private, "", "\0", "/etc/passwd", "x" * 4000]:
        answer = call(demo, config, function, {"path": path, **FUNCTIONS[function]}).json()
        assert answer == refused, path


@pytest.mark.parametrize("function", FUNCTIONS)
def test_server_functions_serve_uploads(
    function: str, demo: str, config: dict[str, Any], photo: Image.Image, tmp_path: Path
) -> None:
    photo.save(tmp_path / "mine.png")
    with (tmp_path / "mine.png").open("rb") as file:
        [path] = httpx.post(f"{demo}gradio_api/upload", files={"files": file}).json()
    answer = call(demo, config, function, {"path": path, **FUNCTIONS[function]}).json()
    assert answer["ok"] is True


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "path",
        {},
        {"path": 3},
        {"path": "a" * 5000},
        {"path": "a", "width": 0, "height": 10**9},
        {"path": "a", "width": 9, "height": 9, "box": [0] * 4, "positive": [[0, 0]] * 101},
        {"path": "a", "width": 9, "height": 9, "points": [["x", 0]] * 3},
    ],
)
def test_server_functions_answer_anything_in_a_sentence(
    function: str, data: Any, demo: str, config: dict[str, Any]
) -> None:
    answer = call(demo, config, function, data)
    assert answer.status_code == 200
    assert answer.json()["ok"] is False
    assert answer.json()["error"] in (text.RELOAD, text.NOT_UPLOADED)


@pytest.mark.parametrize("function", ["preprocess", "parse", "edit", "_segment", "__init__"])
def test_nothing_else_of_the_component_can_be_called(
    function: str, demo: str, config: dict[str, Any]
) -> None:
    assert call(demo, config, function, {}).status_code == 404


@pytest.mark.parametrize("mark", [{}, MARK])
@pytest.mark.parametrize("side", ["source", "reference"])
def test_the_value_reads_uploads_only(
    side: str,
    mark: dict[str, Any],
    demo: str,
    config: dict[str, Any],
    payload: dict[str, Any],
    private: list[str],
) -> None:
    mine = read(demo, config, payload)
    assert '"success":true' in mine and "landmarks" in mine
    for path in private:
        stolen = {**payload[side], "file": {"path": path, **mark}}
        answer = read(demo, config, {**payload, side: stolen})
        assert '"success":false' in answer and "landmarks" not in answer


@pytest.mark.parametrize("value", [3, "x", [], {"version": 1}, {"patch": {"tool": "move"}}])
def test_a_value_that_is_none_is_refused_in_a_sentence(
    value: Any, demo: str, config: dict[str, Any]
) -> None:
    answer = read(demo, config, value)
    assert '"success":false' in answer and "cannot be used" in answer


def test_nothing_of_the_server_is_in_the_page(demo: str, config: dict[str, Any]) -> None:
    told = str(config)
    assert str(Path(__file__).parents[3]) not in told
    assert "function segment at" not in told


def test_masks_are_never_decoded_larger_than_their_picture(
    demo: str, config: dict[str, Any], payload: dict[str, Any]
) -> None:
    large = encoded_mask(np.ones((2000, 2000), np.bool_))
    answer = read(demo, config, {**payload, "mask": large})
    assert '"success":false' in answer and "mask cannot be read" in answer


def test_a_canvas_may_begin_with_a_picture(photo: Image.Image) -> None:
    with gr.Blocks() as page:
        Canvas(Patch(tool="move", source=photo), elem_id="begun")
    [begun] = [one for one in page.get_config_file()["components"] if "js_on_load" in one["props"]]
    patch = begun["props"]["value"]["patch"]
    assert patch["tool"] == "move"
    assert "/file=" in patch["source"]["view"]["url"]
    assert begun["props"]["props"]["features"] == {"segment": False, "find": False, "fit": False}
