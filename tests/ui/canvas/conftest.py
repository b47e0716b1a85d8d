"""A value of the canvas with uploads behind it, and a browser."""

import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.ui.canvas.demo import ball_mask, picture
from ui.canvas import Patch
from ui.canvas.value import TOOLS, VERSION

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def photo() -> Image.Image:
    """A landscape of 240 x 160 pixels."""
    return picture()


@pytest.fixture
def payload(photo: Image.Image) -> dict[str, Any]:
    """What the browser would send after everything was done once."""
    patch = Patch(
        source=photo,
        reference=photo.transpose(Image.Transpose.ROTATE_90),
        mask=ball_mask(),
        reference_mask=np.rot90(ball_mask()),
        arrows=[((1.5, 2.0), (3.0, 4.0))],
    )
    placement = {"dx": 0, "dy": 0, "scale": 1}
    return {
        "version": VERSION,
        "rev": 7,
        "tool": TOOLS[0],
        "fill_mask": None,
        "move": {"dx": 10.0, "dy": -4, "scale": 1.5},
        "paste": placement,
        "landmarks": [[float(i), 1.0] for i in range(68)],
        "reference_landmarks": None,
        **patch.wire()["patch"],
    }


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        yield launched
        launched.close()
