"""Pseudo-modes for any folder of pictures: k-means clusters of the reals, and how the fakes spread over them.

After Richardson and Weiss, "On GANs and GMMs" (NDB). Small pixels are clustered rather than features, because a
blurred picture stays in its cluster: a generator that is not sharp yet is not accused of having lost modes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = ["Clusters", "Spread", "cluster_change", "fit_clusters", "number_of_clusters", "spread_over"]

_ROUNDS = 30
# A cluster that should get fewer fakes than this may miss out by chance alone (e^-4 = 2 %), so it is not counted.
_MIN_EXPECTED = 4.0
_COVERED = 0.25  # of the reals' share; a few strays do not cover a large cluster


class Clusters:
    """k cluster centres [k, d] and the share of the reals in each [k]."""

    def __init__(self, centres: Tensor, shares: Tensor) -> None:
        self.centres = centres
        self.shares = shares

    def histogram(self, points: Tensor) -> Tensor:
        """How many of `points` [n, d] are nearest to each centre: int64 [k]."""
        nearest = torch.cdist(points, self.centres).argmin(1)
        return torch.bincount(nearest, minlength=len(self.centres)).cpu()


def number_of_clusters(num_reals: int) -> int:
    """A tenth of the reals, between 4 and 25."""
    return max(2, min(25, max(4, num_reals // 10), num_reals))


def fit_clusters(points: Tensor, k: int, seed: int) -> Clusters:
    """k-means with k-means++ starts of `points` float [n, d], n >= k. The same seed gives the same clusters.

    Points that are all equal give fewer than k distinct centres; those left without a point keep a share of 0.
    """
    draw = np.random.RandomState(seed % 2**32)
    centres = points[draw.randint(len(points))][None]
    for _ in range(k - 1):
        distance = torch.cdist(points, centres).min(1).values.double().cpu().numpy() ** 2
        total = float(distance.sum())
        index = draw.choice(len(points), p=distance / total) if total > 0 else draw.randint(len(points))
        centres = torch.cat([centres, points[index][None]])
    for _ in range(_ROUNDS):
        nearest = torch.cdist(points, centres).argmin(1)
        belongs = torch.nn.functional.one_hot(nearest, k).to(points.dtype)
        counts = belongs.sum(0)
        moved = torch.where(counts[:, None] > 0, belongs.T @ points / counts.clamp_min(1)[:, None], centres)
        if torch.equal(moved, centres):
            break
        centres = moved
    clusters = Clusters(centres, torch.zeros(k))
    clusters.shares = clusters.histogram(points).double() / len(points)
    return clusters


class Spread(NamedTuple):
    """How fakes spread over the reals' clusters.

    `coverage` is the share of the countable clusters with at least a quarter of their due, `coverage_error` its
    standard error from drawing the fakes anew. `entropy` is that of the fakes' histogram relative to that of the
    reals; `overlap` sums the smaller shares: 1 is the same histogram.
    """

    coverage: float
    coverage_error: float
    entropy: float
    overlap: float


def spread_over(shares: Tensor, counts: Tensor) -> Spread:
    """How `counts` [k] fakes spread over clusters with the `shares` [k] of the reals, which sum to 1."""
    total = int(counts.sum())
    if total == 0:
        return Spread(0.0, 0.0, 0.0, 0.0)
    fakes = counts.double() / total
    countable = shares * total >= _MIN_EXPECTED
    if not bool(countable.any()):
        countable = shares > 0
    need = (_COVERED * shares * total).ceil().clamp_min(1)
    covered = (counts >= need) & countable
    reals_entropy = _entropy(shares)
    return Spread(
        coverage=float(covered.sum() / countable.sum()),
        coverage_error=_coverage_error(counts[countable], need[countable]),
        entropy=_entropy(fakes) / reals_entropy if reals_entropy > 0 else 1.0,
        overlap=float(torch.minimum(fakes, shares.double()).sum()),
    )


def _coverage_error(counts: Tensor, need: Tensor) -> float:
    """Each count as a Poisson one: how likely another draw of as many fakes falls below what covers the cluster."""
    mean = counts.double() + 0.5  # a count of 0 leaves it open whether a few in a thousand are there
    missed = torch.special.gammaincc(need.double(), mean)
    return float((missed * (1 - missed)).sum().sqrt() / len(counts))


def cluster_change(before: Tensor, after: Tensor) -> float:
    """Total variation distance of two histograms [k]: 0 the same, 1 no cluster in common."""
    return float((before.double() / before.sum() - after.double() / after.sum()).abs().sum() / 2)


def _entropy(shares: Tensor) -> float:
    some = shares[shares > 0].double()
    return float(-(some * some.log()).sum())
