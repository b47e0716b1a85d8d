"""docs/api.md: its examples run as they stand, against a served page with a tiny model."""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from diffeditor import TASKS, Editor, load_landmark_finder
from diffeditor.backbones import StableDiffusion
from diffeditor.backbones.embedded import embedded_folder
from diffeditor.worlds import random_face, render
from ui.api import HOW
from ui.launch import launch
from ui.models import Models

# Gradio keeps statistics with what pandas has given up.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.queueing")

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
CONNECT, *CALLS = EXAMPLES
ADDRESS = "http://127.0.0.1:7860/"
SIZE = 128


@pytest.fixture(scope="module")
def address(tiny_model: StableDiffusion) -> Iterator[str]:
    """Of the page."""
    finder = load_landmark_finder(embedded_folder() / "landmarks.safetensors")
    models = Models.of(Editor(tiny_model, finder))
    page = launch(models, port=None, prevent_thread_lock=True, quiet=True)
    yield page.local_url
    page.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the pictures that the examples name."""
    made = tmp_path_factory.mktemp("client")
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    disc = Image.new("L", (SIZE, SIZE))
    ImageDraw.Draw(disc).ellipse((44, 44, 84, 84), fill=255)
    faces = [Image.fromarray(render(random_face(seed), SIZE).image) for seed in (0, 1)]
    pictures = {
        "photo": Image.fromarray(noise),
        "reference": Image.fromarray(noise).transpose(Image.Transpose.ROTATE_90),
        "mask": disc,
        "reference-mask": disc,
        "portrait": faces[0],
        "smile": faces[1],
    }
    for name, picture in pictures.items():
        picture.save(made / f"{name}.png")
    return made


@pytest.fixture(scope="module")
def connected(address: str) -> dict[str, Any]:
    """The names that exist after the first example."""
    names: dict[str, Any] = {}
    assert ADDRESS in CONNECT
    exec(CONNECT.replace(ADDRESS, address), names)
    return names


@pytest.mark.parametrize("example", CALLS)
def test_every_example_runs(
    example: str,
    connected: dict[str, Any],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    names = dict(connected)
    exec(compile(example, "docs/api.md", "exec"), names)
    if "AppError" in example:
        assert "stays where it is" in capsys.readouterr().out
        return
    with Image.open(names["picture"]) as picture:
        assert (picture.format, picture.size) == ("PNG", (SIZE, SIZE))
    assert f"/{names['numbers']['task']}" in example
    if "submit" in example:
        told = capsys.readouterr().out.splitlines()
        assert told[-1] == "Done" and any(line.startswith("Editing") for line in told)


def test_every_task_has_its_example_and_every_argument_is_named() -> None:
    for name, task in TASKS.items():
        [example, *_] = [one for one in CALLS if f'api_name="/{name}"' in one]
        given = re.findall(r"^    (\w+)=", example, flags=re.MULTILINE)
        assert set(given) <= {*(field.name for field in fields(task)), *HOW, "api_name"}
    assert all(f"`{name}`" in PAGE for name in HOW)
