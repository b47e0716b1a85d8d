"""Counting teeth on renders whose teeth are known."""

from dataclasses import replace

import numpy as np
import pytest

from diffeditor.bench.judges import Judges
from diffeditor.bench.teeth import seeds, shows_teeth
from diffeditor.worlds import make_case, random_face, render
from diffeditor.worlds.case_faces import FACE_KINDS


@pytest.mark.parametrize("seed", range(6))
def test_an_open_mouth_shows_teeth_and_a_closed_one_does_not(seed: int) -> None:
    finder = Judges("embedded").find_landmarks
    for openness in (0.0, 0.7):
        picture = render(replace(random_face(seed), open=openness), 128)
        assert shows_teeth(picture.image, finder) == picture.parts["teeth"].any()


def test_a_picture_without_a_face_shows_no_teeth() -> None:
    white = np.full((128, 128, 3), 255, np.uint8)
    assert not shows_teeth(white, Judges("embedded").find_landmarks)


def test_the_seeds_are_those_of_cases_that_open_a_mouth() -> None:
    chosen = seeds(1002, 3)
    assert len(chosen) == 3 and chosen[0] >= 1002
    for seed in chosen:
        spec = make_case("face", seed, 16).truth_spec
        assert FACE_KINDS[seed % len(FACE_KINDS)] == "open the mouth"
        assert getattr(spec, "open") > 0.5  # noqa: B009
