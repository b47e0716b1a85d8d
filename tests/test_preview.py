"""A preview looks like the edit, and keeps what the edit may not change."""

from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from diffeditor import Appearance, Drag, Face, InvalidEdit, InvalidSetting, Move, Paste
from diffeditor.config import Preset, Strengths
from diffeditor.geometry import Box, Size
from diffeditor.images import resize_image, resize_mask
from diffeditor.plan import EditPlan, Grid
from diffeditor.preview import preview, sketch
from diffeditor.tasks import TASKS, Task
from diffeditor.worlds import Case, make_case

GREEN, RED, BLUE = (40, 160, 60), (200, 30, 40), (30, 40, 200)
SIDE = 64


@cache
def case(name: str) -> Case:
    return make_case(name, 2, 96)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def box(left: int, top: int, right: int, bottom: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[top:bottom, left:right] = True
    return mask


def plain(colour: tuple[int, int, int] = GREEN) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), colour, np.uint8)


def with_square() -> tuple[np.ndarray, np.ndarray]:
    """A red square of 10 pixels on green, and its mask."""
    mask = box(10, 20, 20, 30, SIDE, SIDE)
    picture = plain()
    picture[mask] = RED
    return picture, mask


def error(picture: np.ndarray, truth: np.ndarray, region: np.ndarray) -> float:
    return float(np.square(picture[region].astype(float) - truth[region]).mean())


@pytest.mark.parametrize("size", [Size(48, 64), Size(112, 96), Size(96, 96)])
def test_a_sketch_is_resized_as_its_source_is(size: Size) -> None:
    """So that only the edit differs between the two, whatever the aspect."""
    mask = box(8, 20, 20, 36, 72, 90)
    task = Move(image=noise(72, 90), mask=mask, shift=(6.4, 3.0))
    made, plain_source = (
        np.asarray(one) for one in (sketch(task, size), resize_image(task.source, size))
    )
    assert made.shape == (size.height, size.width, 3)
    touched = resize_mask(task.region(), size)
    assert np.array_equal(made[~touched], plain_source[~touched])
    assert (made != plain_source)[touched].mean() > 0.5


@pytest.mark.parametrize("name", TASKS)
def test_a_preview_is_nearer_to_the_right_answer_than_the_source(name: str) -> None:
    one = case(name)
    seen, source = np.asarray(preview(one.task)), np.asarray(one.task.source)
    assert error(seen, one.truth, one.region) < 0.8 * error(source, one.truth, one.region)


@pytest.mark.parametrize("name", TASKS)
def test_pixels_outside_the_region_are_the_sources_own(name: str) -> None:
    task = case(name).task
    before = np.array(task.source)
    seen = preview(task)
    outside = ~task.region()
    assert (seen.mode, seen.size) == ("RGB", task.source.size)
    np.testing.assert_array_equal(np.asarray(seen)[outside], before[outside])
    np.testing.assert_array_equal(np.asarray(task.source), before)


@pytest.mark.parametrize("name", TASKS)
def test_a_limit_bounds_the_longer_side(name: str) -> None:
    task = case(name).task
    assert preview(task, limit=48).size == (48, 48)
    np.testing.assert_array_equal(preview(task, limit=500), preview(task))


def test_a_limit_is_a_positive_number() -> None:
    with pytest.raises(InvalidSetting, match="at least 1 pixel, not 0"):
        preview(case("move").task, limit=0)


def test_a_large_picture_is_worked_on_reduced_and_returned_whole() -> None:
    picture = noise(60, 1400)
    task = Move(image=picture, mask=box(100, 20, 140, 40, 60, 1400), shift=(700, 5))
    seen, outside = np.asarray(preview(task)), ~task.region()
    np.testing.assert_array_equal(seen[outside], picture[outside])
    moved = seen[30:40, 810:830].astype(float).mean((0, 1))
    np.testing.assert_allclose(moved, picture[25:35, 110:130].mean((0, 1)), atol=12)


def test_a_moved_object_is_copied_and_its_place_filled() -> None:
    picture, mask = with_square()
    seen = np.asarray(preview(Move(image=picture, mask=mask, shift=(30, 12))))
    expected = plain()
    expected[33:41, 41:49] = RED
    inner = np.ones((SIDE, SIDE), bool)
    inner[32:42, 40:50] = False
    inner[33:41, 41:49] = True  # all but the square's softened edge
    np.testing.assert_allclose(seen[inner] - 0.0, expected[inner], atol=3)
    assert (seen[32, 45] != RED).any() and (seen[32, 45] != GREEN).any()


def test_a_moved_object_keeps_its_pixels() -> None:
    picture, mask = noise(SIDE, SIDE), box(10, 20, 20, 30, SIDE, SIDE)
    seen = np.asarray(preview(Move(image=picture, mask=mask, shift=(30, 12))))
    np.testing.assert_array_equal(seen[33:41, 41:49], picture[21:29, 11:19])


def test_an_object_is_scaled_about_its_centre() -> None:
    picture, mask = with_square()
    seen = np.asarray(preview(Move(image=picture, mask=mask, shift=(20, 10), scale=2.0)))
    red = seen[..., 0] > (GREEN[0] + RED[0]) / 2
    rows, columns = np.flatnonzero(red.any(1)), np.flatnonzero(red.any(0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (25, 44, 25, 44)


def test_a_reduced_object_is_averaged() -> None:
    picture = plain()
    picture[8:56:2, 8:56], picture[9:56:2, 8:56] = 0, 255
    task = Move(image=picture, mask=box(8, 8, 56, 56, SIDE, SIDE), shift=(0, 0), scale=0.25)
    centre = np.asarray(preview(task))[30:34, 30:34]
    assert (abs(centre.astype(int) - 128) < 20).all()


def test_an_object_that_fills_the_picture_leaves_no_black() -> None:
    picture = plain()
    task = Move(image=picture, mask=box(1, 1, 63, 63, SIDE, SIDE), shift=(20, 0))
    np.testing.assert_array_equal(preview(task), picture)


boxes = st.tuples(st.integers(0, 40), st.integers(0, 30), st.integers(1, 30), st.integers(1, 20))
shifts = st.tuples(st.floats(-20, 20), st.floats(-20, 20))


@settings(max_examples=25)
@given(boxes, shifts, st.floats(0.05, 6))
def test_any_move_keeps_the_rest(
    corner: tuple[int, int, int, int], shift: tuple[float, float], scale: float
) -> None:
    left, top, width, height = corner
    picture = noise(48, 72)
    mask = box(left, top, left + width, top + height, 48, 72)
    try:
        task = Move(image=picture, mask=mask, shift=shift, scale=scale)
    except InvalidEdit:
        return
    seen, outside = np.asarray(preview(task)), ~task.region()
    np.testing.assert_array_equal(seen[outside], picture[outside])


def test_a_pasted_object_comes_from_a_picture_of_any_size() -> None:
    reference, mask = np.full((30, 90, 3), BLUE, np.uint8), box(60, 5, 80, 15, 30, 90)
    reference[mask] = RED
    task = Paste(image=plain(), reference=reference, reference_mask=mask, shift=(-40, 20))
    seen = np.asarray(preview(task))
    expected = plain()
    expected[26:34, 21:39] = RED
    inner = np.ones((SIDE, SIDE), bool)
    inner[25:35, 20:40] = False
    inner[26:34, 21:39] = True
    np.testing.assert_array_equal(seen[inner], expected[inner])
    assert not (seen == BLUE).all(-1).any()


def test_a_dragged_dot_comes_to_its_end() -> None:
    picture = plain()
    picture[28:33, 22:27] = RED
    mask = box(6, 6, 58, 58, SIDE, SIDE)
    task = Drag(image=picture, mask=mask, points=[((24.5, 30.5), (38.5, 34.5))])
    seen = np.asarray(preview(task))
    assert tuple(seen[34, 38]) == RED
    np.testing.assert_allclose(seen[30, 24], GREEN, atol=2)


def test_a_thing_dragged_as_a_whole_fills_its_region_and_parts_do_not_reach_its_border() -> None:
    """Three corners go to the right, and the fourth does too or does not; a ramp shows how far."""
    region = box(8, 8, 56, 56, SIDE, SIDE)
    ramp = np.broadcast_to(np.arange(SIDE, dtype=np.uint8)[None, :, None] * 3, (SIDE, SIDE, 3))
    corners = [(20.0, 20.0), (20.0, 44.0), (44.0, 20.0), (44.0, 44.0)]
    near_the_left_border = np.s_[24:40, 10:12]
    gone = []
    for last in (6.0, -6.0):
        ways = zip(corners, (6.0, 6.0, 6.0, last), strict=True)
        points = [((x, y), (x + way, y)) for (x, y), way in ways]
        seen = np.asarray(preview(Drag(image=ramp, mask=region, points=points)))
        gone.append((ramp[near_the_left_border] / 3 - seen[near_the_left_border] / 3).mean())
    whole, parts = gone
    assert whole > 5
    assert parts < 0.7 * whole


def test_landmarks_of_other_groups_stay() -> None:
    task = case("face").task
    assert isinstance(task, Face)
    mouth = np.asarray(preview(replace(task, groups="mouth")))
    eye = np.rint(np.asarray(task.source_landmarks)[36:42].mean(0)).astype(int)
    near = slice(eye[1] - 2, eye[1] + 3), slice(eye[0] - 2, eye[0] + 3)
    whole, source = np.asarray(preview(task)), np.asarray(task.source)
    assert error(mouth, source, near) < 0.2 * error(whole, source, near)


def test_a_face_of_no_strength_stays() -> None:
    task = case("face").task
    assert isinstance(task, Face)
    seen = np.asarray(preview(replace(task, strength=0))).astype(int)
    assert abs(seen - np.asarray(task.source)).max() <= 1


def test_a_face_without_landmarks_asks_for_them() -> None:
    task = Face(image=noise(SIDE, SIDE), reference=noise(SIDE, SIDE, 1))
    with pytest.raises(InvalidEdit, match="not known yet; find them first"):
        preview(task)


def test_colours_take_the_references_mean_and_spread() -> None:
    rng = np.random.default_rng(3)
    picture = rng.normal((90, 120, 140), (8, 10, 6), (SIDE, SIDE, 3)).clip(0, 255).astype(np.uint8)
    other = rng.normal((170, 110, 90), (14, 6, 9), (SIDE, SIDE, 3)).clip(0, 255).astype(np.uint8)
    mask = box(8, 8, 56, 56, SIDE, SIDE)
    task = Appearance(image=picture, mask=mask, reference=other, reference_mask=mask)
    inner = np.asarray(preview(task))[10:54, 10:54].reshape(-1, 3)
    np.testing.assert_allclose(inner.mean(0), (170, 110, 90), atol=2)
    np.testing.assert_allclose(inner.std(0), (14, 6, 9), rtol=0.15)


def test_plain_colours_are_matched_too() -> None:
    mask = box(8, 8, 56, 56, SIDE, SIDE)
    task = Appearance(image=plain(), mask=mask, reference=plain(RED), reference_mask=mask)
    np.testing.assert_allclose(
        np.asarray(preview(task))[12:52, 12:52] - 0.0, plain(RED)[:40, :40], atol=1
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Unknown(Task):
    """A task that the preview was never told of."""

    name: ClassVar[str] = "unknown"

    @property
    def prompts(self) -> tuple[str, ...]:
        return ("",)

    def region(self) -> np.ndarray:
        return np.ones((self.size.height, self.size.width), bool)

    def cropped(self, box: Box) -> "Unknown":
        raise NotImplementedError

    def plan(self, grid: Grid, strengths: Strengths, preset: Preset) -> EditPlan:
        raise NotImplementedError


def test_a_task_without_a_preview_says_so() -> None:
    with pytest.raises(InvalidEdit, match="no preview of the task unknown"):
        preview(Unknown(image=Image.new("RGB", (SIDE, SIDE))))
