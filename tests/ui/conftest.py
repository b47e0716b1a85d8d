"""Inputs of the page as its components give them, and the page itself on a fake editor."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from tests.ui.fakes import FakeEditor
from tests.ui.watch import chromium
from ui import launch as launching
from ui import settings
from ui.canvas import Patch
from ui.canvas.value import VERSION, parse
from ui.history import History
from ui.models import Models
from ui.turns import Turns

SIDE = 64
WIDTH = 80


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Uploads and pictures of the page go to a folder of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        yield folder


@pytest.fixture
def image() -> Image.Image:
    """A landscape picture of noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, WIDTH, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture
def mask() -> np.ndarray:
    """A box of 20 x 16 pixels about (30, 28)."""
    inside = np.zeros((SIDE, WIDTH), np.bool_)
    inside[20:36, 20:40] = True
    return inside


def on_canvas(values: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The page's values after a patch of the canvas."""
    before = values["canvas"].model_dump()
    canvas = parse({**before, **Patch(**changes).wire()["patch"]})
    return {**values, "canvas": canvas}


@pytest.fixture
def payload(image: Image.Image, mask: np.ndarray) -> dict[str, Any]:
    """What the browser sends of a canvas on which everything that any tool needs is marked."""
    patch = Patch(
        source=image,
        reference=image.transpose(Image.Transpose.ROTATE_180),
        mask=mask,
        reference_mask=mask,
        arrows=[((30, 28), (34, 28))],
    )
    return {
        "version": VERSION,
        "rev": 7,
        "tool": "drag",
        "fill_mask": None,
        "move": {"dx": 8, "dy": 2, "scale": 1},
        "paste": {"dx": 5, "dy": 0, "scale": 1},
        "landmarks": None,
        "reference_landmarks": None,
        **patch.wire()["patch"],
    }


@pytest.fixture
def values(payload: dict[str, Any]) -> dict[str, Any]:
    """What the page holds after everything that any tool needs was entered."""
    with gr.Blocks():
        built = settings.build(128).items()
    untouched = {name: one.value for name, one in built if not isinstance(one, gr.Button)}
    return {
        **untouched,
        "canvas": parse(payload),
        "model": "fake",
        "prompt": "a cup",
        "reference_prompt": "a jug",
        "face.groups": ["mouth", "eyes"],
        "face.strength": 100,
        "results.history": History(),
        "turns": Turns(),
        "turn": 0,
    }


@pytest.fixture
def mask_file(mask: np.ndarray, tmp_path: Path) -> str:
    """Another mask as a file: the picture's upper left corner."""
    inside = np.zeros_like(mask)
    inside[:8, :8] = True
    path = tmp_path / "mask.png"
    Image.fromarray(inside).save(path)
    return str(path)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, FakeEditor]]:
    """The address of the running page, and its editor."""
    editor = FakeEditor()
    models = Models.of(editor)  # type: ignore[arg-type]
    page = launching.launch(models, port=None, prevent_thread_lock=True, quiet=True)
    yield page.local_url, editor
    page.close()
