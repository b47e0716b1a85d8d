"""Bootstrap intervals and the Fréchet distance against closed forms."""

import numpy as np
import pytest

from diffeditor.bench import statistics as s


def exact_sample(mean: np.ndarray, deviations: np.ndarray, count: int = 40) -> np.ndarray:
    """Features (count, D) whose mean and diagonal covariance are exactly these."""
    raw = np.random.default_rng(1).normal(size=(count, len(mean)))
    centred = raw - raw.mean(0)
    root = np.linalg.cholesky(np.cov(centred, rowvar=False))
    return centred @ np.linalg.inv(root).T * deviations + mean


def test_equal_cases_have_no_spread() -> None:
    estimate = s.bootstrap(np.full(7, 3.5))
    assert (estimate.value, estimate.low, estimate.high, estimate.count) == (3.5, 3.5, 3.5, 7)


def test_interval_of_a_mean_is_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(0).normal(10, 2, 400)
    estimate = s.bootstrap(values)
    half = 1.96 * values.std() / np.sqrt(400)
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.high - estimate.low == pytest.approx(2 * half, rel=0.1)


def test_a_ratio_divides_sums_and_not_cases() -> None:
    pairs = np.array([[1.0, 2.0], [9.0, 2.0]])
    assert s.bootstrap(pairs, s.ratio).value == 2.5


def test_the_median_ignores_an_outlier() -> None:
    assert s.bootstrap(np.array([1.0, 2.0, 1e9]), s.median).value == 2.0


def test_the_same_cases_give_the_same_interval() -> None:
    values = np.random.default_rng(3).normal(size=30)
    assert s.bootstrap(values) == s.bootstrap(values)


def test_no_cases_are_refused() -> None:
    with pytest.raises(ValueError, match="no cases"):
        s.bootstrap(np.empty(0))


def test_frechet_distance_of_gaussians() -> None:
    a, b = np.array([1.0, 2.0, 0.5]), np.array([3.0, 0.5, 0.5])
    gap = np.array([1.0, -2.0, 0.0])
    expected = np.square(a - b).sum() + np.square(gap).sum()
    distance = s.frechet_distance(exact_sample(np.zeros(3), a), exact_sample(gap, b))
    assert distance == pytest.approx(expected)


def test_frechet_distance_to_itself_is_nothing_with_few_samples_too() -> None:
    few = np.random.default_rng(0).normal(size=(5, 16))
    assert s.frechet_distance(few, few) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_is_symmetric() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 30, 4))
    b = b * [1, 2, 3, 4]
    assert s.frechet_distance(a, b) == pytest.approx(s.frechet_distance(b, a))


def test_the_interval_of_a_frechet_distance_is_round_it() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 50, 3))
    estimate = s.bootstrap_frechet(a + 1, b)
    assert estimate.low < estimate.value < estimate.high
    assert estimate.value == s.frechet_distance(a + 1, b)
