"""Pictures rendered while a model trains: which ones a call sees, and that they go on exactly."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from diffeditor.training.config import PoolConfig
from diffeditor.training.data import Pictures
from diffeditor.training.draw import Draw
from diffeditor.training.pool import LatentPool, Pool

CPU = torch.device("cpu")
SIDE = 32
CONFIG = PoolConfig(block=4, blocks=3, every=2)


def at(call: int) -> Draw:
    return Draw.of(0, 0, call, 0.0, CPU)


def pool(config: PoolConfig = CONFIG, **given: object) -> Pool:
    return Pool(config, SIDE, CPU, **given)


def same(one: Pictures, other: Pictures) -> bool:
    return (
        one.captions == other.captions
        and torch.equal(one.images, other.images)
        and torch.equal(one.detail, other.detail)
        and torch.equal(one.landmarks.nan_to_num(), other.landmarks.nan_to_num())
    )


def test_a_pool_draws_scenes_and_faces_with_all_that_belongs_to_them() -> None:
    drawn = pool().draw(12, at(0))
    assert drawn.images.shape == (12, 3, SIDE, SIDE)
    assert -1 <= float(drawn.images.min()) < 0 < float(drawn.images.max()) <= 1
    faces = torch.tensor([" face " in f" {text} " for text in drawn.captions])
    assert int(faces.sum()) == 6
    assert torch.equal(drawn.landmarks.isnan().all(-1).all(-1), ~faces)
    assert (drawn.detail > 0).flatten(1).any(1).all()
    assert bool((drawn.detail == 2).flatten(1).any(1)[faces].all())
    assert int(drawn.detail[~faces].max()) == 1


def test_none_is_drawn_twice_unless_there_are_too_few() -> None:
    assert len(set(pool().draw(12, at(0)).captions)) == 12
    assert len(pool().draw(20, at(0)).captions) == 20


def test_the_window_moves_on_by_a_block_and_lets_the_oldest_go() -> None:
    moving = pool()
    held = [set(moving.draw(12, at(call)).captions) for call in range(0, 10, 2)]
    assert held[0] == set(moving.draw(12, at(1)).captions)
    for before, after in zip(held, held[1:], strict=False):
        assert len(before & after) == 8
    assert not held[0] & held[3]


@pytest.mark.parametrize("call", [1, 4, 9, 40])
def test_any_call_sees_the_same_whatever_was_drawn_before(call: int) -> None:
    """A run that goes on has drawn nothing yet; one that starts again has drawn later calls."""
    walked, jumped, back = pool(), pool(), pool()
    for earlier in range(min(call, 10)):
        walked.draw(3, at(earlier))
    back.draw(3, at(call + 7))
    there = jumped.draw(5, at(call))
    assert same(walked.draw(5, at(call)), there)
    assert same(back.draw(5, at(call)), there)


def test_seed_and_process_choose_the_worlds() -> None:
    pools = (pool(), pool(seed=1), pool(process=1), pool(kinds=("face",)))
    seen = [frozenset(one.draw(12, at(0)).captions) for one in pools]
    assert len(set(seen)) == 4


def test_latents_are_those_of_the_pictures() -> None:
    shrunk = torch.nn.AvgPool2d(4)
    latents = LatentPool(pool(encode=shrunk))
    for call in (0, 5):
        z_0, drawn = latents.draw(6, at(call))
        assert z_0.dtype == torch.float32
        torch.testing.assert_close(z_0, shrunk(drawn.images), atol=1e-3, rtol=0)


def test_a_picture_is_rendered_and_encoded_once() -> None:
    """The first window, and one block more for each call after it and for the next one."""
    encoded = []

    def encode(pictures: Tensor) -> Tensor:
        encoded.append(len(pictures))
        return pictures

    filled = pool(replace(CONFIG, every=1), encode=encode)
    for call in range(6):
        filled.draw(8, at(call))
    filled._thread.shutdown()
    assert encoded == [CONFIG.block] * (CONFIG.blocks + 6)


def test_a_failure_in_the_thread_reaches_the_caller() -> None:
    def broken(_: Tensor) -> Tensor:
        raise ValueError("no encoder")

    with pytest.raises(ValueError, match="no encoder"):
        pool(encode=broken).draw(1, at(0))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small pictures are not worth the waking of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
