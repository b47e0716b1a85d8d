"""Landmarks from other people's finders, where the user has them and their files."""

from importlib import import_module
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image

from diffeditor.errors import ModelUnavailable, NoFaceFound

LANDMARKS = 68

MEDIAPIPE_POINTS = (
    *(127, 234, 132, 58, 172, 136, 150, 176, 152, 400, 379, 365, 397, 288, 361, 454, 356),
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),
    *(168, 197, 5, 4, 98, 97, 2, 326, 327),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91),
    *(78, 81, 13, 311, 308, 402, 14, 178),
)
"""Which of MediaPipe's 478 points lie where the 68 iBUG landmarks do: jaw, brows, nose, eyes, outer
and inner lips, chosen along its own contours [ours]."""

UPSAMPLED = 1
"""How often dlib doubles a picture before it looks for faces of at least 80 pixels."""


class MediaPipeLandmarks:
    """Finds landmarks with MediaPipe's FaceLandmarker."""

    def __init__(self, landmarker: Any, module: Any) -> None:
        self._landmarker, self._module = landmarker, module

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The finder whose model is in this file (face_landmarker.task).

        Raises:
            ModelUnavailable: mediapipe is not installed, or the file is missing or damaged.
        """
        module = _imported("mediapipe")
        create = module.tasks.vision.FaceLandmarker.create_from_model_path
        return cls(_opened(create, path, "MediaPipe FaceLandmarker"), module)

    def __call__(self, image: Image.Image) -> np.ndarray:
        """The landmarks of the largest face, float64 (68, 2), (x, y) in the picture's pixels.

        Raises:
            NoFaceFound: MediaPipe found none.
        """
        pixels = np.array(image.convert("RGB"))
        picture = self._module.Image(image_format=self._module.ImageFormat.SRGB, data=pixels)
        faces = [
            np.array([(point.x, point.y) for point in face]) * image.size
            for face in self._landmarker.detect(picture).face_landmarks
        ]
        if not faces:
            raise _no_face()
        largest = max(faces, key=lambda face: np.ptp(face, axis=0).prod())
        return _inside(largest[list(MEDIAPIPE_POINTS)], image)


class DlibLandmarks:
    """Finds landmarks with dlib's detector of frontal faces and its 68-point predictor."""

    def __init__(self, detector: Any, predictor: Any) -> None:
        self._detector, self._predictor = detector, predictor

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The finder whose predictor is in this file (shape_predictor_68_face_landmarks.dat).

        Raises:
            ModelUnavailable: dlib is not installed, or the file is missing or damaged.
        """
        module = _imported("dlib")
        predictor = _opened(module.shape_predictor, path, "dlib shape predictor")
        return cls(module.get_frontal_face_detector(), predictor)

    def __call__(self, image: Image.Image) -> np.ndarray:
        """As `MediaPipeLandmarks`.

        Raises:
            NoFaceFound: dlib found none.
            ModelUnavailable: the predictor is one of another number of points.
        """
        pixels = np.array(image.convert("RGB"))
        faces = list(self._detector(pixels, UPSAMPLED))
        if not faces:
            raise _no_face()
        shape = self._predictor(pixels, max(faces, key=lambda face: face.area()))
        if shape.num_parts != LANDMARKS:
            raise ModelUnavailable(
                f"The dlib file predicts {shape.num_parts} points; give the one of {LANDMARKS}."
            )
        points = np.array([(part.x, part.y) for part in shape.parts()], dtype=np.float64)
        return _inside(points + 0.5, image)  # dlib counts whole pixels


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ModelUnavailable(f"{name} is not installed; run: pip install {name}") from error


def _opened(create: Any, path: str | Path, kind: str) -> Any:
    if not Path(path).is_file():
        raise ModelUnavailable(f"There is no landmark file {path}; check the path.")
    try:
        return create(str(path))
    except Exception as error:  # foreign code raises what it likes
        raise ModelUnavailable(f"{path} is not a {kind}; get the file again.") from error


def _no_face() -> NoFaceFound:
    return NoFaceFound(
        "No face was found; use a portrait, or click the eyes and the mouth by hand."
    )


def _inside(points: np.ndarray, image: Image.Image) -> np.ndarray:
    """Points brought inside the picture, as faces may be cut off."""
    return np.clip(points, 0, np.nextafter(image.size, 0))
