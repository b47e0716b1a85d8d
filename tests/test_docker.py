"""The container's recipe: it copies what there is, and what it starts is what the program offers.

No image is built here; the instructions are read, and their commands run where that is possible.
"""

import json
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from diffeditor.cli import main

ROOT = Path(__file__).resolve().parents[1]
PORT = 7860


def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments) in order, lines joined and comments left out."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text("utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines]


def arguments(instruction: str) -> list[str]:
    return [rest for name, rest in instructions() if name == instruction]


def final_stage() -> list[tuple[str, str]]:
    steps = instructions()
    start = max(i for i, (name, _) in enumerate(steps) if name == "FROM")
    return steps[start:]


def copied() -> list[str]:
    """Paths of the project that are copied into the image."""
    from_here = [rest.split() for rest in arguments("COPY") if "--from" not in rest]
    return [source for *sources, _ in from_here for source in sources]


def ignored(path: str) -> bool:
    """Whether .dockerignore leaves out a path at the project's root; the last match decides."""
    found = False
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        if line and not line.startswith("#") and fnmatch(path, line.removeprefix("!")):
            found = not line.startswith("!")
    return found


def test_what_is_copied_is_there_and_all_that_a_package_is_made_of() -> None:
    assert copied() and all((ROOT / path).exists() for path in copied())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    about = [project["project"]["readme"], *project["project"]["license-files"]]
    assert {*wheel["packages"], *wheel["force-include"], *about, "pyproject.toml"} <= {*copied()}


def test_nothing_but_what_is_copied_is_sent_to_the_builder() -> None:
    assert not [path for path in copied() if ignored(path)]
    sent = {path.name for path in ROOT.iterdir() if not ignored(path.name)}
    assert sent == {*copied()}


def test_the_page_is_not_run_by_root_and_models_are_kept() -> None:
    stage = final_stage()
    users = [rest for name, rest in stage if name == "USER"]
    assert users == ["editor"]
    assert [name for name, _ in stage].index("USER") < len(stage) - 2
    (volume,) = json.loads(arguments("VOLUME")[0])
    assert f"HF_HOME={volume} " in " ".join(arguments("ENV"))
    assert any(f"--owner=editor {volume}" in rest for name, rest in stage if name == "RUN")


def test_it_starts_the_page_for_the_host_to_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[tuple[Any, ...]] = []
    monkeypatch.setattr("diffeditor.editor.load_editor", lambda *_, **__: None)
    monkeypatch.setattr("ui.launch.launch", lambda *given: launched.append(given))
    (program,) = json.loads(arguments("ENTRYPOINT")[0])
    assert main(json.loads(arguments("CMD")[-1])) == 0
    assert launched[0][1:] == ("0.0.0.0", PORT)
    assert arguments("EXPOSE") == [str(PORT)]
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    assert scripts[program] == "diffeditor.cli:main"


def test_extras_and_constraints_are_real() -> None:
    installs = [rest for rest in arguments("RUN") if "pip install" in rest]
    extras = re.findall(r"\.\[(\w+)\]", " ".join(installs))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert extras and set(extras) <= project["optional-dependencies"].keys()
    assert all("-c constraints.txt" in rest for rest in installs)
    pinned = (ROOT / "constraints.txt").read_text("utf-8")
    assert len(re.findall("^torch==", pinned, flags=re.MULTILINE)) == 1


def test_its_arguments_are_those_that_the_guide_names() -> None:
    guide = (ROOT / "docs" / "install.md").read_text("utf-8")
    named = set(re.findall(r"--build-arg (\w+)=", guide))
    assert named and named <= {rest.split("=")[0] for rest in arguments("ARG")}


class Answer(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (500, False)])
def test_the_health_check_tells_an_answer_from_an_error(
    port: int, status: int, healthy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Answer, "status", status)
    python, *rest = json.loads(arguments("HEALTHCHECK")[0].split("CMD ", 1)[1])
    assert python == "python"
    command = [sys.executable, *(text.replace(str(PORT), str(port)) for text in rest)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert (done.returncode == 0) == healthy
