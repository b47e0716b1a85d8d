"""MediaPipe and dlib through stand-ins with their interfaces; neither is needed to run these."""

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffeditor.errors import ModelUnavailable, NoFaceFound
from diffeditor.faces import DlibLandmarks, MediaPipeLandmarks, load_landmark_finder
from diffeditor.faces.adapters import MEDIAPIPE_POINTS
from diffeditor.tasks.face import GROUPS

PORTRAIT = Image.new("RGB", (200, 100), (255, 0, 0))


@dataclass
class Place:
    """A point of either library."""

    x: float
    y: float


def numbered(offset: float = 0.0, size: float = 1.0) -> list[Place]:
    """A MediaPipe face whose point n lies at (n, n + 1) / 1000."""
    return [Place(offset + size * n / 1000, offset + size * (n + 1) / 1000) for n in range(478)]


class FakeMediaPipe(ModuleType):
    """The part of `mediapipe` that is used; `faces` is what it finds."""

    ImageFormat = SimpleNamespace(SRGB="srgb")

    def __init__(self, *faces: list[Place]) -> None:
        super().__init__("mediapipe")
        self.faces = list(faces)
        self.seen: list[tuple[str, np.ndarray]] = []
        self.tasks = SimpleNamespace(
            vision=SimpleNamespace(
                FaceLandmarker=SimpleNamespace(create_from_model_path=self.create)
            )
        )

    def create(self, path: str) -> Any:
        if Path(path).read_bytes() == b"damaged":
            raise ValueError("Unable to open zip archive.")
        return SimpleNamespace(detect=lambda _: SimpleNamespace(face_landmarks=self.faces))

    def Image(self, image_format: str, data: np.ndarray) -> object:
        self.seen.append((image_format, data))
        return object()


class FakeDlib(ModuleType):
    """The part of `dlib` that is used; it finds a small face, then a large one."""

    def __init__(self, points: int = 68, faces: int = 2) -> None:
        super().__init__("dlib")
        self.points, self.faces = points, faces

    def get_frontal_face_detector(self) -> Any:
        faces = [SimpleNamespace(area=lambda n=n: 100 * (n + 1), number=n) for n in range(9)]
        return lambda pixels, upsampled: faces[: self.faces]

    def shape_predictor(self, path: str) -> Any:
        if Path(path).read_bytes() == b"damaged":
            raise RuntimeError("Unexpected version found while deserializing.")

        def predict(pixels: np.ndarray, face: Any) -> Any:
            assert pixels.shape == (100, 200, 3)
            parts = [Place(n + 10 * face.number, 2 * n) for n in range(self.points)]
            return SimpleNamespace(num_parts=self.points, parts=lambda: parts)

        return predict


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a good and a damaged file of each kind, as the fakes see them."""
    for suffix in (".task", ".dat"):
        (tmp_path / f"good{suffix}").write_bytes(b"good")
        (tmp_path / f"bad{suffix}").write_bytes(b"damaged")
    return tmp_path


def test_mediapipe_points_are_those_of_the_68(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeMediaPipe(numbered())
    monkeypatch.setitem(sys.modules, "mediapipe", fake)
    found = MediaPipeLandmarks.load(files / "good.task")(PORTRAIT)
    chosen = np.array(MEDIAPIPE_POINTS)
    expected = np.stack([200 * chosen / 1000, 100 * (chosen + 1) / 1000], axis=1)
    np.testing.assert_allclose(found, expected)
    image_format, pixels = fake.seen[0]
    assert image_format == "srgb"
    assert pixels.shape == (100, 200, 3) and (pixels == (255, 0, 0)).all()


def test_the_table_of_mediapipe_points_is_whole() -> None:
    assert len(set(MEDIAPIPE_POINTS)) == 68
    assert max(MEDIAPIPE_POINTS) < 468  # the rest are irises
    eyes = [MEDIAPIPE_POINTS[p] for p in (36, 39, 42, 45)]
    assert eyes == [33, 133, 362, 263]
    mouth_and_chin = [MEDIAPIPE_POINTS[p] for p in (48, 54, 8)]
    assert mouth_and_chin == [61, 291, 152]
    assert sum(len(group) for group in GROUPS.values()) == len(MEDIAPIPE_POINTS)


def test_the_largest_face_of_mediapipe_is_taken(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeMediaPipe(numbered(size=0.2), numbered(offset=0.1, size=0.9))
    monkeypatch.setitem(sys.modules, "mediapipe", fake)
    found = load_landmark_finder(files / "good.task")(PORTRAIT)
    assert found[0, 0] == pytest.approx(200 * (0.1 + 0.9 * MEDIAPIPE_POINTS[0] / 1000))


def test_points_beyond_the_border_are_brought_inside(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe", FakeMediaPipe(numbered(offset=-0.2, size=3)))
    found = load_landmark_finder(files / "good.task")(PORTRAIT)
    assert found.min() >= 0 and (found < PORTRAIT.size).all()


def test_dlib_takes_the_largest_face(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", FakeDlib())
    found = DlibLandmarks.load(files / "good.dat")(PORTRAIT.convert("L"))
    assert found.shape == (68, 2)
    np.testing.assert_allclose(found[3], (3 + 10 + 0.5, 6 + 0.5))


def test_dlib_needs_the_file_of_68(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", FakeDlib(points=5))
    with pytest.raises(ModelUnavailable, match="predicts 5 points; give the one of 68"):
        load_landmark_finder(files / "good.dat")(PORTRAIT)


@pytest.mark.parametrize(
    ("suffix", "module"), [(".task", FakeMediaPipe()), (".dat", FakeDlib(faces=0))]
)
def test_no_face_is_told(
    suffix: str, module: ModuleType, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(NoFaceFound, match="click the eyes and the mouth"):
        load_landmark_finder(files / f"good{suffix}")(PORTRAIT)


@pytest.mark.parametrize(("suffix", "module"), [(".task", FakeMediaPipe()), (".dat", FakeDlib())])
def test_a_wrong_file_is_told(
    suffix: str, module: ModuleType, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(ModelUnavailable, match="get the file again"):
        load_landmark_finder(files / f"bad{suffix}")
    with pytest.raises(ModelUnavailable, match="no landmark file"):
        load_landmark_finder(files / f"none{suffix}")


@pytest.mark.parametrize(("suffix", "name"), [(".task", "mediapipe"), (".dat", "dlib")])
def test_a_missing_library_is_told(
    suffix: str, name: str, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)  # makes its import fail
    with pytest.raises(ModelUnavailable, match=f"pip install {name}"):
        load_landmark_finder(files / f"good{suffix}")
