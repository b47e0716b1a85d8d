"""Faces: landmarks, their groups, the fit of one face onto another, the part that is edited."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from diffeditor.errors import InvalidEdit, InvalidImage, NoFaceFound, OutOfBounds
from diffeditor.geometry import Size
from diffeditor.plan import Grid
from diffeditor.tasks import Face
from diffeditor.tasks.face import GROUPS, STEADY, fit_onto
from tests.tiny import landmarks, picture, quick

HEIGHT, WIDTH = 100, 120
NOW, THEN = landmarks(HEIGHT, WIDTH), landmarks(HEIGHT, WIDTH, seed=1)
NAN = float("nan")


def face(**changes: Any) -> Face:
    given: dict[str, Any] = {"source_landmarks": NOW, "target_landmarks": THEN}
    return Face(image=picture(HEIGHT, WIDTH), **{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"reference": picture(50, 50)}, InvalidEdit, "Give either a reference portrait or"),
        ({"target_landmarks": None}, InvalidEdit, "Give either a reference portrait or"),
        ({"target_landmarks": THEN[:67]}, InvalidEdit, "target landmarks must be 68 finite points"),
        ({"target_landmarks": THEN * NAN}, InvalidEdit, "target landmarks must be 68 finite"),
        ({"source_landmarks": "here"}, InvalidEdit, "source landmarks must be 68 points (x, y)"),
        ({"source_landmarks": NOW + 100}, OutOfBounds, "lie outside the picture; move them inside"),
        ({"target_landmarks": THEN - 99}, OutOfBounds, "Some target landmarks lie outside"),
        ({"groups": ()}, InvalidEdit, 'groups must be "all" or some of jaw, brows, nose'),
        ({"groups": "ears"}, InvalidEdit, 'groups must be "all" or some of'),
        ({"groups": ("eyes", "ears")}, InvalidEdit, 'groups must be "all" or some of'),
        ({"groups": 5}, InvalidEdit, 'groups must be "all" or some of'),
        ({"groups": None}, InvalidEdit, 'groups must be "all" or some of'),
        ({"groups": [["eyes"]]}, InvalidEdit, 'groups must be "all" or some of'),
        ({"strength": -0.1}, InvalidEdit, "strength must be from 0 to 1.5, not -0.1"),
        ({"strength": 1.6}, InvalidEdit, "strength must be from 0 to 1.5, not 1.6"),
        ({"strength": NAN}, InvalidEdit, "strength must be from 0 to 1.5, not nan"),
        ({"strength": "much"}, InvalidEdit, "strength must be a number, not 'much'"),
    ],
)
def test_wrong_faces(changes: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error) as caught:
        face(**changes)
    assert type(caught.value) is error and says in str(caught.value)


def test_a_wrong_reference() -> None:
    with pytest.raises(InvalidImage, match="The reference 'none.png' does not exist"):
        face(target_landmarks=None, reference="none.png")


def test_groups_choose_landmarks() -> None:
    assert sorted(p for group in GROUPS.values() for p in group) == list(range(68))
    assert len(face().targets()) == 68
    assert face(groups="mouth").groups == ("mouth",)
    chosen = face(groups=("mouth", "eyes"))
    assert chosen.groups == ("eyes", "mouth") and len(chosen.targets()) == 32
    start, end = chosen.targets()[0]
    assert (start.x, start.y) == tuple(NOW[36]) and (end.x, end.y) == tuple(THEN[36])


def test_the_strength_is_how_much_of_the_way_landmarks_go() -> None:
    assert np.array_equal(face().goals, THEN)
    assert np.array_equal(face(strength=0).goals, NOW)
    assert np.allclose(face(strength=0.5).goals, (NOW + THEN) / 2)
    further = face(target_landmarks=NOW + 1, strength=1.5)
    assert np.allclose(further.goals, NOW + 1.5)
    start, end = further.targets()[7]
    assert (start.x, end.x) == (NOW[7, 0], further.goals[7, 0])


@given(strength=st.floats(0, 1.5), dx=st.floats(-20, 20), dy=st.floats(-20, 20))
def test_goals_stay_in_the_picture_and_in_the_part_that_is_edited(
    strength: float, dx: float, dy: float
) -> None:
    now = np.clip(50 + landmarks(40, 40), 0, 99)
    task = Face(
        image=picture(300, 400),
        source_landmarks=now,
        target_landmarks=np.clip(now + (dx, dy), 0, (399, 299)),
        strength=strength,
    )
    near, box = task.focused(96)
    corner = (0, 0) if box is None else box[:2]
    assert near.goals.min() >= 0 and (near.goals < (near.size.width, near.size.height)).all()
    assert np.allclose(near.goals + corner, task.goals)


def test_goals_beyond_the_border_are_brought_to_it() -> None:
    edge = np.clip(NOW, 0, (WIDTH - 1, HEIGHT - 1))
    goals = face(source_landmarks=edge - edge.min(0) + 5, target_landmarks=edge, strength=1.5).goals
    assert goals.min() >= 0 and (goals < (WIDTH, HEIGHT)).all()


def similarity(points: np.ndarray, angle: float, scale: float, dx: float, dy: float) -> np.ndarray:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * points @ turn.T + (dx, dy)


@given(
    angle=st.floats(-0.6, 0.6),
    scale=st.floats(0.5, 2),
    dx=st.floats(-40, 40),
    dy=st.floats(-40, 40),
)
def test_a_fit_recovers_a_similarity(angle: float, scale: float, dx: float, dy: float) -> None:
    target = similarity(NOW, angle, scale, dx, dy)
    assert np.allclose(fit_onto(NOW, target), target, atol=0.05)


def test_a_fit_keeps_the_expression() -> None:
    smiling = NOW.copy()
    smiling[48:] += (0, 4)
    fitted = fit_onto(smiling, similarity(NOW, 0.3, 1.5, 10, -5))
    expected = similarity(smiling, 0.3, 1.5, 10, -5)
    assert np.allclose(fitted, expected, atol=0.05)
    assert not set(STEADY) & set(GROUPS["mouth"])


def test_a_fit_modifies_nothing_and_needs_different_points() -> None:
    before, target = NOW.copy(), THEN.copy()
    fit_onto(NOW, THEN)
    assert np.array_equal(NOW, before) and np.array_equal(THEN, target)
    with pytest.raises(InvalidEdit, match="cannot be fitted onto each other"):
        fit_onto(np.full((68, 2), 5.0), np.full((68, 2), 5.0))


def test_a_reference_is_found_and_fitted() -> None:
    asked: list[tuple[int, int]] = []

    def finder(portrait: Image.Image) -> np.ndarray:
        asked.append(portrait.size)
        return NOW if portrait.size == (WIDTH, HEIGHT) else similarity(THEN, 0.2, 0.5, 5, 5)

    task = face(source_landmarks=None, target_landmarks=None, reference=picture(60, 60))
    ready = task.prepared(finder)
    assert asked == [(WIDTH, HEIGHT), (60, 60)]
    assert ready.reference is None and np.array_equal(ready.source_landmarks, NOW)
    expected = np.clip(fit_onto(similarity(THEN, 0.2, 0.5, 5, 5), NOW), 0, (WIDTH - 1, HEIGHT - 1))
    assert np.allclose(ready.target_landmarks, expected)


def test_given_landmarks_need_no_finder() -> None:
    def finder(_: Image.Image) -> np.ndarray:
        raise NoFaceFound("The finder was asked.")

    ready = face().prepared(finder)
    assert np.array_equal(ready.source_landmarks, NOW)
    with pytest.raises(NoFaceFound):
        face(source_landmarks=None).prepared(finder)


def test_a_small_face_is_edited_in_its_surroundings() -> None:
    small = 50 + landmarks(40, 40)
    task = Face(image=picture(300, 400), source_landmarks=small, target_landmarks=small + 3)
    near, cut = task.focused(96)
    assert cut is not None
    left, top, right, bottom = cut
    assert right - left == bottom - top < 100
    assert np.array_equal(np.asarray(near.source), picture(300, 400)[top:bottom, left:right])
    assert np.allclose(near.source_landmarks + (left, top), small)
    assert np.allclose(near.target_landmarks + (left, top), small + 3)
    assert near.groups == task.groups and near.prompt == task.prompt


@given(x=st.floats(0, 200), y=st.floats(0, 100), spread=st.floats(5, 90), far=st.floats(0, 100))
def test_the_part_that_is_edited_holds_all_landmarks(
    x: float, y: float, spread: float, far: float
) -> None:
    limit = (299, 199)
    now = np.clip(landmarks(100, 100) * spread / 50 + (x, y), 0, limit)
    then = np.clip(now + (far, 0), 0, limit)
    task = Face(image=picture(200, 300), source_landmarks=now, target_landmarks=then)
    near, cut = task.focused(96)
    if cut is None:
        assert near is task
        return
    left, top, right, bottom = cut
    assert 0 <= left < right <= 300 and 0 <= top < bottom <= 200
    assert near.source.size == (right - left, bottom - top)
    assert np.allclose(near.source_landmarks + (left, top), now)


def test_a_large_face_is_edited_as_it_is() -> None:
    wide = landmarks(HEIGHT, WIDTH) * 2 - (WIDTH / 2, HEIGHT / 2)
    wide = np.clip(wide, 0, (WIDTH - 1, HEIGHT - 1))
    square = Face(image=picture(WIDTH, WIDTH), source_landmarks=wide, target_landmarks=wide + 0.5)
    near, cut = square.focused(96)
    assert cut is None and near is square


def test_the_region_holds_the_head() -> None:
    region = face().region()
    for x, y in np.concatenate([NOW, THEN]):
        assert region[int(y), int(x)]
    assert region.sum() < region.size


@pytest.mark.parametrize("everywhere", [True, False])
def test_the_gradient_acts_round_the_face_or_as_in_the_release_everywhere(everywhere: bool) -> None:
    task = face()
    size = Size(96, 128)
    grid = Grid(source=task.size, working=size, latent_factor=8, device=torch.device("cpu"))
    preset = replace(quick(), face_everywhere=everywhere)
    plan = task.plan(grid, task.strengths, preset)
    near = (plan.m_edit > 0)[0, 0]
    assert bool(plan.m_sde.all()) and plan.kv.keep_own
    assert bool(near.all()) == everywhere
    for x, y in np.concatenate([NOW, THEN]).clip(0, (WIDTH - 1, HEIGHT - 1)):
        assert near[int(y * 12 / HEIGHT), int(x * 16 / WIDTH)]
