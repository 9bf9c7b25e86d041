"""Two-sample figures on features: Fréchet and kernel distances, precision and recall, density and coverage.

They take features [n, d] of any kind; which kind is part of a figure's name. Definitions agree with torch-fidelity
(Fréchet, kernel, precision and recall) and with prdc (density and coverage) to rounding.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "Interval",
    "ball_counts",
    "density_coverage",
    "frechet_distance",
    "kernel_distance",
    "mmd_squared",
    "mmd_with_error",
    "precision_recall",
]

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
    return mmd_with_error(first, second)[0]


def mmd_with_error(first: Tensor, second: Tensor) -> tuple[float, float]:
    """`mmd_squared`, and the standard error that it has from drawing `first` anew, n >= 2, `second` being given.

    The error is that of the mean of the projections 2 (E k(x, first) - E k(x, second)), the first order of Hoeffding's
    decomposition.
    """
    a, b = first.double(), second.double()
    n, m = len(a), len(b)
    within_a, within_b = _kernel(a, a), _kernel(b, b)
    to_own = (within_a.sum(1) - within_a.diagonal()) / (n - 1)
    to_other = _kernel(a, b).mean(1)
    value = to_own.mean() + (within_b.sum() - within_b.trace()) / (m * (m - 1)) - 2 * to_other.mean()
    return float(value), 2 * float((to_own - to_other).std()) / n**0.5


def kernel_distance(
    first: Tensor, second: Tensor, *, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> tuple[Interval, float]:
    """The kernel distance (KID) as the mean over random subsets without replacement, and their standard deviation.

    With the defaults and the same seed it draws the very subsets of torch-fidelity; subsets larger than a set shrink
    to it. The interval is 1.96 standard errors to either side, from leaving out each tenth of both sets in turn: the
    deviation of subsets that overlap says little about another sample.
    """
    size = min(subset_size, len(first), len(second))
    kernels = _Kernels(first, second)
    draw = np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        a = torch.from_numpy(draw.choice(len(first), size, replace=False))
        b = torch.from_numpy(draw.choice(len(second), size, replace=False))
        values.append(kernels.mmd_squared(a, b))
    mean, deviation = float(np.mean(values)), float(np.std(values))
    half = 1.96 * kernels.standard_error()
    return Interval(mean, mean - half, mean + half), deviation


class _Kernels:
    """The kernel between all points of two sets, so that subsets are looked up, not computed again."""

    def __init__(self, first: Tensor, second: Tensor) -> None:
        a, b = first.double().cpu(), second.double().cpu()
        self.aa, self.bb, self.ab = _kernel(a, a), _kernel(b, b), _kernel(a, b)

    def mmd_squared(self, rows: Tensor, columns: Tensor) -> float:
        n, m = len(rows), len(columns)
        aa, bb = self.aa[rows][:, rows], self.bb[columns][:, columns]
        within = (aa.sum() - aa.trace()) / (n * (n - 1)) + (bb.sum() - bb.trace()) / (m * (m - 1))
        return float(within - 2 * self.ab[rows][:, columns].mean())

    def standard_error(self, groups: int = 10) -> float:
        """The jackknife's, over groups of both sets."""
        n, m = len(self.aa), len(self.bb)
        groups = min(groups, n - 2, m - 2)
        if groups < 2:
            return 0.0
        rows, columns = torch.arange(n), torch.arange(m)
        values = [self.mmd_squared(rows[rows % groups != g], columns[columns % groups != g]) for g in range(groups)]
        return float(np.sqrt((groups - 1) * np.var(values)))


def precision_recall(reals: Tensor, fakes: Tensor, k: int = 3) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al. 2019): the share of fakes inside the union of the balls
    around reals that reach their k-th neighbour, and the share of reals inside the fakes' balls. Both in [0, 1]."""
    return _share_inside(fakes, reals, _radii(reals, k)), _share_inside(reals, fakes, _radii(fakes, k))


def density_coverage(reals: Tensor, fakes: Tensor, k: int = 5) -> tuple[float, float]:
    """Density (>= 0, can exceed 1) and coverage (in [0, 1]) of Naeem et al. 2020.

    Two samples of one distribution, both large, have a density of 1 and a coverage of 1 - 2^-k = .969 at k = 5.
    """
    counts, covered = ball_counts(reals, fakes, k)
    return float(counts.double().mean()) / k, float(covered.double().mean())


def ball_counts(reals: Tensor, fakes: Tensor, k: int = 5) -> tuple[Tensor, Tensor]:
    """In how many of the reals' balls (to the k-th neighbour) each fake lies [n], and which reals have one [N]."""
    radii = _radii(reals, k)
    inside = [_distances(part, reals) < radii for part in torch.split(fakes, _CHUNK)]
    return torch.cat([part.sum(1) for part in inside]), torch.stack([part.any(0) for part in inside]).any(0)


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
