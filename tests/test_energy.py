"""Energies: against the recorded ones, their gradients, their minimum, and nothing to average."""

import json
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from diffeditor import energy as e
from diffeditor.config import PRESETS
from diffeditor.energy import Energies
from diffeditor.features import on_feature_grid
from diffeditor.geometry import Point, Size, working_size
from diffeditor.masks import Patches
from diffeditor.plan import EditPlan, Grid
from diffeditor.tasks import Appearance, Drag, Face, Move, Paste, Task
from tests.tiny import quick, random_tensor, sample_task

FOLDER = Path(__file__).parent / "golden" / "energies"
CASES: dict[str, dict[str, Any]] = json.loads((FOLDER / "energy.json").read_text("utf-8"))
UNITS = CASES.pop("units")
CELL = 4  # pixels of a feature cell

SCALED = ("move.128x128.rs0.8", "move.128x128.rs1.25")
"""The release samples masks anew at the scaled size, of which it keeps whole cells, 25 of 25.6; the
engine maps the cells of one mask exactly."""
NAN = "move.noshift_NaN"
"""The release takes a mean over no cells here; the engine leaves the term out."""
AGREEING = sorted(set(CASES) - {*SCALED, NAN})


@cache
def recorded() -> dict[str, Tensor]:
    tensors = load_file(FOLDER / "energy.safetensors")
    return tensors | {key: tensors[key] * unit for key, unit in UNITS.items()}


def mask_of(case: str, name: str) -> np.ndarray:
    """A recorded mask in pixels, bool."""
    file = BytesIO(recorded()[f"{case}/masks/{name}"].numpy().tobytes())
    mask = np.array(Image.open(file)) > 0
    if name.startswith("mask_x0"):
        mask = mask[::CELL, ::CELL]  # as the release brings masks to a grid
    return mask.repeat(CELL, 0).repeat(CELL, 1)


def points_of(case: str, name: str) -> np.ndarray:
    """Centres (x, y) in pixels of recorded patches."""
    return (recorded()[f"{case}/masks/{name}"].numpy()[:, ::-1] + 0.5) * CELL


def corner(mask: np.ndarray) -> np.ndarray:
    """(x, y) of the upper left corner of a mask's bounding box."""
    return np.array([np.flatnonzero(mask.any(0))[0], np.flatnonzero(mask.any(1))[0]])


def move_of(case: str, image: np.ndarray) -> Task:
    facts = CASES[case]
    src = mask_of(f"move.{facts['H']}x{facts['W']}.rs1.0", "mask_tar")
    shift, scale = corner(mask_of(case, "mask_cur")) - corner(src), 1.0
    if ".rs" in case and not case.endswith((".rs1.0", ".ref")):
        scale = float(case.rpartition(".rs")[2])
        middle = np.array([facts["W"], facts["H"]]) / 2
        rows, columns = np.nonzero(src)
        box = np.array([np.ptp(columns) + 1, np.ptp(rows) + 1]) / 2 + corner(src)
        cells = {0.8: (4, -2), 1.25: (6, -3)}[scale]  # after the release's rounding
        shift = np.array(cells) * CELL + (1 - scale) * (middle - box)  # it scales about the middle
    fill = mask_of(case, "mask_x0_ref") if case.endswith(".ref") else None
    move = (0.4, 0.0) if case == NAN else (float(shift[0]), float(shift[1]))
    return Move(image=image, mask=src, shift=move, scale=scale, fill_mask=fill)


def task_of(case: str) -> Task:
    """The recorded case as a task."""
    facts, kind = CASES[case], CASES[case]["mode"]
    image = np.zeros((facts["H"], facts["W"], 3), np.uint8)
    if kind == "move":
        return move_of(case, image)
    if kind == "drag":
        starts, ends = points_of(case, "mask_tar"), points_of(case, "mask_cur")
        mask = ~mask_of(case, "mask_other")
        return Drag(image=image, mask=mask, points=list(zip(starts, ends, strict=True)))
    if kind == "landmark":
        now, then = points_of(case, "mask_tar"), points_of(case, "mask_cur")
        return Face(image=image, source_landmarks=now, target_landmarks=then)
    b, r = mask_of(case, "mask_base_cur"), mask_of(case, "mask_replace_cur")
    if kind == "appearance":
        return Appearance(image=image, mask=b, reference=image, reference_mask=r)
    shift = corner(b) - corner(r)
    return Paste(image=image, reference=image, reference_mask=r, shift=tuple(shift))


def plan_of(task: Task) -> tuple[EditPlan, Grid]:
    grid = Grid(source=task.size, working=task.size, latent_factor=8, device=torch.device("cpu"))
    return task.plan(grid, task.strengths, quick("release")), grid


def energies_of(case: str) -> tuple[Energies, list[Tensor]]:
    """Our energies of a recorded case, and the features that they depend on."""
    plan, grid = plan_of(task_of(case))
    tensors = recorded()
    gen = [tensors[f"{case}/cur_{j}"].clone().requires_grad_() for j in (0, 1)]
    pictures = ["tar0", "tar1"] if f"{case}/tar1_0" in tensors else ["tar0"]
    ref = [torch.cat([tensors[f"{case}/{name}_{j}"] for name in pictures]) for j in (0, 1)]
    on_grid = (on_feature_grid(maps, grid.feature) for maps in (gen, ref))
    return plan.energies(*on_grid), gen


def gradients(energy: Tensor, features: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(energy, features, retain_graph=True)


@pytest.mark.parametrize("case", AGREEING)
def test_energies_and_gradients_are_the_releases(case: str) -> None:
    energies, features = energies_of(case)
    parts = {"edit": energies.edit, "con": energies.content}
    assert {name for name, energy in parts.items() if energy is not None} == set(
        CASES[case]["loss"]
    )
    for name, loss in CASES[case]["loss"].items():
        energy = parts[name]
        assert energy is not None
        assert energy.item() == pytest.approx(loss, rel=1e-5)
        for j, ours in enumerate(gradients(energy, features)):
            theirs = recorded()[f"{case}/grad_feat{j}_{name}"]
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4 * float(theirs.abs().max()))


@pytest.mark.parametrize(("case", "cells"), [(SCALED[0], 25), (SCALED[1], 40)])
def test_the_exact_map_differs_a_little_from_sampling_anew(case: str, cells: int) -> None:
    file = BytesIO(recorded()[f"{case}/masks/mask_tar"].numpy().tobytes())
    assert Image.open(file).size == (cells, cells)
    energies, _ = energies_of(case)
    loss = CASES[case]["loss"]
    assert energies.content is not None
    assert energies.edit.item() != pytest.approx(loss["edit"], rel=1e-3)
    assert energies.edit.item() == pytest.approx(loss["edit"], rel=0.15)
    assert energies.content.item() == pytest.approx(loss["con"], rel=0.05)


def test_an_object_that_stays_has_finite_energies() -> None:
    assert np.isnan(CASES[NAN]["loss"]["con"])
    energies, features = energies_of(NAN)
    assert energies.edit.item() == pytest.approx(CASES[NAN]["loss"]["edit"], rel=1e-5)
    assert energies.content is not None and bool(energies.content.isfinite())
    assert all(bool(g.isfinite().all()) for g in gradients(energies.content, features))


KINDS = ("move", "drag", "face", "paste", "appearance")


def small(name: str, **changes: Any) -> tuple[EditPlan, list[Tensor], list[Tensor]]:
    """A task's plan at 32 x 48 pixels, and two levels of random features for it in float64.

    Their mean is not zero, so that cosines stay clear of the pole.
    """
    task = sample_task(name, 32, 48, **changes)
    plan, grid = plan_of(task)
    shape = (3, grid.feature.height, grid.feature.width)
    gen = [1 + random_tensor(1, *shape, seed=j, dtype=torch.float64) for j in (0, 1)]
    count = len(task.pictures)
    ref = [1 + random_tensor(count, *shape, seed=j + 2, dtype=torch.float64) for j in (0, 1)]
    return plan, [g.requires_grad_() for g in gen], ref


@pytest.mark.parametrize("name", KINDS)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    plan, gen, ref = small(name)

    def edit(*maps: Tensor) -> Tensor:
        return plan.energies(maps, ref).edit

    def content(*maps: Tensor) -> Tensor:
        found = plan.energies(maps, ref).content
        return maps[0].sum() * 0 if found is None else found

    for energy in (edit, content):
        assert torch.autograd.gradcheck(energy, gen, fast_mode=True)


@pytest.mark.parametrize("name", KINDS)
def test_going_down_the_gradient_lowers_each_energy(name: str) -> None:
    plan, gen, ref = small(name)
    before = plan.energies(gen, ref)
    for pick in ("edit", "content"):
        energy = getattr(before, pick)
        if energy is None:
            assert name == "face" and pick == "content"
            continue
        steps = gradients(energy, gen)
        moved = [g - 1e-2 * step / step.norm() for g, step in zip(gen, steps, strict=True)]
        assert getattr(plan.energies(moved, ref), pick) < energy


@pytest.mark.parametrize("name", ["drag", "paste", "appearance"])
def test_content_energy_is_least_at_equal_features(name: str) -> None:
    plan, gen, ref = small(name)
    at_random = plan.energies(gen, ref).content
    same = [f[:1].clone().requires_grad_() for f in ref]
    least = plan.energies(same, ref).content
    assert least is not None and at_random is not None
    assert least < at_random
    assert all(float(g.abs().max()) < 1e-9 for g in gradients(least, same))
    weight = {"drag": 6.0 / 2, "paste": 6.0, "appearance": 5.0}[name]
    assert least.item() == pytest.approx(2 * weight / 5)  # q(w, 1) = w / 5 at both levels


def test_the_moved_object_is_the_least_of_moving() -> None:
    plan, gen, ref = small("move")
    task = sample_task("move", 32, 48)
    assert isinstance(task, Move)
    _, grid = plan_of(task)
    moved = task.cells(grid, PRESETS["release"]).on_features
    there = [moved(f).requires_grad_() for f in ref]
    least = plan.energies(there, ref).edit
    assert least.item() == pytest.approx(2 * 0.5 * 4.0 / 5)
    assert least < plan.energies(gen, ref).edit
    assert all(float(g.abs().max()) < 1e-9 for g in gradients(least, there))


@pytest.mark.parametrize(
    ("name", "changes"),
    [("face", {"target_landmarks": "source"}), ("appearance", {"reference_mask": "mask"})],
)
def test_editing_energy_is_least_where_features_agree(name: str, changes: dict[str, str]) -> None:
    task = sample_task(name, 32, 48)
    given = {"source": "source_landmarks"}
    same = {k: getattr(task, given.get(v, v)) for k, v in changes.items()}
    plan, gen, ref = small(name, **same)
    equal = [f[-1:].clone().requires_grad_() for f in ref]
    least = plan.energies(equal, ref).edit
    assert least < plan.energies(gen, ref).edit
    assert all(float(g.abs().max()) < 1e-9 for g in gradients(least, equal))


@pytest.mark.parametrize("similarity", [e.local_similarity, e.local_unit_similarity])
def test_likeness_of_equal_maps_is_one(similarity: Any) -> None:
    a = random_tensor(1, 3, 4, 5)
    mask = (random_tensor(1, 1, 4, 5, seed=1) > 0).float()
    assert similarity(a, 3 * a, mask).item() == pytest.approx(1)
    assert similarity(a, -a, mask).item() == pytest.approx(
        -1 if similarity is e.local_similarity else 0
    )


def test_global_likeness_compares_means_of_different_areas() -> None:
    a, b = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    a[0, :, 0, 0], a[0, :, 0, 1] = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    b[0, :, 1, 1] = torch.tensor([1.0, 1.0])
    first, last = torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    first[..., 0, :], last[..., 1, 1] = 1, 1
    assert e.global_similarity(a, first, b, last).item() == pytest.approx(1)


def test_the_pole_is_kept_away_from() -> None:
    values = torch.tensor([-1.0, -0.25, -0.2, 0.0, 1.0])
    assert e.inverse(2.0, values).tolist() == pytest.approx([10, 10, 10, 2, 0.4])


def test_patches_at_the_border_average_what_is_inside() -> None:
    a = random_tensor(1, 3, 6, 6)
    corner_patch = Patches.of([Point(0, 0)], [Point(5, 5)], Size(6, 6), torch.device("cpu"))
    found = e.patch_similarities(a, a, corner_patch)
    assert bool(found.isfinite().all())
    shifted = a.roll((4, 4), (2, 3))
    assert e.patch_similarities(shifted, a, corner_patch).shape == (1,)


def test_start_cells_that_all_become_end_cells_add_nothing() -> None:
    a = random_tensor(1, 3, 6, 6)
    same = Patches.of([Point(3, 3)], [Point(3.4, 3)], Size(6, 6), torch.device("cpu"))
    assert e.left_similarities(a, a, same).tolist() == [0.0]


def test_an_empty_mask_is_nothing() -> None:
    mask = torch.zeros(1, 1, 3, 3)
    assert e.active(mask) is None
    mask[..., 0, 0] = 1
    assert e.active(mask) is mask
    assert e.total([]) is None
    assert e.energies([torch.tensor(1.0), torch.tensor(2.0)]).edit.item() == 3


@pytest.mark.parametrize("name", ["move", "paste", "appearance", "drag"])
def test_energies_are_finite_when_almost_nothing_is_left(name: str) -> None:
    mask = np.ones((32, 48), np.bool_)
    mask[:2, :2] = False
    changes: dict[str, dict[str, Any]] = {
        "move": {"mask": mask, "shift": (2, 0)},
        "paste": {"reference_mask": mask, "shift": (0, 0)},
        "appearance": {"mask": mask},
        "drag": {"mask": mask},
    }
    plan, gen, ref = small(name, **changes[name])
    found = plan.energies(gen, ref)
    for energy in (found.edit, found.content):
        assert energy is None or bool(energy.isfinite())
        assert energy is None or all(bool(g.isfinite().all()) for g in gradients(energy, gen))


def test_features_of_the_working_picture_are_a_grid_of_four_pixels() -> None:
    task = sample_task("move", 64, 112)
    size = working_size(task.size, 96, 32)
    grid = Grid(source=task.size, working=size, latent_factor=8, device=torch.device("cpu"))
    assert grid.feature == Size(size.height // CELL, size.width // CELL)
