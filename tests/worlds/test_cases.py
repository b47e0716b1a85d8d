"""Cases: the task asks for just what the truth shows, and nothing else differs."""

from dataclasses import fields, replace
from functools import cache

import numpy as np
import pytest
import torch

from diffeditor.errors import InvalidSetting
from diffeditor.tasks import Appearance, Drag, Face, Move, Paste
from diffeditor.worlds import Case, FaceSpec, Render, SceneSpec, WorldSpec, make_case, render
from diffeditor.worlds.case_base import VISIBLE_CHANGE
from diffeditor.worlds.case_drags import LANDMARKS_DRAGGED
from diffeditor.worlds.case_faces import FACE_EDITS, FACE_KINDS
from diffeditor.worlds.case_objects import MOVE_SPAN

SIZE = 64
TASKS = {"move": Move, "drag": Drag, "face": Face, "paste": Paste, "appearance": Appearance}
SEEDS = range(6)


@pytest.fixture(scope="module")
def cases() -> dict[tuple[str, int], Case]:
    """A case of every task and seed."""
    return {(task, seed): make_case(task, seed, SIZE) for task in TASKS for seed in SEEDS}


@cache
def shown(spec: WorldSpec) -> Render:
    """The picture of a world, drawn once for all tests."""
    return render(spec, SIZE)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two masks."""
    return float((one & other).sum() / (one | other).sum())


def changed_objects(case: Case) -> list[int]:
    """Positions of the objects that differ between the worlds."""
    before, after = case.spec, case.truth_spec
    assert isinstance(before, SceneSpec) and isinstance(after, SceneSpec)
    assert replace(before, solids=()) == replace(after, solids=())
    pairs = zip(before.solids, after.solids, strict=False)
    return [index for index, (one, other) in enumerate(pairs) if one != other]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("task", TASKS)
def test_a_case_shows_its_worlds(cases: dict, task: str, seed: int) -> None:
    case = cases[task, seed]
    assert type(case.task) is TASKS[task] and case.seed == seed
    source, truth = shown(case.spec), shown(case.truth_spec)
    np.testing.assert_array_equal(np.asarray(case.task.image), source.image)
    np.testing.assert_array_equal(case.truth, truth.image)
    assert case.prompt == truth.caption


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("task", TASKS)
def test_only_the_region_changes(cases: dict, task: str, seed: int) -> None:
    case = cases[task, seed]
    change = abs(np.asarray(case.task.image).astype(int) - case.truth).max(-1)
    assert case.region.shape == (SIZE, SIZE) and case.region.dtype == bool
    assert change[~case.region].max() <= VISIBLE_CHANGE
    assert (change > 20).sum() > 20
    assert 0.01 < case.region.mean() < 0.85


@pytest.mark.parametrize("task", TASKS)
def test_the_same_arguments_give_the_same_case(cases: dict, task: str) -> None:
    state = torch.get_rng_state()
    again, first = make_case(task, 3, SIZE), cases[task, 3]
    assert again.spec == first.spec and again.truth_spec == first.truth_spec
    np.testing.assert_array_equal(again.truth, first.truth)
    np.testing.assert_array_equal(again.region, first.region)
    assert torch.equal(state, torch.get_rng_state())


def test_seeds_and_tasks_give_different_worlds(cases: dict) -> None:
    specs = [case.spec for case in cases.values()]
    assert all(one != other for i, one in enumerate(specs) for other in specs[:i])


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="'erase'.*move, drag, face, paste, appearance"):
        make_case("erase", 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_moved_mask_covers_the_object_in_the_truth(cases: dict, seed: int) -> None:
    case = cases["move", seed]
    task, (index,) = case.task, changed_objects(case)
    truth = shown(case.truth_spec).masks[index]
    assert overlap(task._moved(), truth) > 0.78
    assert not task.warnings()
    assert MOVE_SPAN[0] - 0.03 < abs(task.shift[0]) / SIZE < MOVE_SPAN[1] + 0.03
    assert task.shift == tuple(map(round, task.shift))
    assert (case.region & truth).sum() == truth.sum()


def test_about_half_of_the_moves_resize() -> None:
    cases = [make_case("move", seed, 32) for seed in range(24)]
    resized = [case.task.scale != 1.0 for case in cases]
    assert 6 <= sum(resized) <= 18
    for case, with_scale in zip(cases, resized, strict=True):
        (index,) = changed_objects(case)
        before, after = case.spec.solids[index], case.truth_spec.solids[index]
        assert (before.radius != after.radius) == with_scale and before.z == after.z


@pytest.mark.parametrize("seed", SEEDS)
def test_a_pasted_mask_covers_the_new_object(cases: dict, seed: int) -> None:
    case = cases["paste", seed]
    before, after = shown(case.spec), shown(case.truth_spec)
    assert changed_objects(case) == []
    assert len(after.masks) == len(before.masks) + 1
    assert overlap(case.task._placed(), after.masks[-1]) > 0.78
    for one, other in zip(before.masks, after.masks, strict=False):
        assert overlap(one, other) > 0.9


@pytest.mark.parametrize("seed", SEEDS)
def test_an_appearance_is_that_of_the_reference(cases: dict, seed: int) -> None:
    case = cases["appearance", seed]
    (index,) = changed_objects(case)
    before, after = case.spec.solids[index], case.truth_spec.solids[index]
    look = {"colour": after.colour, "pattern": after.pattern, "texture": after.texture}
    assert replace(before, **look) == after and before.colour != after.colour
    np.testing.assert_array_equal(case.task.mask, shown(case.spec).masks[index])
    assert case.task.reference_mask.any()


@pytest.mark.parametrize("seed", SEEDS)
def test_drags_start_inside_and_end_where_the_truth_is(cases: dict, seed: int) -> None:
    case = cases["drag", seed]
    starts, ends = np.array(case.task.points).transpose(1, 0, 2)
    np.testing.assert_array_equal(ends, case.target_landmarks)
    assert 1 <= len(ends) <= 7 and not case.task.warnings()
    assert (np.hypot(*(ends - starts).T) > 0.5).all()
    np.testing.assert_array_equal(case.task.mask, case.region)
    assert isinstance(case.spec, FaceSpec if seed % 2 else SceneSpec)


@pytest.mark.parametrize("seed", [s for s in SEEDS if s % 2 == 0])
def test_the_handles_of_an_object_stay_on_it(cases: dict, seed: int) -> None:
    case = cases["drag", seed]
    (index,) = changed_objects(case)
    masks = [shown(spec).masks[index] for spec in (case.spec, case.truth_spec)]
    for start, end in case.task.points:
        for (x, y), mask in zip((start, end), masks, strict=True):
            near = mask[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2]
            assert near.any()


@pytest.mark.parametrize("seed", [s for s in SEEDS if s % 2])
def test_dragged_landmarks_are_the_face_s_own(cases: dict, seed: int) -> None:
    case = cases["drag", seed]
    kind = tuple(LANDMARKS_DRAGGED)[seed // 2 % len(LANDMARKS_DRAGGED)]
    now, then = (shown(spec).landmarks for spec in (case.spec, case.truth_spec))
    own = {(tuple(now[i]), tuple(then[i])) for i in LANDMARKS_DRAGGED[kind]}
    assert len(case.task.points) >= 3 and set(case.task.points) <= own


@pytest.mark.parametrize("seed", SEEDS)
def test_a_face_case_is_the_same_person(cases: dict, seed: int) -> None:
    case = cases["face", seed]
    edited = set(FACE_EDITS[FACE_KINDS[seed % len(FACE_KINDS)]][1])
    differing = {
        field.name
        for field in fields(FaceSpec)
        if getattr(case.spec, field.name) != getattr(case.truth_spec, field.name)
    }
    assert differing and differing <= edited
    now, then = (shown(spec) for spec in (case.spec, case.truth_spec))
    np.testing.assert_array_equal(case.task.source_landmarks, now.landmarks)
    np.testing.assert_array_equal(case.task.target_landmarks, then.landmarks)
    np.testing.assert_array_equal(case.target_landmarks, then.landmarks)
    assert (case.region & then.masks[0]).sum() == then.masks[0].sum()


@pytest.mark.parametrize("seed", SEEDS)
def test_prompts_hold_before_and_after(cases: dict, seed: int) -> None:
    for task in TASKS:
        words = set(cases[task, seed].task.prompt.replace(",", "").split())
        assert not words & {"left", "right", "middle", "mouth", "facing", "smiling", "frowning"}
    case = cases["appearance", seed]
    (index,) = changed_objects(case)
    assert case.spec.solids[index].pattern not in case.task.prompt.split(" floor")[0].split(",")[0]


def test_an_object_that_fits_nowhere_is_left_for_another() -> None:
    assert isinstance(make_case("paste", 7, SIZE).task, Paste)  # the first one drawn never fits
