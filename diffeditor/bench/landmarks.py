"""Sets of the 68 iBUG landmarks that distances are taken over."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from diffeditor.errors import NoFaceFound

JAW = np.arange(17)
ALL = np.arange(68)

Finder = Callable[[Image.Image], np.ndarray]


def found(finder: Finder, picture: np.ndarray) -> np.ndarray | None:
    """The landmarks (68, 2) of a picture (H, W, 3); None where no face is seen."""
    try:
        return finder(Image.fromarray(picture))
    except NoFaceFound:
        return None
