"""Three clicks place a mean face."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffeditor.errors import InvalidEdit
from diffeditor.faces import fit_template
from diffeditor.faces.template import EYE, MEAN_FACE, MOUTH, OTHER_EYE
from diffeditor.worlds import random_face
from diffeditor.worlds.face_model import landmarks

CLICKS = np.array([(40.0, 50.0), (80.0, 52.0), (59.0, 90.0)])


def middles(points: np.ndarray) -> np.ndarray:
    return np.stack([points[part].mean(0) for part in (EYE, OTHER_EYE, MOUTH)])


def test_the_mean_face_is_itself_upright_and_symmetric() -> None:
    np.testing.assert_allclose(middles(MEAN_FACE)[:2], [(-1, 0), (1, 0)], atol=0.01)
    assert MEAN_FACE[8, 1] > MEAN_FACE[57, 1] > MEAN_FACE[33, 1] > MEAN_FACE[19, 1]
    np.testing.assert_allclose(MEAN_FACE[16::-1] * (-1, 1), MEAN_FACE[:17])


@given(
    angle=st.floats(-3, 3), scale=st.floats(5, 200), x=st.floats(-50, 500), y=st.floats(-50, 500)
)
def test_clicks_on_a_mean_face_give_it_back(angle: float, scale: float, x: float, y: float) -> None:
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    face = scale * MEAN_FACE @ turn + (x, y)
    np.testing.assert_allclose(fit_template(*middles(face)), face, atol=1e-6 * scale + 1e-9)


def test_the_eyes_may_come_in_any_order() -> None:
    a, b, mouth = CLICKS
    np.testing.assert_array_equal(fit_template(a, b, mouth), fit_template(b, a, mouth))
    placed = fit_template(b, a, mouth)
    assert placed.shape == (68, 2)
    assert placed[36, 0] < placed[45, 0]


def test_unseen_faces_are_met_within_a_few_pixels() -> None:
    errors = []
    for seed in range(10**7, 10**7 + 100):
        face = landmarks(random_face(seed), 128)
        errors.append(np.linalg.norm(fit_template(*middles(face)) - face, axis=1).mean())
    assert np.mean(errors) < 3.5
    assert np.max(errors) < 8


@pytest.mark.parametrize(
    ("clicks", "message"),
    [
        (((10, 10), (10, 10), (10, 10)), "must not lie on a line"),
        (((10, 10), (30, 10), (20, 10.5)), "must not lie on a line"),
        (((10, 10), (30, 10), (20, float("inf"))), "mouth must be finite"),
        (((10, 10, 3), (30, 10), (20, 30)), "left eye must be two numbers"),
    ],
)
def test_wrong_clicks_are_refused(clicks: tuple, message: str) -> None:
    with pytest.raises(InvalidEdit, match=message):
        fit_template(*clicks)
