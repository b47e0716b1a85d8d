"""Portraits: their ground truth agrees with the pixels, and edits touch only their own part."""

import dataclasses
import json
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffeditor.errors import InvalidSetting
from diffeditor.worlds.common import from_dict, to_dict
from diffeditor.worlds.face_model import landmarks
from diffeditor.worlds.face_spec import CHOICES, LIMITS, VOCABULARY, FaceSpec, caption, random_face
from diffeditor.worlds.faces import PARTS, FaceBuffers, render_faces

SIZE = 128
SEEDS = st.integers(0, 2**32 - 1)
JAW, BROWS, NOSE, EYES, LIPS = (
    range(17),
    range(17, 27),
    range(27, 36),
    range(36, 48),
    range(48, 68),
)
CROWD = [random_face(seed) for seed in range(12)]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Portraits are thousands of small operations: a second thread only waits on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def changed(specs: list[FaceSpec], **values: float | str) -> list[FaceSpec]:
    return [dataclasses.replace(spec, **values) for spec in specs]


def pixels(buffers: FaceBuffers) -> np.ndarray:
    """uint8 (B, H, W, 3)."""
    return (buffers.image * 255).round().byte().permute(0, 2, 3, 1).numpy()


def eroded(mask: np.ndarray, side: int) -> np.ndarray:
    """The true pixels of mask (H, W) whose side x side neighbourhood is true as well."""
    return cv2.erode(mask.astype(np.uint8), np.ones((side, side))).astype(bool)


def distance_to(mask: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Pixels from each point (M, 2) to the nearest true pixel of mask (H, W)."""
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    column, row = np.floor(points).astype(int).clip(0, len(mask) - 1).T
    return away[row, column]


@st.composite
def extreme_faces(draw: st.DrawFn) -> FaceSpec:
    """Faces with any word and any number that `FaceSpec` accepts, near the middle of the frame."""
    words = {name: draw(st.sampled_from(choices)) for name, choices in CHOICES.items()}
    numbers = {name: draw(st.floats(low, high)) for name, (low, high) in LIMITS.items()}
    numbers |= {"x": 0.5, "y": 0.45, "scale": 0.15 + 0.6 * numbers["scale"]}
    return FaceSpec(**words, **numbers)


CROWDS = st.lists(extreme_faces(), min_size=8, max_size=8)


def test_buffers_have_the_documented_form() -> None:
    buffers = render_faces(CROWD[:3], SIZE)
    assert buffers.image.shape == (3, 3, SIZE, SIZE) and buffers.image.dtype == torch.float32
    assert 0 <= buffers.image.min() and buffers.image.max() <= 1
    assert set(buffers.parts) == set(PARTS)
    assert all(m.shape == (3, SIZE, SIZE) and m.dtype == torch.bool for m in buffers.parts.values())
    assert buffers.landmarks.shape == (3, 68, 2) and buffers.landmarks.dtype == np.float64
    assert buffers.captions == [caption(spec) for spec in CROWD[:3]]


@given(SEEDS)
def test_random_faces_are_repeatable_and_leave_the_global_generators_alone(seed: int) -> None:
    state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    assert random_face(seed) == random_face(seed) != random_face(seed + 1)
    assert np.array_equal(state, np.random.get_state()[1])
    assert torch.equal(torch_state, torch.get_rng_state())


def test_half_of_the_random_mouths_are_open_and_every_word_occurs() -> None:
    specs = [random_face(seed) for seed in range(600)]
    assert 0.42 < np.mean([spec.open > 0.25 for spec in specs]) < 0.58
    assert all(spec.open == 0 or spec.open > 0.25 for spec in specs)
    words = {word for spec in specs for word in caption(spec).replace(",", "").split()}
    assert words == set(VOCABULARY)


def test_the_same_spec_gives_the_same_picture_alone_and_in_a_batch() -> None:
    together = render_faces(CROWD[:8], SIZE)
    for i, spec in enumerate(CROWD[:8]):
        alone = render_faces([spec], SIZE)
        assert torch.equal(alone.image[0], together.image[i])
        assert all(torch.equal(alone.parts[n][0], together.parts[n][i]) for n in PARTS)


def test_everything_is_computed_on_the_device_asked_for() -> None:
    buffers = render_faces(CROWD[:2], 32, "meta")
    assert buffers.image.device.type == buffers.parts["teeth"].device.type == "meta"


def test_parts_divide_the_picture() -> None:
    parts = render_faces(CROWD, SIZE).parts
    whole = [parts[name].int() for name in ("background", "shirt", "hair", "skin")]
    features = [parts[name].int() for name in ("eyes", "brows", "mouth")]
    assert torch.equal(sum(whole + features), torch.ones_like(whole[0]))
    for name in ("eyes", "brows", "nose", "mouth"):
        assert not (parts[name] & ~parts["face"]).any()
    for name in ("lips", "teeth"):
        assert not (parts[name] & ~parts["mouth"]).any()


@settings(max_examples=5)
@given(st.lists(SEEDS, min_size=8, max_size=8))
def test_landmarks_lie_on_their_parts(seeds: list[int]) -> None:
    buffers = render_faces(changed([random_face(seed) for seed in seeds], style="bald"), SIZE)
    for i, points in enumerate(buffers.landmarks):
        for name, indices in (("mouth", LIPS), ("eyes", EYES), ("brows", BROWS), ("nose", NOSE)):
            mask = buffers.parts[name][i].numpy()
            assert distance_to(mask, points[list(indices)]).max() < 2.9, name
        face = buffers.parts["face"][i].numpy()
        assert distance_to(face & ~eroded(face, 3), points[list(JAW)]).max() < 2.9


def test_lips_surround_the_mouth_landmarks_and_teeth_lie_between_the_inner_ones() -> None:
    buffers = render_faces(changed(CROWD, open=0.8), SIZE)
    for i, points in enumerate(buffers.landmarks):
        teeth = np.argwhere(buffers.parts["teeth"][i].numpy())[:, ::-1] + 0.5
        inner = points[60:68].astype(np.float32)
        inside = [cv2.pointPolygonTest(inner, (float(x), float(y)), True) for x, y in teeth]
        assert min(inside) > -1.5
        assert distance_to(buffers.parts["lips"][i].numpy(), points[48:60]).max() < 1.5


def test_landmarks_follow_the_order_of_the_scheme() -> None:
    mark = landmarks(FaceSpec(open=0.5), 100.0)
    mirrored = [*range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1)]
    mirrored += [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    mirrored += [*range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65]
    np.testing.assert_allclose(mark[mirrored], mark * (-1, 1) + (100, 0), atol=1e-9)
    assert mark[36, 0] < mark[39, 0] < mark[42, 0] < mark[45, 0]
    assert mark[27, 1] < mark[30, 1] < mark[33, 1] < mark[51, 1] < mark[62, 1]
    assert mark[62, 1] < mark[66, 1] < mark[57, 1] < mark[8, 1]


@given(SEEDS, st.integers(16, 2048))
def test_landmarks_scale_with_the_picture(seed: int, size: int) -> None:
    spec = random_face(seed)
    np.testing.assert_allclose(landmarks(spec, size), size * landmarks(spec, 1), rtol=1e-12)


def test_closed_mouths_hide_their_teeth_and_open_ones_show_a_band() -> None:
    closed = render_faces(changed(CROWD, open=0.0), SIZE).parts["teeth"]
    assert not closed.any()
    for openness in (0.26, 0.6, 1.0):
        buffers = render_faces(changed(CROWD, open=openness), SIZE)
        teeth = buffers.parts["teeth"]
        assert teeth.sum(1).amax(1).min() >= 3
        assert teeth.sum(2).amax(1).min() >= 9
        assert (buffers.image.amin(1)[teeth] > 0.55).float().mean() > 0.8


def test_teeth_are_bright_only_where_they_are_marked() -> None:
    for openness, expected in ((0.0, False), (0.7, True)):
        spec = FaceSpec(open=openness, skin="brown", blush=0.2)
        buffers = render_faces([spec], SIZE)
        bright = buffers.image.amin(1) > 0.75
        assert bool((bright & buffers.parts["mouth"]).any()) is expected


def test_opening_the_mouth_changes_only_the_lower_face() -> None:
    before = render_faces(changed(CROWD, open=0.0), SIZE)
    after = render_faces(changed(CROWD, open=1.0), SIZE)
    touched = (pixels(before) != pixels(after)).any(-1)
    for name in ("background", "hair", "shirt"):
        same = (before.parts[name] & after.parts[name]).numpy()
        assert not (touched & np.stack([eroded(mask, 3) for mask in same])).any(), name
    for name in ("eyes", "brows"):
        assert not (touched & before.parts[name].numpy()).any(), name
    for i, points in enumerate(before.landmarks):
        assert not touched[i, : int(points[36:48, 1].max())].any()
    assert touched[before.parts["mouth"].numpy()].mean() > 0.8


@pytest.mark.parametrize(
    ("values", "fixed"),
    [
        ({"gaze": 0.9}, ["background", "hair", "brows", "mouth", "nose", "shirt"]),
        ({"lids": 0.3}, ["background", "hair", "mouth", "shirt"]),
        ({"blush": 0.0}, ["background", "hair", "eyes", "brows", "nose", "shirt"]),
        ({"eyes": "green"}, ["background", "hair", "brows", "mouth", "nose", "skin", "shirt"]),
    ],
)
def test_a_changed_value_leaves_the_other_parts_equal(
    values: dict[str, float | str], fixed: list[str]
) -> None:
    base = changed(CROWD, gaze=-0.5, lids=1.0, blush=1.0, eyes="brown")
    before, after = render_faces(base, SIZE), render_faces(changed(base, **values), SIZE)
    touched = (pixels(before) != pixels(after)).any(-1)
    assert touched.any((1, 2)).all()
    for name in fixed:
        kept = (before.parts[name] & after.parts[name]).numpy()
        assert not (touched & np.stack([eroded(mask, 3) for mask in kept])).any(), name


def test_turning_raising_and_smiling_move_the_landmarks_the_right_way() -> None:
    rest = FaceSpec()
    start = landmarks(rest, 1.0)

    def shift(**values: float) -> np.ndarray:
        return landmarks(dataclasses.replace(rest, **values), 1.0) - start

    assert (shift(yaw=0.3)[list(NOSE), 0] > 0.03).all()
    assert (shift(pitch=0.2)[list(NOSE), 1] < -0.03).all()
    assert (shift(brow=0.8)[list(BROWS), 1] < -0.01).all()
    assert not shift(brow=0.8)[list(EYES)].any()
    assert (shift(smile=0.8)[[48, 54], 1] < -0.01).all()
    assert shift(open=1.0)[8, 1] > 0.03 and not shift(open=1.0)[27:48].any()


@pytest.mark.parametrize("size", [48, 64, 100])
def test_every_size_shows_the_same_picture(size: int) -> None:
    faces = CROWD[:4]
    large, small = render_faces(faces, 4 * size), render_faces(faces, size)
    shrunk = torch.nn.functional.adaptive_avg_pool2d(large.image, size)
    assert (shrunk - small.image).abs().mean() < 0.012
    for name, error in (("background", 0.02), ("face", 0.05), ("mouth", 0.2), ("eyes", 0.3)):
        share, wanted = (b.parts[name].float().mean().item() for b in (small, large))
        assert share == pytest.approx(wanted, rel=error), name


@given(extreme_faces())
def test_specs_survive_json(spec: FaceSpec) -> None:
    assert from_dict(FaceSpec, json.loads(json.dumps(to_dict(spec)))) == spec


@settings(max_examples=6)
@given(CROWDS)
def test_every_acceptable_spec_can_be_painted(specs: list[FaceSpec]) -> None:
    buffers = render_faces(specs, 48)
    assert torch.isfinite(buffers.image).all()
    for words in buffers.captions:
        assert set(words.replace(",", "").split()) <= set(VOCABULARY)


def test_captions_name_the_attributes_in_a_fixed_order() -> None:
    spec = FaceSpec(
        skin="pale",
        style="long",
        hair="black",
        eyes="blue",
        smile=0.8,
        open=0.6,
        yaw=-0.3,
        shirt="red",
        background="gray",
    )
    assert caption(spec) == (
        "a face with pale skin, long black hair and blue eyes, smiling, mouth open, "
        "facing left, red shirt, gray background"
    )
    assert "no hair and" in caption(dataclasses.replace(spec, style="bald"))


def test_unusable_values_are_refused() -> None:
    with pytest.raises(InvalidSetting, match="skin must be one of pale"):
        FaceSpec(skin="blue")
    with pytest.raises(InvalidSetting, match=r"open must lie in \[0.0, 1.0\], not 1.5"):
        FaceSpec(open=1.5)
    with pytest.raises(InvalidSetting, match="yaw must lie"):
        FaceSpec(yaw=float("nan"))
