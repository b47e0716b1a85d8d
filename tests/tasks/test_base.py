"""What all tasks share: wrong input is refused by class and in words that say what to do."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from diffeditor.errors import EmptyMask, InvalidEdit, InvalidImage, OutOfBounds
from diffeditor.geometry import Point, Size
from diffeditor.plan import Grid
from diffeditor.tasks import TASKS, Task
from diffeditor.tasks.base import checked_points, dilated, extent, fitted
from tests.tiny import SIDES, box, picture, quick, sample_task

HEIGHT, WIDTH = 60, 80
NAMES = ("drag", "move", "paste", "appearance", "face")
NAN, INF = float("nan"), float("inf")


def grid_of(task: Task, working: Size) -> Grid:
    return Grid(source=task.size, working=working, latent_factor=8, device=torch.device("cpu"))


def test_all_five_tasks_are_there() -> None:
    assert tuple(TASKS) == NAMES


def refused(name: str, error: type[Exception], says: str, **changes: Any) -> None:
    with pytest.raises(error) as caught:
        sample_task(name, HEIGHT, WIDTH, **changes)
    assert type(caught.value) is error
    assert says in str(caught.value)
    assert str(caught.value).endswith(".")


EMPTY, FULL = np.zeros((HEIGHT, WIDTH)), np.ones((HEIGHT, WIDTH))
OTHER = box(HEIGHT, WIDTH + 1, 0.2, 0.2)

MASKS: list[tuple[Any, type[Exception], str]] = [
    (EMPTY, EmptyMask, "is empty; mark what it should select"),
    (FULL, InvalidEdit, "covers the whole picture; leave out what must stay"),
    (OTHER, InvalidEdit, "is 81 x 60 pixels but its picture is 80 x 60; make both the same size"),
    (np.full((HEIGHT, WIDTH), NAN), InvalidImage, "values that are not numbers; use 0 and 255"),
    (np.zeros(7), InvalidImage, "pass (height, width)"),
    ("no/such/mask.png", InvalidImage, "does not exist; check the path"),
    (None, InvalidImage, "pass a path, a PIL picture or a numpy array"),
]


MASK_FIELDS = (
    ("move", "mask"),
    ("drag", "mask"),
    ("appearance", "mask"),
    ("appearance", "reference_mask"),
    ("paste", "reference_mask"),
)


@pytest.mark.parametrize(
    ("name", "field", "mask", "error", "says"),
    [
        (*where, *wrong)
        for where in MASK_FIELDS
        for wrong in MASKS
        if where[1] == "mask" or wrong[0] is not FULL  # a reference may be all object
    ],
)
def test_wrong_masks(name: str, field: str, mask: Any, error: type[Exception], says: str) -> None:
    refused(name, error, f"The {field.replace('_', ' ')}", **{field: mask})
    refused(name, error, says, **{field: mask})


@pytest.mark.parametrize(("mask", "error", "says"), MASKS[:-1])
def test_wrong_fill_masks(mask: Any, error: type[Exception], says: str) -> None:
    refused("move", error, says, fill_mask=mask)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("image", "says"),
    [
        (np.zeros((8, 80, 3), np.uint8), "use one of at least 16 pixels"),
        (np.zeros((HEIGHT, WIDTH, 3)), "pass uint8 values"),
        ("no/such/picture.png", "does not exist"),
        (None, "pass a path, a PIL picture or a numpy array"),
        (b"not a picture", "not a picture that can be read"),
    ],
)
def test_wrong_pictures(name: str, image: Any, says: str) -> None:
    with pytest.raises(InvalidImage, match=says):
        TASKS[name](**{**arguments(name), "image": image})


def arguments(name: str) -> dict[str, Any]:
    task = sample_task(name, HEIGHT, WIDTH)
    return {key: value for key, value in vars(task).items() if value is not None}


@pytest.mark.parametrize("name", ["paste", "appearance"])
def test_a_wrong_reference(name: str) -> None:
    refused(name, InvalidImage, "The reference is an array of float64", reference=np.zeros((9, 9)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("prompt", [None, 3, b"cup", ["cup"]])
def test_a_prompt_that_is_not_text(name: str, prompt: Any) -> None:
    refused(name, InvalidEdit, "The prompt must be text", prompt=prompt)


@pytest.mark.parametrize("name", ["paste", "appearance"])
def test_a_reference_prompt_that_is_not_text(name: str) -> None:
    refused(name, InvalidEdit, "The reference prompt must be text", reference_prompt=7)


@pytest.mark.parametrize("name", ["move", "paste"])
@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"shift": (NAN, 0)}, InvalidEdit, "The shift must be finite numbers"),
        ({"shift": (0, INF)}, InvalidEdit, "The shift must be finite numbers"),
        ({"shift": 5}, InvalidEdit, "The shift must be two numbers (x, y), not 5"),
        ({"shift": (10**400, 0)}, InvalidEdit, "The shift must be two numbers (x, y)"),
        ({"shift": (1, 2, 3)}, InvalidEdit, "The shift must be two numbers (x, y)"),
        ({"shift": ("a", 0)}, InvalidEdit, "The shift must be two numbers (x, y)"),
        ({"shift": (1000, 0)}, OutOfBounds, "leaves the picture entirely; give a"),
        ({"shift": (0, -1000)}, OutOfBounds, "leaves the picture entirely; give a"),
        ({"scale": 0}, InvalidEdit, "The scale must be from 0.05 to 20, not 0"),
        ({"scale": -1}, InvalidEdit, "The scale must be from 0.05 to 20, not -1"),
        ({"scale": NAN}, InvalidEdit, "The scale must be from 0.05 to 20, not nan"),
        ({"scale": 21}, InvalidEdit, "The scale must be from 0.05 to 20"),
        ({"scale": "big"}, InvalidEdit, "The scale must be a number, not 'big'"),
        ({"scale": None}, InvalidEdit, "The scale must be a number, not None"),
    ],
)
def test_wrong_shifts_and_scales(
    name: str, changes: dict[str, Any], error: type[Exception], says: str
) -> None:
    refused(name, error, says, **changes)


@pytest.mark.parametrize(
    ("points", "error", "says"),
    [
        ([], InvalidEdit, "There are no points; give at least one pair of start and end"),
        (None, InvalidEdit, "There are no points"),
        (5, InvalidEdit, "There are no points"),
        ([((9, 9), (10, 10))] * 101, InvalidEdit, "There are 101 point pairs; give at most 100"),
        ([(9, 9)], InvalidEdit, "The start of point 1 must be two numbers (x, y), not 9"),
        ([((9, 9),)], InvalidEdit, "Point 1 must be a pair of start and end"),
        ([7], InvalidEdit, "Point 1 must be a pair of start and end"),
        ([((9, 9), (9, 9))], InvalidEdit, "Point 1 starts and ends at the same place"),
        ([((9, NAN), (9, 9))], InvalidEdit, "The start of point 1 must be finite numbers"),
        ([((9, 9), (10, 10)), ((9, 9), (80, 9))], OutOfBounds, "The end of point 2, (80, 9), lies"),
        ([((-1, 9), (9, 9))], OutOfBounds, "picture of 80 x 60 pixels; move it inside"),
    ],
)
def test_wrong_points(points: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error) as caught:
        checked_points(points, Size(HEIGHT, WIDTH))
    assert type(caught.value) is error and says in str(caught.value)


def test_right_points_of_any_kind() -> None:
    expected = ((Point(1, 2), Point(3, 4)),)
    size = Size(HEIGHT, WIDTH)
    for points in ([((1, 2), (3, 4))], np.array([[[1, 2], [3, 4]]]), [[[1.0, 2.0], [3.0, 4.0]]]):
        assert checked_points(points, size) == expected
    assert len(checked_points([((0, 0), (79.9, 59.9))] * 100, size)) == 100


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_copied_and_not_modified(name: str) -> None:
    image = picture(HEIGHT, WIDTH)
    task = sample_task(name, HEIGHT, WIDTH, image=image)
    task.plan(grid_of(task, Size(64, 96)), task.strengths, quick())
    task.region()
    assert np.array_equal(image, picture(HEIGHT, WIDTH))
    image[:] = 0
    assert np.array_equal(np.asarray(task.source), picture(HEIGHT, WIDTH))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sides", SIDES.values(), ids=SIDES)
def test_plans_in_every_format(name: str, sides: tuple[int, int]) -> None:
    task = sample_task(name, *sides)
    working = {64: Size(64, 128), 112: Size(128, 64), 80: Size(96, 96)}[sides[0]]
    grid = grid_of(task, working)
    plan = task.plan(grid, task.strengths, quick())
    cells = (1, 1, working.height // 8, working.width // 8)
    assert plan.m_edit.shape == plan.m_sde.shape == cells
    assert bool((plan.m_edit <= plan.m_sde).all())
    assert set(plan.m_edit.unique().tolist()) <= {0.0, 1.0}
    z = torch.randn(len(task.pictures), 4, *cells[2:], generator=torch.Generator().manual_seed(0))
    kept = z.clone()
    start = plan.start(z)
    assert start.shape == (1, 4, *cells[2:]) and torch.equal(z, kept)
    assert len(plan.kv.masks) == len(task.pictures) == len(task.prompts)
    region = task.region()
    assert region.shape == sides and region.dtype == np.bool_ and 0 < region.sum() < region.size
    assert all(p.size == (sides[1], sides[0]) for p in task.pictures)


def test_a_reference_is_fitted_without_distortion() -> None:
    reference = Image.fromarray(picture(40, 40))
    mask = box(40, 40, 0.25, 0.25, 0.5)
    fit, placed = fitted(reference, mask, Size(80, 160))
    assert fit.size == (160, 80) and placed.shape == (80, 160)
    rows, columns = np.nonzero(placed)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (40, 40)
    assert abs(columns.mean() - 79.5) <= 1 and abs(rows.mean() - 39.5) <= 1
    same, kept = fitted(reference, mask, Size(40, 40))
    assert same is reference and kept is mask


def test_a_small_mask_of_a_large_reference_stays() -> None:
    reference, mask = Image.new("RGB", (700, 500)), np.zeros((500, 700), bool)
    mask[240:245, 301:306] = True
    fit, placed = fitted(reference, mask, Size(100, 100))
    assert fit.size == (100, 100) and placed.sum() == 1
    row, column = np.argwhere(placed)[0]
    assert abs(row + 0.5 - (14 + 242.5 / 7)) < 1 and abs(column + 0.5 - 303.5 / 7) < 1


def test_a_reference_may_be_all_object() -> None:
    whole = {"reference": picture(40, 40), "reference_mask": np.ones((40, 40), bool)}
    for name in ("paste", "appearance"):
        assert sample_task(name, 64, 64, **whole).region().any()


def test_a_mask_grows_in_all_directions() -> None:
    mask = np.zeros((21, 21), np.bool_)
    mask[10, 10] = True
    grown = dilated(mask, 4)
    assert np.array_equal(grown, grown[::-1, ::-1])
    assert grown[10, 14] and grown[14, 10] and not grown[10, 15] and not grown[15, 10]
    assert grown.sum() == pytest.approx(np.pi * 16, rel=0.25)
    assert dilated(mask, 0.1).sum() > 1
    assert extent(box(40, 60, 0.25, 0.5, 0.5)) == (20 + 30) / 2
