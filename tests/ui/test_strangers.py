"""A path of the server in place of an upload, sent to all that the page has.

What is tried follows from the page itself, so that a new component is tried too.
"""

from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from PIL import Image

from tests.ui.fakes import FakeEditor

# Gradio keeps statistics with what pandas has given up.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.queueing")

PLAIN = {
    *("textbox", "number", "slider", "dropdown", "checkbox", "checkboxgroup", "json", "state"),
}
"""Components whose values are no files: what is sent to them is text or a number, and stays so."""
MARKS: list[dict[str, Any]] = [{}, {"meta": {"_type": "gradio.FileData"}}]

Served = tuple[str, FakeEditor]


@pytest.fixture
def paths(image: Image.Image, tmp_path: Path) -> tuple[str, str]:
    """Of a file that was not loaded on the page, and of none; both of one length."""
    image.save(tmp_path / "private.png")
    return str(tmp_path / "private.png"), str(tmp_path / "missing.png")


def config(url: str) -> dict[str, Any]:
    return httpx.get(f"{url}config").json()


def send(url: str, event: dict[str, Any], data: list[Any]) -> str:
    """What the page answers to an event at last."""
    session = uuid4().hex
    httpx.post(
        f"{url}gradio_api/queue/join",
        json={"data": data, "fn_index": event["id"], "session_hash": session},
    )
    asked = httpx.stream("GET", f"{url}gradio_api/queue/data?session_hash={session}", timeout=60)
    with asked as got:
        for line in got.iter_lines():
            if "process_completed" in line:
                return line
    pytest.fail("There was no answer.")


def shapes(kind: str, file: dict[str, Any], payload: dict[str, Any]) -> list[Any]:
    """Values of a component in which the file may be."""
    if kind == "html":
        sides = ("source", "reference")
        return [{**payload, side: {**payload[side], "file": file}} for side in sides]
    return [file, [file], {"image": file}, [{"image": file, "caption": None}]]


def test_no_component_takes_a_path_of_the_server(
    served: Served, paths: tuple[str, str], payload: dict[str, Any]
) -> None:
    url, editor = served
    page = config(url)
    components = {one["id"]: one for one in page["components"]}
    tried: set[int] = set()
    ran = len(editor.runs)
    for event in page["dependencies"]:
        values = [components[i]["props"].get("value") for i in event["inputs"]]
        for place, number in enumerate(event["inputs"]):
            kind = components[number]["type"]
            if kind in PLAIN or number in tried or not event["backend_fn"]:
                continue
            tried.add(number)
            for mark in MARKS:
                answers = []
                for path in paths:
                    for sent in shapes(kind, {"path": path, **mark}, payload):
                        data = [*values[:place], sent, *values[place + 1 :]]
                        answer = send(url, event, data)
                        assert '"success":false' in answer, (kind, sent)
                        answers.append(answer.split('"output":')[1].split('"duration"')[0])
                half = len(answers) // 2  # the same words whether or not there is such a file
                neutral = [one.replace(Path(paths[0]).name, "x") for one in answers[:half]]
                assert neutral == [
                    one.replace(Path(paths[1]).name, "x") for one in answers[half:]
                ], kind
    kinds = sorted(components[number]["type"] for number in tried)
    assert {"html", "image", "uploadbutton"} <= set(kinds) and len(tried) >= 7
    assert len(editor.runs) == ran


def test_no_server_function_takes_a_path_of_the_server(
    served: Served, paths: tuple[str, str]
) -> None:
    url, _ = served
    functions = [
        (one["id"], name)
        for one in config(url)["components"]
        for name in one["props"].get("server_fns", [])
    ]
    assert len(functions) >= 4
    size = {"width": 80, "height": 64}
    more = {"box": None, "positive": [[3, 3]], "negative": [], "points": [[1, 1], [9, 1], [5, 9]]}
    for number, name in functions:
        answers = []
        for path in paths:
            for data in (
                {"path": path},
                {"path": path, **size},
                {"path": path, **size, "points": more["points"]},
                {"path": path, **size, **{k: more[k] for k in ("box", "positive", "negative")}},
                path,
                [path],
            ):
                body = {
                    "data": data,
                    "session_hash": uuid4().hex,
                    "component_id": number,
                    "fn_name": name,
                }
                answer = httpx.post(f"{url}gradio_api/component_server", json=body)
                refused = answer.status_code >= 400 or answer.json().get("ok") is False
                assert refused, (name, data)
                answers.append((answer.status_code, answer.text))
        half = len(answers) // 2
        assert answers[:half] == answers[half:], name


def test_no_file_of_the_server_is_served(served: Served, paths: tuple[str, str]) -> None:
    url, _ = served
    folder = Path(paths[0]).parent
    for path in (*paths, "/etc/passwd", str(folder), str(folder / ".." / "x")):
        for way in ("gradio_api/file=", "file=", "gradio_api/file/"):
            answer = httpx.get(f"{url}{way}{quote(path)}")
            assert answer.status_code in (403, 404), path
    answers = [httpx.get(f"{url}gradio_api/file={quote(path)}") for path in paths]
    assert answers[0].status_code == answers[1].status_code
