"""A small edit of a large picture is the same edit of a part of it, to the pixel."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffeditor.geometry import Box
from diffeditor.tasks import Appearance, Drag, Face, Move, Paste, Task
from tests.tiny import picture

SIDE = 32
HEIGHT, WIDTH = 300, 400
PHOTOGRAPH = picture(HEIGHT, WIDTH)
OTHER = picture(180, 170, seed=1)
SPREAD = np.random.default_rng(0).uniform(0, 20, (68, 2))


def spot(x: int, y: int, side: int = 14, size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    mask = np.zeros(size, np.bool_)
    mask[y : y + side, x : x + side] = True
    return mask


def edit(name: str, x: int, y: int, **changes: Any) -> Task:
    """An edit round a place of the photograph, 30 pixels wide or less."""
    reference = {"reference": OTHER, "reference_mask": spot(30, 40, size=(180, 170))}
    given: dict[str, tuple[type[Task], dict[str, Any]]] = {
        "move": (Move, {"mask": spot(x, y), "shift": (9, -5), "scale": 1.2}),
        "drag": (Drag, {"mask": spot(x, y), "points": [((x + 3.5, y + 4), (x + 15, y - 4))]}),
        "face": (Face, {"source_landmarks": SPREAD + (x, y), "target_landmarks": SPREAD + (x, y)}),
        "paste": (Paste, {**reference, "shift": (x - 30, y - 40)}),
        "appearance": (Appearance, {**reference, "mask": spot(x, y)}),
    }
    task, arguments = given[name]
    return task(image=PHOTOGRAPH, **{**arguments, **changes})


def near(task: Task) -> tuple[Task, Box]:
    part, crop = task.focused(SIDE)
    assert crop is not None
    return part, crop


places = st.tuples(st.integers(6, WIDTH - 36), st.integers(6, HEIGHT - 36))


@pytest.mark.parametrize("name", ["move", "drag", "face", "paste", "appearance"])
@given(place=places)
def test_the_part_shows_the_same_edit(name: str, place: tuple[int, int]) -> None:
    task = edit(name, *place)
    part, crop = near(task)
    assert np.array_equal(np.asarray(part.source), PHOTOGRAPH[crop.slices])
    assert np.array_equal(part.region(), task.region()[crop.slices])
    assert task.region()[crop.slices].sum() == task.region().sum()
    for (a, b), (c, d) in zip(part.targets(), task.targets(), strict=True):
        assert np.allclose([a.x, a.y, b.x, b.y], [c.x, c.y, d.x, d.y] - np.tile(crop[:2], 2))
    assert all(p.size == part.source.size for p in part.pictures)
    assert part.prompts == task.prompts and part.strengths == task.strengths


def test_what_an_edit_reads_lies_in_the_part() -> None:
    fill = spot(200, 150)
    part, crop = near(edit("move", 150, 140, fill_mask=fill))
    assert isinstance(part, Move)
    assert np.array_equal(part.fill_mask, fill[crop.slices])
    drag = edit("drag", 150, 140, points=[((151, 141), (240, 200))])
    _, crop = near(drag)
    assert crop.right > 240 and crop.bottom > 200


def test_a_small_change_keeps_the_part() -> None:
    parts = {near(edit("move", 150, 140, shift=(dx, 4)))[1] for dx in range(5, 12)}
    assert len(parts) <= 2
    faces = [edit("face", 150, 140, target_landmarks=SPREAD + (150 + d, 140)) for d in range(3)]
    assert len({near(face)[1] for face in faces}) == 1


@pytest.mark.parametrize("scale", [0.25, 1.0, 1.7])
def test_a_pasted_object_keeps_its_picture_wherever_it_goes(scale: float) -> None:
    """Its part of the reference is the same for every place, so that its inversion is found."""
    parts = [near(edit("paste", x, 100, scale=scale))[0] for x in (200, 203, 217)]
    shown = [np.asarray(part.pictures[1]) for part in parts]
    assert all(np.array_equal(one, shown[0]) for one in shown)
    task = edit("paste", 200, 100, scale=scale)
    _, crop = near(task)
    assert np.array_equal(parts[0].region(), task.region()[crop.slices])


def test_a_cut_pasted_object_shows_what_is_left_of_it() -> None:
    reference = {"reference": OTHER, "reference_mask": spot(10, 10, 120, (180, 170))}
    task = edit("paste", 0, 0, **reference, shift=(-115, 60))
    part, crop = near(task)
    assert np.array_equal(part.region(), task.region()[crop.slices])
    placed = part.carried()[1]
    left = part.region() & placed.mask
    columns = np.flatnonzero(left.any(0))
    assert (columns[0], columns[-1] + 1) == (0, 15)


def test_a_small_object_in_a_large_reference_is_shown_from_near() -> None:
    task = edit("appearance", 100, 100)
    part, _ = near(task)
    assert isinstance(part, Appearance)
    shown = np.asarray(part.reference_mask)
    assert shown.shape == (SIDE, SIDE) and shown.sum() == 14 * 14


def test_a_small_picture_is_edited_whole() -> None:
    for name in ("move", "drag", "paste", "appearance"):
        task = edit(name, 150, 140)
        whole, crop = task.focused(200)
        assert whole.source is task.source and crop is None
