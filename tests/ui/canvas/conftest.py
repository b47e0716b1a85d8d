"""A value of the canvas with uploads behind it."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.ui.canvas.demo import ball_mask, picture
from ui.canvas import Patch
from ui.canvas.value import TOOLS, VERSION


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
