"""Two-sample figures on features: Fréchet and kernel distances, precision and recall, density and coverage.

They take features [n, d] of any kind; which kind is part of a figure's name. Definitions agree with torch-fidelity
(Fréchet, kernel, precision and recall) and with prdc (density and coverage) to rounding.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = ["Interval", "density_coverage", "frechet_distance", "kernel_distance", "mmd_squared", "precision_recall"]

_CHUNK = 1024


class Interval(NamedTuple):
    """A figure with the bounds between which 95 % of resamples fall."""

    value: float
    low: float
    high: float


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """|m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^½) of the Gaussians fitted to two feature sets [n, d], in float64.

    Heusel et al. 2017, equation (6). The trace of the root is the sum of the roots of the eigenvalues of S1 S2,
    computed as those of the symmetric S1^½ S2 S1^½, which cannot turn complex.
    """
    a, b = first.double().cpu(), second.double().cpu()
    mean = a.mean(0) - b.mean(0)
    cov_a, cov_b = _covariance(a), _covariance(b)
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    trace_root = torch.linalg.eigvalsh(root @ cov_b @ root).clamp_min(0).sqrt().sum()
    distance = mean @ mean + cov_a.trace() + cov_b.trace() - 2 * trace_root
    return max(0.0, float(distance))


def mmd_squared(first: Tensor, second: Tensor) -> float:
    """Unbiased squared maximum mean discrepancy of two sets [n, d], [m, d] with the kernel (x·y/d + 1)³.

    Binkowski et al. 2018. Zero in expectation for equal distributions, so it can be negative.
    """
    a, b = first.double(), second.double()
    n, m = len(a), len(b)
    within_a = _kernel(a, a)
    within_b = _kernel(b, b)
    return float(
        (within_a.sum() - within_a.trace()) / (n * (n - 1))
        + (within_b.sum() - within_b.trace()) / (m * (m - 1))
        - 2 * _kernel(a, b).mean()
    )


def kernel_distance(
    first: Tensor, second: Tensor, *, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> tuple[Interval, float]:
    """The kernel distance (KID) as the mean over random subsets without replacement, and its standard deviation.

    The interval is the mean ± 1.96 standard deviations over sets of the given size. Subsets larger than a set shrink
    to it. With the defaults and the same seed it draws the very subsets of torch-fidelity.
    """
    size = min(subset_size, len(first), len(second))
    draw = np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        a = torch.from_numpy(draw.choice(len(first), size, replace=False))
        b = torch.from_numpy(draw.choice(len(second), size, replace=False))
        values.append(mmd_squared(first[a.to(first.device)], second[b.to(second.device)]))
    mean, deviation = float(np.mean(values)), float(np.std(values))
    return Interval(mean, mean - 1.96 * deviation, mean + 1.96 * deviation), deviation


def precision_recall(reals: Tensor, fakes: Tensor, k: int = 3) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al. 2019): the share of fakes inside the union of the balls
    around reals that reach their k-th neighbour, and the share of reals inside the fakes' balls. Both in [0, 1]."""
    return _share_inside(fakes, reals, _radii(reals, k)), _share_inside(reals, fakes, _radii(fakes, k))


def density_coverage(reals: Tensor, fakes: Tensor, k: int = 5) -> tuple[float, float]:
    """Density (>= 0, can exceed 1) and coverage (in [0, 1]) of Naeem et al. 2020.

    Two samples of one distribution, both large, have a density of 1 and a coverage of 1 - 2^-k = .969 at k = 5.
    """
    radii = _radii(reals, k)
    inside = 0.0
    covered = torch.full((len(reals),), torch.inf, dtype=torch.float64)
    for part in torch.split(fakes, _CHUNK):
        distance = _distances(part, reals)
        inside += float((distance < radii).sum())
        covered = torch.minimum(covered, distance.min(0).values)
    return inside / (k * len(fakes)), float((covered < radii).double().mean())


def _covariance(points: Tensor) -> Tensor:
    return torch.cov(points.T).reshape(points.shape[1], points.shape[1])


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    return (a @ b.T / a.shape[1] + 1) ** 3


def _distances(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a.double().cpu(), b.double().cpu(), compute_mode="donot_use_mm_for_euclid_dist")


def _radii(points: Tensor, k: int) -> Tensor:
    """Distance of each point to its k-th nearest other one: float64 [n]; with fewer points, to the farthest."""
    k = min(k, len(points) - 1)
    return torch.cat([_distances(part, points).kthvalue(k + 1, 1).values for part in torch.split(points, _CHUNK)])


def _share_inside(points: Tensor, centres: Tensor, radii: Tensor) -> float:
    inside = sum(float((_distances(part, centres) <= radii).any(1).sum()) for part in torch.split(points, _CHUNK))
    return inside / len(points)
