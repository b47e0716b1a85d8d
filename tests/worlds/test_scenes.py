"""Scenes: what a spec promises, and that pictures keep it."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffeditor.worlds import (
    SceneSpec,
    Solid,
    random_face,
    random_scene,
    render,
    render_batch,
    spec_from_dict,
    spec_to_dict,
)
from diffeditor.worlds.scene_spec import (
    CAMERA_Z,
    COLOURS,
    FLOOR_COLOURS,
    SKIES,
    VOCABULARY,
    apart,
    caption,
    centres,
    fits,
    frame_width,
    project,
)
from diffeditor.worlds.scenes import render_scenes
from diffeditor.worlds.solids import SHAPES
from diffeditor.worlds.textures import FLOORS, PATTERNS

SEEDS = st.integers(0, 1 << 31)


def solid(**values: object) -> Solid:
    """A red ball in the middle, with some of its values exchanged."""
    ball = Solid(shape="ball", colour="red", pattern="plain", x=0.0, z=0.0, radius=0.7, yaw=0.3)
    return replace(ball, **values)  # type: ignore[arg-type]


def scene(*solids: Solid, **values: object) -> SceneSpec:
    """Solids on a plain floor, sun from the right, with some values exchanged."""
    plain = SceneSpec(
        solids=solids,
        floor="plain",
        floor_colour="gray",
        sky="blue",
        light=(0.8, 1.2, -0.4),
        pitch=0.2,
        height=1.9,
    )
    return replace(plain, **values)  # type: ignore[arg-type]


def difference(one: SceneSpec, other: SceneSpec, size: int = 96) -> np.ndarray:
    """Largest difference over the channels, grey levels (H, W)."""
    first, second = (render(spec, size).image.astype(int) for spec in (one, other))
    return abs(first - second).max(-1)


# --- specs ------------------------------------------------------------------------------------


@given(SEEDS)
def test_random_scenes_are_legal_and_repeatable(seed: int) -> None:
    spec = random_scene(seed)
    assert spec == random_scene(seed) and 1 <= len(spec.solids) <= 3
    assert spec.floor in FLOORS and spec.floor_colour in FLOOR_COLOURS and spec.sky in SKIES
    for index, one in enumerate(spec.solids):
        assert one.shape in SHAPES and one.colour in COLOURS and one.pattern in PATTERNS
        assert fits(one)
        assert all(apart(one, other) for other in spec.solids[:index])


def test_random_scenes_do_not_favour_a_shape() -> None:
    shapes = [one.shape for seed in range(400) for one in random_scene(seed).solids]
    shares = [shapes.count(shape) / len(shapes) for shape in SHAPES]
    assert min(shares) > 0.15 and max(shares) < 0.25


@given(SEEDS)
def test_a_spec_survives_json(seed: int) -> None:
    for spec in (random_scene(seed), random_face(seed)):
        assert spec_from_dict(json.loads(json.dumps(spec_to_dict(spec)))) == spec


def test_a_dict_of_something_else_is_refused() -> None:
    data = spec_to_dict(scene(solid()))
    with pytest.raises(TypeError, match="SceneSpec has no field colour"):
        spec_from_dict({**data, "colour": "red"})
    with pytest.raises(KeyError):
        spec_from_dict({**data, "kind": "landscape"})


@given(SEEDS)
def test_captions_use_the_vocabulary_only(seed: int) -> None:
    spec = random_scene(seed)
    for text in (caption(spec), caption(spec, places=False), caption(spec, looks=False)):
        assert set(re.findall(r"[a-z]+", text)) <= set(VOCABULARY)


def test_a_caption_names_every_thing_from_left_to_right() -> None:
    spec = scene(
        solid(x=1.2, shape="cube", colour="orange", pattern="metal"),
        solid(x=-1.2, pattern="striped"),
        floor="tiled",
    )
    assert caption(spec) == (
        "a red striped ball on the left and an orange metal cube on the right, "
        "gray tiled floor, blue sky"
    )
    assert caption(spec, places=False, looks=False) == (
        "a ball and a cube, gray tiled floor, blue sky"
    )
    assert ", grass floor," in caption(replace(spec, floor="grass"))


# --- camera -----------------------------------------------------------------------------------


def test_the_axis_of_the_camera_is_the_centre_of_the_picture() -> None:
    spec = scene(solid())
    ahead = (0.0, spec.height - 3 * np.sin(spec.pitch), CAMERA_Z + 3 * np.cos(spec.pitch))
    np.testing.assert_allclose(project(spec, ahead, 128), (64, 64), atol=1e-9)


@given(st.floats(-1, 1), st.floats(0, 2), st.floats(-1, 2))
def test_one_frame_width_to_the_right_is_one_picture_to_the_right(
    x: float, y: float, z: float
) -> None:
    spec = scene(solid())
    width = frame_width(spec, (x, y, z))
    before, after = project(spec, (x, y, z)), project(spec, (x + width, y, z))
    np.testing.assert_allclose(np.subtract(after, before), (1, 0), atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_mask_fills_the_box_of_its_projected_corners(shape: str) -> None:
    one = solid(shape=shape, x=-0.4, z=0.3, yaw=0.0)
    spec, size = scene(one), 128
    width, height, depth = one.extent
    corners = np.array(
        [
            project(spec, (one.x + i * width / 2, j * height, one.z + k * depth / 2), size)
            for i in (-1, 1)
            for j in (0, 1)
            for k in (-1, 1)
        ]
    )
    rows, columns = np.nonzero(render(spec, size).masks[0])
    (left, top), (right, bottom) = corners.min(0), corners.max(0)
    assert left - 1 < columns.min() and columns.max() < right + 1
    assert top - 1 < rows.min() and rows.max() < bottom + 1
    assert np.ptp(columns) > 0.8 * (right - left) and np.ptp(rows) > 0.7 * (bottom - top)
    assert abs(columns.mean() + 0.5 - centres(spec, size)[0, 0]) < 2


# --- pictures ---------------------------------------------------------------------------------


def test_a_render_has_the_promised_types() -> None:
    spec = random_scene(11)
    picture = render(spec, 80)
    assert picture.image.shape == (80, 80, 3) and picture.image.dtype == np.uint8
    assert len(picture.masks) == len(spec.solids)
    assert all(mask.shape == (80, 80) and mask.dtype == bool for mask in picture.masks)
    assert picture.caption == caption(spec)
    assert picture.landmarks is None and picture.parts == {}


def test_the_same_spec_gives_the_same_bits_and_leaves_the_global_state_alone() -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, second = render(random_scene(4)), render(random_scene(4))
    np.testing.assert_array_equal(first.image, second.image)
    assert torch.equal(torch_state, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_state, np.random.get_state()[1])


def test_a_picture_does_not_depend_on_its_batch() -> None:
    specs = [random_scene(seed) for seed in range(7)]
    batch = render_batch(specs, 64)
    assert batch.shape == (7, 3, 64, 64) and batch.dtype == torch.float32
    assert batch.min() >= 0 and batch.max() <= 1
    alone = torch.cat([render_batch([spec], 64) for spec in specs])
    torch.testing.assert_close(batch, alone, atol=1e-4, rtol=0)


def test_a_batch_of_two_kinds_is_refused() -> None:
    with pytest.raises(TypeError, match="two batches"):
        render_batch([random_scene(0), random_face(0)])


def test_a_scene_without_solids_is_floor_and_sky() -> None:
    buffers = render_scenes([scene()], 32)
    assert buffers.ids.eq(0).all() and buffers.image.std() > 0.05


def test_sizes_show_the_same_world() -> None:
    spec = random_scene(8)
    small = render_batch([spec], 64)
    large = torch.nn.functional.avg_pool2d(render_batch([spec], 128), 2)
    assert (small - large).abs().mean() < 0.01


def test_masks_are_disjoint_and_cover_what_a_solid_changes() -> None:
    spec = scene(solid(x=-1.0), solid(x=0.9, shape="cube"), floor="marble")
    masks = render(spec, 96).masks
    assert not (masks[0] & masks[1]).any()
    repainted = replace(spec, solids=(spec.solids[0], replace(spec.solids[1], colour="green")))
    changed = difference(spec, repainted) > 2
    share = (changed & masks[1]).sum() / masks[1].sum()
    assert share > 0.95 and (changed & ~masks[1]).sum() < 0.1 * masks[1].sum()


def test_a_nearer_solid_hides_the_one_behind() -> None:
    front, behind = solid(z=-0.6, radius=0.5), solid(z=1.5, radius=0.7)
    both = render(scene(front, behind)).masks
    alone = render(scene(behind)).masks[0]
    assert both[1].sum() < 0.9 * alone.sum()
    whole = render(scene(front)).masks[0]
    assert (whole ^ both[0]).sum() < 0.03 * whole.sum()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_moved_solid_takes_its_texture_along(pattern: str) -> None:
    one = solid(pattern=pattern, texture=5)
    before, step = scene(one), 6
    far = step / 96 * frame_width(before, one.centre)
    after = replace(before, solids=(replace(one, x=far),))
    first, second = render(before, 96), render(after, 96)
    inside = first.masks[0] & np.roll(second.masks[0], -step, 1)
    followed = np.roll(second.image, -step, 1)[inside].astype(int)
    assert abs(first.image[inside].astype(int) - followed).mean() < 12


def test_a_texture_has_its_own_seed() -> None:
    one = solid(pattern="marble", texture=1)
    changed = difference(scene(one), scene(replace(one, texture=2)))
    mask = render(scene(one), 96).masks[0]
    assert changed[mask].mean() > 10 and changed[~mask].max() <= 100
    assert (changed[~mask] > 2).sum() < 0.1 * mask.sum()


def test_moving_a_solid_changes_nothing_far_from_it() -> None:
    still = solid(x=1.4, z=1.2, radius=0.4, shape="cone")
    moves = solid(x=-1.2, radius=0.5)
    one, other = scene(moves, still), scene(replace(moves, x=-0.9), still)
    changed = difference(one, other, 128)
    assert (changed > 20).any()
    assert changed[:, 90:].max() <= 1 and changed[:30].max() <= 1


def test_a_shadow_falls_away_from_the_sun() -> None:
    spec = scene(solid(), light=(1.0, 1.0, 0.0))
    empty = render(replace(spec, solids=()), 96).image.astype(int)
    darker = (empty - render(spec, 96).image).mean(-1)
    row = int(project(spec, (0, 0, 0), 96)[1]) - 2
    left, right = darker[row, :30].max(), darker[row, 66:].max()
    assert left > 40 and right < 15


def test_the_shadow_of_one_solid_falls_on_another() -> None:
    tall = solid(x=0.9, radius=0.9, shape="cylinder")
    lit, sun = solid(x=-0.6, radius=0.6), (1.0, 0.7, 0.0)
    alone, together = scene(lit, light=sun), scene(lit, tall, light=sun)
    mask = render(together, 96).masks[0]
    before, after = render(alone, 96).image, render(together, 96).image
    assert (before.astype(int) - after)[mask].max() > 60


@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize("sky", ["dark", "blue", "orange"])
def test_the_horizon_can_be_seen(floor: str, sky: str) -> None:
    spec = scene(floor=floor, sky=sky, floor_colour="green")
    image = render(spec, 128).image.astype(float)
    horizon = int(project(spec, (0.0, spec.height, 1e6), 128)[1])
    step = abs(image[horizon - 2].mean(0) - image[horizon + 3].mean(0)).max()
    within_sky = abs(image[horizon - 7].mean(0) - image[horizon - 2].mean(0)).max()
    assert step > within_sky + 8


def test_looks_differ_between_all_patterns_and_floors() -> None:
    solids = [scene(solid(pattern=pattern, texture=3)) for pattern in PATTERNS]
    floors = [scene(solid(), floor=floor) for floor in FLOORS]
    for group in (solids, floors):
        images = render_batch(group, 64)
        apart_by = (images[:, None] - images[None]).abs().amax((2, 3, 4))
        assert (apart_by + torch.eye(len(group)) > 0.1).all()


def test_metal_mirrors_the_floor() -> None:
    ball = solid(pattern="metal", colour="white")
    over = [render(scene(ball, floor=floor), 96) for floor in ("grass", "sand")]
    mask = over[0].masks[0]
    low = mask & (np.arange(96)[:, None] > np.nonzero(mask)[0].mean() + 4)
    greenness = [one.image[low].astype(int) @ [-1, 2, -1] for one in over]
    assert greenness[0].mean() > greenness[1].mean() + 20
