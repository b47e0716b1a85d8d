"""Means over cases with their uncertainty, and the Fréchet distance between sets of pictures."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
FRECHET_RESAMPLES = 40
"""Each takes two decompositions of D x D matrices."""
NORMAL = 1.96
"""Standard deviations to each end of a 95 % interval of a normal distribution."""
CONFIDENCE = 0.95
_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A statistic of `count` cases and the ends of its 95 % confidence interval."""

    value: float
    low: float
    high: float
    count: int


Statistic = Callable[[np.ndarray], np.ndarray]
"""Values (..., n) or (..., n, 2) of n cases -> the statistic (...)."""


def mean(values: np.ndarray) -> np.ndarray:
    """The mean over the cases; values (..., n)."""
    return values.mean(-1)


def median(values: np.ndarray) -> np.ndarray:
    """The median over the cases; values (..., n)."""
    return np.median(values, axis=-1)


def ratio(values: np.ndarray) -> np.ndarray:
    """Sum of the first column over sum of the second; values (..., n, 2)."""
    sums = values.sum(-2)
    return sums[..., 0] / sums[..., 1]


def difference(values: np.ndarray) -> np.ndarray:
    """Mean of the first column less the second, case by case; values (..., n, 2)."""
    return (values[..., 0] - values[..., 1]).mean(-1)


def bootstrap(values: np.ndarray, statistic: Statistic = mean) -> Estimate:
    """A statistic of the cases (n,) or (n, 2) and its percentile bootstrap interval.

    Cases are drawn with replacement, 2,000 times, from a generator of a fixed seed. Raises
    ValueError without cases.
    """
    count = len(values)
    if not count:
        raise ValueError("There are no cases to take a statistic of.")
    drawn = np.random.default_rng(_SEED).integers(count, size=(RESAMPLES, count))
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(statistic(values[drawn]), [tail, 100 - tail])
    return Estimate(value=float(statistic(values)), low=float(low), high=float(high), count=count)


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of the Gaussians fitted to features (n, D) and (m, D).

        |mean_a - mean_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2)   [Dowson & Landau 1982]

    in float64, by eigenvalues of symmetric matrices. It is biased upwards by about 1/n: compare
    sets of the same size only.
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    cov_a, cov_b = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    root = _root(cov_a)
    inner = np.linalg.eigvalsh(root @ cov_b @ root)
    cross = np.sqrt(np.maximum(inner, 0)).sum()
    gap = np.square(a.mean(0) - b.mean(0)).sum()
    return float(max(0.0, gap + np.trace(cov_a) + np.trace(cov_b) - 2 * cross))


def bootstrap_frechet(features: np.ndarray, truths: np.ndarray) -> Estimate:
    """Fréchet distance of results to truths, features (n, D) of the same n cases.

    Cases drawn with replacement are further apart than cases are, so that only the spread of the
    drawn distances is used: the interval is the distance -+ 1.96 standard deviations.
    """
    count = len(features)
    value = frechet_distance(features, truths)
    drawn = np.random.default_rng(_SEED).integers(count, size=(FRECHET_RESAMPLES, count))
    spread = NORMAL * np.std([frechet_distance(features[d], truths[d]) for d in drawn])
    return Estimate(value=value, low=float(value - spread), high=float(value + spread), count=count)


def _root(matrix: np.ndarray) -> np.ndarray:
    """The symmetric square root of a positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
