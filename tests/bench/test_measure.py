"""What is measured: nothing is wrong with the truth, and much with the untouched source."""

from functools import cache

import numpy as np
import pytest

from diffeditor.bench.judges import Judges
from diffeditor.bench.measure import LOST, Values, Yardstick
from diffeditor.worlds import make_case

CASES = [("move", 3), ("drag", 4), ("drag", 5), ("paste", 2), ("appearance", 1), ("face", 0)]
ERRORS = ("centre_error", "size_error", "colour_error", "pattern_error", "lost")
POINTS = ("distance_after", "mse_after")


@cache
def yardstick(task: str, seed: int) -> Yardstick:
    finder = Judges("embedded").find_landmarks
    return Yardstick(case=make_case(task, seed, size=128), find_landmarks=finder)


@cache
def measured(task: str, seed: int, what: str) -> Values:
    one = yardstick(task, seed)
    return one.measure(one.case.truth if what == "truth" else one.source)


@pytest.mark.parametrize(("task", "seed"), CASES)
def test_nothing_is_wrong_with_the_truth(task: str, seed: int) -> None:
    values = measured(task, seed, "truth")
    for name, value in values.items():
        if name in ERRORS or name.startswith(POINTS):
            assert value == 0, name
        elif name.startswith("psnr") and name != "psnr_outside":
            assert value == 60, name
        elif name.startswith("progress"):
            assert value == pytest.approx(values[name.replace("progress", "mse_before")]), name
        elif name.startswith("ssim"):
            assert value == pytest.approx(1), name


@pytest.mark.parametrize(("task", "seed"), CASES)
def test_the_source_is_exact_outside_and_wrong_inside(task: str, seed: int) -> None:
    values = measured(task, seed, "source")
    assert values["changed_outside"] == values["changed_beyond"] == 0
    assert values["psnr_outside"] == 60
    assert values["psnr_region"] < values["psnr_outside"] - 20
    assert values["psnr_changing"] <= values["psnr_region"]


def test_an_object_left_behind_is_as_far_off_as_it_should_have_moved() -> None:
    one, values = yardstick("move", 3), measured("move", 3, "source")
    (start, end), *_ = one.case.task.targets()
    way = np.hypot(end.x - start.x, end.y - start.y)
    assert values["centre_error"] == pytest.approx(way, rel=0.15)


def test_an_object_that_was_not_pasted_is_lost() -> None:
    values = measured("paste", 2, "source")
    assert (values["lost"], values["centre_error"]) == (1, LOST)


def test_another_colour_is_seen() -> None:
    assert measured("appearance", 1, "source")["colour_error"] > 10


@pytest.mark.parametrize(("task", "seed"), [("face", 0), ("drag", 5)])
def test_landmarks_of_the_source_have_not_moved(task: str, seed: int) -> None:
    values = measured(task, seed, "source")
    for points in ("17", "68", "moved", *(["handles"] if task == "drag" else [])):
        assert values[f"mse_after_{points}"] == values[f"mse_before_{points}"] > 0
        assert values[f"progress_{points}"] == 0


def test_where_no_face_is_seen_the_landmarks_have_not_moved() -> None:
    blank = np.full((128, 128, 3), 127, np.uint8)
    values = yardstick("face", 0).measure(blank)
    assert values["mse_after_68"] == values["mse_before_68"]


def test_a_pixel_far_from_the_edit_is_noticed() -> None:
    one = yardstick("move", 3)
    touched = one.source.copy()
    beyond = one.beyond(6.0)
    row, column = np.argwhere(beyond)[0]
    touched[row, column] ^= 1
    assert one.measure(touched, 6.0)["changed_beyond"] == pytest.approx(100 / beyond.sum())


def test_what_fades_out_round_the_edit_is_not_beyond_it() -> None:
    one = yardstick("move", 3)
    near = one.beyond(0.0) & ~one.beyond(6.0)
    assert 0 < near.sum() < (one.beyond(0.0) & ~one.beyond(12.0)).sum()
    touched = np.where(near[..., None], one.source ^ 1, one.source)
    assert one.measure(touched)["changed_beyond"] > 0
    assert one.measure(touched, 6.0)["changed_beyond"] == 0


def test_distances_do_not_depend_on_the_size_of_the_picture() -> None:
    finder = Judges("embedded").find_landmarks
    large = Yardstick(case=make_case("face", 0, size=256), find_landmarks=finder)
    values = large.measure(large.source)
    expected = measured("face", 0, "source")["distance_before_68"]
    assert values["distance_before_68"] == pytest.approx(expected, rel=0.1)
