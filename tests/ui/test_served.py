"""The running page, asked as programs and strangers ask it."""

import json
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from diffeditor import TASKS
from tests.ui.fakes import PAINT, FakeEditor
from ui import handlers, text
from ui.canvas.pixels import decoded_mask
from ui.models import Models

# Gradio keeps statistics with what pandas has given up.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.queueing")

Served = tuple[str, FakeEditor]


@pytest.fixture
def files(image: Image.Image, mask_file: str, tmp_path: Path) -> dict[str, Any]:
    """A picture and a mask on the client's side."""
    image.save(tmp_path / "picture.png")
    return {"picture": handle_file(str(tmp_path / "picture.png")), "mask": handle_file(mask_file)}


@pytest.fixture(scope="module")
def client(served: Served) -> Client:
    return Client(served[0], verbose=False)


def inputs_of(task: str, files: dict[str, Any]) -> dict[str, Any]:
    both = {"image": files["picture"], "mask": files["mask"]}
    second = {"reference": files["picture"], "reference_mask": files["mask"]}
    return {
        "move": {**both, "shift": [5, 3]},
        "drag": {**both, "points": [[[2, 2], [6, 6]]]},
        "face": {"image": files["picture"], "reference": files["picture"]},
        "paste": {"image": files["picture"], **second, "shift": [5, 3]},
        "appearance": {**both, **second},
    }[task]


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_an_endpoint(
    task: str, served: Served, client: Client, files: dict[str, Any], image: Image.Image
) -> None:
    _, editor = served
    answer, numbers = client.predict(
        **inputs_of(task, files), changes={"steps": 9}, seed=4, api_name=f"/{task}"
    )
    with Image.open(answer) as picture:
        assert picture.size == image.size
        assert picture.convert("RGB").getpixel((0, 0)) == PAINT
    assert numbers["task"] == task
    ran, preset, seed = editor.runs[-1]
    assert (ran.name, preset.steps, seed) == (task, 9, 4)


def test_the_tasks_are_the_only_endpoints(client: Client) -> None:
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(named) == {f"/{task}" for task in TASKS}
    fields = [parameter["parameter_name"] for parameter in named["/move"]["parameters"]]
    assert fields == [
        *("image", "mask", "shift", "scale", "fill_mask", "prompt"),
        *("preset", "changes", "seed", "model"),
    ]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"shift": [0, 0]}, "stays where it is"),
        ({"shift": "far"}, "shift must be two numbers"),
        ({"changes": {"steps": 0}}, "steps must be from"),
        ({"changes": {"guide": 1}}, "guide must be a list"),
        ({"changes": {"speed": 1}}, "'speed'"),
        ({"model": "best"}, "no model 'best'"),
        ({"preset": "best"}, "no preset 'best'"),
        ({"seed": 0.5}, "must be a whole number"),
    ],
)
def test_an_endpoint_answers_with_the_sentence(
    wrong: dict[str, Any], words: str, client: Client, files: dict[str, Any]
) -> None:
    with pytest.raises(AppError, match=words):
        client.predict(**inputs_of("move", files) | wrong, api_name="/move")


# Strangers


def ask(url: str, task: str, data: list[Any]) -> str:
    """The events that a raw request to an endpoint leads to."""
    event = httpx.post(f"{url}gradio_api/call/{task}", json={"data": data}).json()["event_id"]
    return httpx.get(f"{url}gradio_api/call/{task}/{event}", timeout=20).text


def upload(url: str, path: Path) -> str:
    with path.open("rb") as file:
        return httpx.post(f"{url}gradio_api/upload", files={"files": file}).json()[0]


MARK = {"meta": {"_type": "gradio.FileData"}}


@pytest.mark.parametrize("mark", [{}, MARK])
def test_a_file_of_the_server_is_never_read(
    mark: dict[str, Any], served: Served, image: Image.Image, tmp_path: Path
) -> None:
    url, editor = served
    image.save(tmp_path / "private.png")
    mine = upload(url, tmp_path / "private.png")
    ran = len(editor.runs)
    rest = [None, None, "all", 1.0, None, "diffeditor", {}, 0, None]
    for path in (
        str(tmp_path / "private.png"),
        f"{Path(mine).parent}/../../../{tmp_path}/private.png",
    ):
        answer = ask(url, "face", [{"path": path, **mark}, {"path": mine, **MARK}, *rest])
        assert "event: error" in answer and "private" not in answer
    assert len(editor.runs) == ran
    assert "event: complete" in ask(url, "face", [{"path": mine, **MARK}] * 2 + rest)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/a.png", "https://example.org/a.png"])
@pytest.mark.parametrize("key", ["path", "url"])
def test_nothing_is_fetched_for_a_stranger(address: str, key: str, served: Served) -> None:
    url, editor = served
    ran = len(editor.runs)
    picture = {"path": "a.png", **MARK, key: address}
    rest = [None, None, "all", 1.0, None, "diffeditor", {}, 0, None]
    answer = ask(url, "face", [picture, picture, *rest])
    assert "event: error" in answer
    assert key != "path" or text.NOT_UPLOADED in answer
    assert len(editor.runs) == ran


def page_event(url: str, name: str, changes: dict[str, Any]) -> str:
    """What the page's main event on an element does, with the inputs' first values changed.

    name: the element's text. changes: by label, or by element.
    """
    config = httpx.get(f"{url}config").json()
    props = {one["id"]: one["props"] for one in config["components"]}
    named = {i for i, one in props.items() if name in (one.get("value"), one.get("label"))}
    event = max(
        (one for one in config["dependencies"] if any(i in named for i, _ in one["targets"])),
        key=lambda one: len(one["inputs"]),
    )
    first = [(props[i].get("elem_id") or props[i].get("label"), props[i]) for i in event["inputs"]]
    data = [changes.get(key, one.get("value")) for key, one in first]
    stranger = uuid4().hex
    session = {"session_hash": stranger, "fn_index": event["id"]}
    httpx.post(f"{url}gradio_api/queue/join", json={"data": data, **session})
    answer = ""
    asked = httpx.stream("GET", f"{url}gradio_api/queue/data?session_hash={stranger}", timeout=60)
    with asked as got:
        for line in got.iter_lines():
            answer += line
            if "process_completed" in line:
                return answer
    return answer


def test_a_box_selects_the_object_in_it(served: Served, tmp_path: Path) -> None:
    url, _ = served
    picture = Image.new("RGB", (80, 64), "navy")
    picture.paste("yellow", (30, 20, 50, 40))
    picture.save(tmp_path / "object.png")
    asked = {
        "path": upload(url, tmp_path / "object.png"),
        **{"width": 80, "height": 64, "box": [24, 14, 56, 46], "positive": [], "negative": []},
    }
    config = httpx.get(f"{url}config").json()
    [board] = [one["id"] for one in config["components"] if one["props"].get("elem_id") == "board"]
    body = {"data": asked, "session_hash": "s", "component_id": board, "fn_name": "segment"}
    answer = httpx.post(f"{url}gradio_api/component_server", json=body, timeout=60).json()
    found = decoded_mask(answer["mask"], (80, 64), (80, 64))
    assert found[22:38, 32:48].all() and not found[:12].any() and not found[:, 60:].any()


@pytest.mark.parametrize("mark", [{}, MARK])
@pytest.mark.parametrize("side", ["source", "reference"])
def test_the_canvas_reads_uploads_only(
    side: str,
    mark: dict[str, Any],
    served: Served,
    payload: dict[str, Any],
    image: Image.Image,
    tmp_path: Path,
) -> None:
    url, editor = served
    image.save(tmp_path / "private.png")
    ran = len(editor.runs)
    for path in (tmp_path / "private.png", tmp_path / "missing.png"):
        stolen = {**payload[side], "file": {"path": str(path), **mark}}
        answer = page_event(url, text.EDIT, {"board": {**payload, side: stolen}})
        assert '"success":false' in answer and "private" not in answer
    assert len(editor.runs) == ran
    assert text.NO_PICTURE in page_event(url, text.EDIT, {})


@pytest.mark.parametrize("mark", [{}, MARK])
def test_the_recipe_button_reads_uploads_only(
    mark: dict[str, Any], served: Served, values: dict[str, Any], tmp_path: Path
) -> None:
    url, _ = served
    [*_, last] = handlers.edit(Models.of(FakeEditor()), values)  # type: ignore[arg-type]
    recipe = Path(last["results.save_recipe"]["value"])
    private = tmp_path / "private.json"
    private.write_bytes(recipe.read_bytes())
    mine = upload(url, private)
    for path in (private, tmp_path / "missing.json"):
        answer = page_event(url, text.OPEN_RECIPE, {text.OPEN_RECIPE: {"path": str(path), **mark}})
        assert '"success":false' in answer and "a cup" not in answer
    answer = page_event(url, text.OPEN_RECIPE, {text.OPEN_RECIPE: {"path": mine, **MARK}})
    assert "a cup" in answer


def test_the_recipe_button_fetches_nothing(served: Served) -> None:
    elsewhere = {"path": "https://example.org/a.json", **MARK}
    answer = page_event(served[0], text.OPEN_RECIPE, {text.OPEN_RECIPE: elsewhere})
    assert '"success":false' in answer and text.NOT_UPLOADED in answer


# The page itself


def test_the_page_loads_nothing_from_elsewhere(served: Served) -> None:
    url, _ = served
    html = httpx.get(url).text
    loaded = re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"([^\"]+)\"", html)
    styles = httpx.get(f"{url}theme.css").text
    loaded += re.findall(r"url\(['\"]?(\w+:[^)'\"]+)", styles)
    outside = [one for one in loaded if re.match(r"(https?:)?//", one)]
    assert [one for one in outside if not one.startswith(url)] == []
    assert "fonts.googleapis" not in html + styles


def test_nobody_is_told_that_the_page_runs(served: Served) -> None:
    config = httpx.get(f"{served[0]}config").json()
    assert config["analytics_enabled"] is False
    assert "https://" not in json.dumps([c["props"].get("value") for c in config["components"]])


def test_the_page_asks_before_gradio_does(served: Served) -> None:
    page = httpx.get(served[0])
    asks = page.text.index("beforeunload")
    assert asks < page.text.index("<script", page.text.index("<script") + 1)
    assert "beforeunload" not in httpx.get(f"{served[0]}config").text
