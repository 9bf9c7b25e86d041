"""Known modes: mixtures of Gaussians with centres that are given (the 2-D toys), and classes that are counted.

The rules are PacGAN's (Lin et al. 2018): a point is of high quality within three sigma of its nearest centre, a mode
is captured by one such point, and the reverse KL is taken over the high-quality points against the uniform one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["count_modes", "histogram_kl", "kl_floor"]


def count_modes(points: Tensor, centres: Tensor, sigma: float) -> dict[str, float | None]:
    """Figures of `points` [n, 2] against `centres` [K, 2] of Gaussians with standard deviation `sigma`.

    Returns:
        modes (captured, 0..K), high_quality (share, a perfect sampler has 1 - exp(-4.5) = .989), reverse_kl (nats,
        None without a high-quality point), mode_std (root of the mean variance of the high-quality points around
        their modes' means, in sigma; a perfect sampler has about .97, points stuck on their centres 0).
    """
    distance, mode = torch.cdist(points, centres).min(1)
    good = distance < 3 * sigma
    counts = torch.bincount(mode[good], minlength=len(centres))
    variances = []
    for index in torch.nonzero(counts >= 2).flatten().tolist():
        inside = points[good & (mode == index)]
        variances.append(float(inside.var(0).mean()) / sigma**2)
    return {
        "modes": float((counts > 0).sum()),
        "high_quality": float(good.double().mean()),
        "reverse_kl": histogram_kl(counts) if int(counts.sum()) else None,
        "mode_std": math.sqrt(sum(variances) / len(variances)) if variances else None,
    }


def histogram_kl(counts: Tensor) -> float:
    """KL(histogram || uniform) in nats of `counts` [K]; 0 is uniform, log K a single class."""
    shares = counts.double() / counts.sum()
    some = shares[shares > 0]
    return float((some * (some * len(counts)).log()).sum())


def kl_floor(num_classes: int, num_samples: int) -> float:
    """What `histogram_kl` gives on average for `num_samples` draws from the uniform one: (K - 1) / 2n nats."""
    return (num_classes - 1) / (2 * num_samples)
