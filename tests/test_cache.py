"""The cache: what is forgotten first, and what is never forgotten."""

import torch

from diffeditor.cache import Cache


def zeros(nbytes: int) -> torch.Tensor:
    return torch.zeros(nbytes, dtype=torch.uint8)


def test_the_longest_unused_is_forgotten_and_the_latest_kept() -> None:
    cache = Cache[torch.Tensor](1000)
    for name in (b"a", b"b"):
        cache.put(name, zeros(400))
    assert cache.get(b"a") is not None
    cache.put(b"c", zeros(400))
    assert cache.get(b"b") is None and cache.get(b"a") is not None
    cache.put(b"huge", zeros(40_000))
    assert cache.get(b"huge") is not None and cache.get(b"a") is None


def test_it_shrinks_to_less_than_its_limit_when_asked() -> None:
    cache = Cache[torch.Tensor](1000)
    for name in (b"a", b"b", b"c"):
        cache.put(name, zeros(300))
    cache.shrink(600)
    assert cache.nbytes == 600 and cache.get(b"a") is None
    cache.shrink(0)
    assert cache.nbytes == 300 and cache.get(b"c") is not None
    cache.shrink(0, keep=0)
    assert cache.nbytes == 0
    cache.put(b"d", zeros(300))
    cache.clear()
    assert cache.nbytes == 0 and cache.get(b"c") is None
