"""The object finder on renders, where the answer is known."""

from dataclasses import replace

import numpy as np
import pytest

from diffeditor.bench.objects import ObjectFinder, edited_solid, scene_renders
from diffeditor.preview import preview
from diffeditor.tasks import Move
from diffeditor.worlds import Case, SceneSpec, make_case, render

CASES = [("move", 3), ("move", 8), ("paste", 2), ("drag", 2), ("drag", 6)]


@pytest.fixture(params=CASES, ids=lambda one: f"{one[0]}-{one[1]}")
def case(request: pytest.FixtureRequest) -> Case:
    return make_case(*request.param, size=128)


def test_the_truth_is_where_it_is(case: Case) -> None:
    finder = ObjectFinder.of(case)
    found = finder.find(case.truth)
    assert found is not None
    assert np.abs(found.centre - finder.home).max() <= 1
    assert found.size == pytest.approx(1, abs=0.05)


def test_noise_and_blur_hardly_matter(case: Case) -> None:
    finder = ObjectFinder.of(case)
    grain = np.random.default_rng(0).normal(0, 5, case.truth.shape)
    found = finder.find(np.clip(case.truth + grain, 0, 255).astype(np.uint8))
    assert found is not None
    assert np.abs(found.centre - finder.home).max() <= 1.5


def test_without_the_object_nothing_is_found(case: Case) -> None:
    scene, index = case.truth_spec, edited_solid(case)
    assert isinstance(scene, SceneSpec)
    empty = replace(scene, solids=tuple(s for i, s in enumerate(scene.solids) if i != index))
    assert ObjectFinder.of(case).find(render(empty, 128).image) is None


@pytest.mark.parametrize("seed", [1002, 1006, 1007, 1014])
def test_a_copy_at_the_asked_place_is_where_it_should_be_though_it_shows_its_old_side(
    seed: int,
) -> None:
    case = make_case("move", seed, size=128)
    finder = ObjectFinder.of(case)
    found = finder.find(np.asarray(preview(case.task)))
    assert found is not None
    assert np.abs(found.centre - finder.home).max() <= 1
    assert found.size == pytest.approx(1, abs=0.06)


def test_an_object_whose_pattern_was_drawn_anew_is_found_by_its_colours() -> None:
    """Veins of a marbled block that lie elsewhere: each pixel is one from up to six pixels away."""
    case = make_case("move", 1010, size=128)
    finder = ObjectFinder.of(case)
    own = scene_renders(case)[1].masks[edited_solid(case)]
    rng, picture = np.random.default_rng(0), case.truth.copy()
    for y, x in np.argwhere(own):
        near = own[y - 6 : y + 7, x - 6 : x + 7]
        picture[y, x] = case.truth[y - 6 : y + 7, x - 6 : x + 7][near][rng.integers(near.sum())]
    found = finder.find(picture)
    assert found is not None
    assert np.abs(found.centre - finder.home).max() <= 2


def test_an_object_that_was_not_moved_is_where_it_was() -> None:
    case = make_case("move", 1008, size=128)
    assert isinstance(case.task, Move) and case.task.scale == 1
    finder = ObjectFinder.of(case)
    found = finder.find(np.asarray(case.task.source))
    assert found is not None
    assert found.centre == pytest.approx(finder.home - case.task.shift, abs=1.5)
