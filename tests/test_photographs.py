"""Photographs: every form and format keeps its size and its pixels; large ones are cropped."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import diffeditor.run
from benchmarks.photographs import FORMS, drawn_size, edit_of, edited, taken
from diffeditor.detail import with_detail
from diffeditor.editor import Editor
from diffeditor.geometry import Size
from diffeditor.images import load_image
from diffeditor.recipe import Recipe
from diffeditor.tasks import TASKS, Move
from diffeditor.tasks.base import Carried
from tests.tiny import box, picture, quick

QUICK = quick(steps=4)
SIZES = (Size(64, 64), Size(65, 97), Size(64, 500), Size(411, 303), Size(700, 64))


@pytest.mark.parametrize(
    ("number", "name", "size", "form"),
    [(5 * n + 3, *each) for n, each in enumerate(zip(TASKS, SIZES, FORMS, strict=True))],
    ids=TASKS,
)
def test_a_photograph_keeps_its_size_and_its_pixels_outside(
    tiny_editor: Editor, number: int, name: str, size: Size, form: str
) -> None:
    rng = np.random.default_rng(number)
    photo = taken(number, size, rng)
    assert photo.form == form
    outcome = edited(tiny_editor, edit_of(photo, name, rng), QUICK)
    assert outcome.same_size and outcome.exact and outcome.changed > 0.5


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_upright(form: str) -> None:
    photo = taken(5 * FORMS.index(form), Size(70, 110), np.random.default_rng(1))
    assert photo.form == form and load_image(photo.source).size == (110, 70)


def test_drawn_sizes_stay_in_their_limits() -> None:
    rng = np.random.default_rng(0)
    sizes = [drawn_size(rng, 6000) for _ in range(300)]
    sides = [side for size in sizes for side in (size.height, size.width)]
    assert min(sides) >= 64 and max(sides) <= 6000
    assert 100 < sum(size.height > size.width for size in sizes) < 200


HEIGHT, WIDTH = 600, 900


def photograph_move(dx: int = 20, **changes: Any) -> Move:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[300:330, 500:525] = True
    given: dict[str, Any] = {"image": picture(HEIGHT, WIDTH), "mask": mask, "shift": (dx, 8)}
    return Move(**{**given, **changes})


def test_a_small_object_is_edited_at_the_photographs_own_resolution(tiny_editor: Editor) -> None:
    task = photograph_move(8)
    result = tiny_editor.edit(task, QUICK)
    left, top, right, bottom = result.metadata["crop"]
    assert (right - left, bottom - top) == tuple(result.metadata["working_size"])
    changed = (np.asarray(result.image) != np.asarray(task.source)).any(2)
    rows, columns = np.nonzero(changed)
    assert top < rows.min() and rows.max() < bottom - 1
    assert left < columns.min() and columns.max() < right - 1
    assert changed[task.region()].mean() > 0.5


def test_a_nearby_edit_finds_the_inversion(tiny_editor: Editor) -> None:
    first = tiny_editor.edit(photograph_move(20), QUICK).metadata
    second = tiny_editor.edit(photograph_move(22, scale=1.1), QUICK).metadata
    assert not first["inversion_cached"] and second["inversion_cached"]
    far = photograph_move(mask=np.roll(np.asarray(photograph_move().mask), -300, 1))
    assert not tiny_editor.edit(far, QUICK).metadata["inversion_cached"]


def test_without_cropping_the_whole_photograph_is_run(tiny_editor: Editor) -> None:
    result = tiny_editor.edit(photograph_move(), quick(steps=4, crop="none"))
    assert result.metadata["crop"] == [0, 0, WIDTH, HEIGHT]


def test_a_picture_of_the_models_own_size_is_never_cropped(tiny_editor: Editor) -> None:
    task = Move(image=picture(96, 96), mask=box(96, 96, 0.4, 0.4, 0.1), shift=(5, 5))
    assert tiny_editor.edit(task, QUICK).metadata["crop"] == [0, 0, 96, 96]


def test_detail_can_be_left_out(tiny_editor: Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def spy(edit: Image.Image, carried: Sequence[Carried], size: Size, cell: int) -> Image.Image:
        asked.append((len(carried), cell))
        return with_detail(edit, carried, size, cell)

    monkeypatch.setattr(diffeditor.run, "with_detail", spy)
    for detail in (True, False):
        tiny_editor.edit(photograph_move(), quick(steps=4, detail=detail))
    assert asked == [(2, 8)]


def test_a_recipe_carries_both_settings() -> None:
    preset = replace(QUICK, crop="none", detail=False)
    recipe = Recipe.load(Recipe.from_task(photograph_move(), preset).to_dict())
    assert recipe.preset() == preset
