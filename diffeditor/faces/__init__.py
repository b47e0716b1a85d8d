"""Finding the 68 iBUG landmarks of a portrait: by this project's network, others', or by hand."""

from pathlib import Path

from diffeditor.errors import ModelUnavailable
from diffeditor.faces.adapters import DlibLandmarks, MediaPipeLandmarks
from diffeditor.faces.heatmap import (
    CELL,
    FLAT,
    INPUT,
    LANDMARKS_FILE,
    HeatmapLandmarks,
    LandmarkNet,
    peaks,
    positions,
)
from diffeditor.faces.template import fit_template
from diffeditor.tasks.base import LandmarkFinder

__all__ = [
    "CELL",
    "FLAT",
    "INPUT",
    "LANDMARKS_FILE",
    "DlibLandmarks",
    "HeatmapLandmarks",
    "LandmarkNet",
    "MediaPipeLandmarks",
    "fit_template",
    "load_landmark_finder",
    "peaks",
    "positions",
]

_FINDERS = {
    ".safetensors": HeatmapLandmarks,
    ".task": MediaPipeLandmarks,
    ".dat": DlibLandmarks,
}


def load_landmark_finder(path: str | Path) -> LandmarkFinder:
    """The finder that a file is for, told by its suffix.

    .safetensors: this project's own; .task: MediaPipe's FaceLandmarker; .dat: dlib's 68 points.

    Raises:
        ModelUnavailable: the file is missing, damaged or of another kind, or its library is not
            installed.
    """
    finder = _FINDERS.get(Path(path).suffix.lower())
    if finder is None:
        raise ModelUnavailable(
            f"{path} is no landmark finder; give a file that ends in {', '.join(_FINDERS)}."
        )
    return finder.load(path)
