"""Inputs of the page as its components give them, and the page itself on a fake editor."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.ui.fakes import FakeEditor
from ui import launch as launching

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


def strokes(mask: np.ndarray, alpha: int = 128) -> Image.Image:
    """A brush layer that covers the mask."""
    layer = np.zeros((*mask.shape, 4), np.uint8)
    layer[mask] = (255, 40, 120, alpha)
    return Image.fromarray(layer)


@pytest.fixture
def values(image: Image.Image, mask: np.ndarray) -> dict[str, Any]:
    """What the page holds after everything that any tab needs was entered."""
    painted = {"background": image.convert("RGBA"), "layers": [strokes(mask)], "composite": None}
    return {
        "tool": "drag",
        "start": None,
        "source": painted,
        "source_mask": None,
        "prompt": "a cup",
        "reference": {**painted, "background": image.transpose(Image.Transpose.ROTATE_180)},
        "reference_mask": None,
        "drag.points": [[30, 28, 34, 28]],
        "move.dx": 8,
        "move.dy": 2,
        "move.scale": 1.0,
        "move.fill_mask": None,
        "paste.dx": 5,
        "paste.dy": 0,
        "paste.scale": 1.0,
        "paste.reference_prompt": "a jug",
        "appearance.reference_prompt": "a jug",
        "face.groups": ["mouth", "eyes"],
        "preset": "diffeditor",
        "seed": 0,
        "steps": 50,
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
def served() -> Iterator[tuple[str, FakeEditor]]:
    """The address of the running page, and its editor."""
    editor = FakeEditor()
    page = launching.launch(editor, port=None, prevent_thread_lock=True, quiet=True)
    yield page.local_url, editor
    page.close()
