"""The figures of `gan evaluate`: each with its n, its features and an interval, and a warning where n is too small."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gancli.errors import DataError, UsageError
from gancli.metrics.clusters import fit_clusters, number_of_clusters, spread_over
from gancli.metrics.distances import CopySearch
from gancli.metrics.extractors import Extractor
from gancli.metrics.features import FeatureSpace, small_pixels, to_float
from gancli.metrics.fidelity import (
    Interval,
    ball_counts,
    frechet_distance,
    kernel_distance,
    precision_recall,
)

__all__ = ["METRICS", "Evaluation", "Pairs", "compare", "evaluate_images", "find_copies", "wilson"]

METRICS = ("coverage", "kid", "fid", "precision", "recall", "memorisation", "modes")
MIN_IMAGES = 20
_GROUPS = 10  # of the jackknife
_MAX_KERNEL = 5000  # reals between which the kernel is computed
_BETTER_LOW = ("kid", "fid", "memorisation")


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """The fakes most like a training image: uint8 [n, C, H, W] each, with their distances in the reals' own."""

    fakes: Tensor
    nearest: Tensor
    distances: list[float]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Figures by name (plain JSON values), what to be wary of, and the pairs of the memorisation figure."""

    figures: dict[str, dict[str, Any]]
    warnings: list[str] = field(default_factory=list)
    pairs: Pairs | None = None


@dataclass(frozen=True, kw_only=True)
class _Sets:
    reals: Tensor  # uint8 [N, C, H, W]
    fakes: Tensor
    real_features: Tensor
    fake_features: Tensor
    features: str


def evaluate_images(
    reals: Tensor, fakes: Tensor, *, metrics: Sequence[str], features: str, extract: Extractor, seed: int = 0
) -> Evaluation:
    """Figures of `fakes` against `reals`, both uint8 [n, C, H, W] of one size, on `features` that `extract` computes.

    Raises `DataError` below 20 pictures on either side, `UsageError` for a metric that is not known or does not go
    with the features.
    """
    _check(metrics, features, len(reals), len(fakes))
    sets = _Sets(
        reals=reals, fakes=fakes, real_features=extract(reals), fake_features=extract(fakes), features=features
    )
    figures: dict[str, dict[str, Any]] = {}
    pairs: Pairs | None = None
    for name in metrics:
        if name == "memorisation":
            figures[name], pairs = _memorisation(sets)
        else:
            figures |= _FIGURES[name](sets, seed)
    return Evaluation(figures=figures, warnings=_warnings(metrics, sets), pairs=pairs)


def compare(first: Mapping[str, dict[str, Any]], second: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each figure of both: first minus second with the interval of the difference, and which is better.

    `better` is 'first', 'second', or 'neither' when 0 is inside the interval.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in first:
        if name not in second or first[name].get("value") is None or second[name].get("value") is None:
            continue
        a, b = first[name], second[name]
        difference = a["value"] - b["value"]
        low = difference - math.hypot(a["value"] - a["low"], b["high"] - b["value"])
        high = difference + math.hypot(a["high"] - a["value"], b["value"] - b["low"])
        sign = -1 if name in _BETTER_LOW else 1
        better = "neither" if low <= 0 <= high else "first" if sign * difference > 0 else "second"
        found[name] = {"difference": difference, "low": low, "high": high, "better": better}
    return found


def find_copies(
    reals: Tensor, fakes: Tensor, *, shown: int = 12, device: torch.device | str = "cpu"
) -> tuple[float, Pairs]:
    """The share of `fakes` that copy one of `reals` (distances.py), both uint8 [n, C, H, W], and the nearest pairs.

    Raises `DataError` for fewer than three reals.
    """
    if len(reals) < 3:
        raise DataError(f"{len(reals)} training images are too few to tell copies.")
    copied, ratio, index = CopySearch(reals, FeatureSpace(reals, device=device))(fakes)
    order = ratio.argsort()[:shown]
    pairs = Pairs(
        fakes=fakes[order.cpu()],
        nearest=reals[index[order].cpu()],
        distances=[float(d) for d in ratio[order]],
    )
    return float(copied.double().mean()), pairs


def wilson(share: float, n: int) -> Interval:
    """A share of n with Wilson's 95 % interval, which stays within [0, 1]."""
    z = 1.959964
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(share, max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)))


def jackknife(statistic: Callable[[Tensor], float], fakes: Tensor) -> Interval:
    """`statistic` of all fakes, with 1.96 standard errors from leaving out each tenth of them in turn."""
    value = statistic(fakes)
    groups = min(_GROUPS, len(fakes))
    keys = torch.arange(len(fakes), device=fakes.device) % groups
    others = [statistic(fakes[keys != group]) for group in range(groups)]
    mean = sum(others) / groups
    error = math.sqrt((groups - 1) / groups * sum((other - mean) ** 2 for other in others))
    return Interval(value, value - 1.96 * error, value + 1.96 * error)


# ---- figures ----------------------------------------------------------------------------------------------------


def _figure(interval: Interval, sets: _Sets, features: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "value": interval.value,
        "low": interval.low,
        "high": interval.high,
        "n_fakes": len(sets.fakes),
        "n_reals": len(sets.reals),
        "features": features or sets.features,
        **more,
    }


def _coverage(sets: _Sets, seed: int) -> dict[str, dict[str, Any]]:
    counts, covered = ball_counts(sets.real_features, sets.fake_features, k=5)
    density = counts.double() / 5
    half = 1.96 * float(density.std()) / math.sqrt(len(density))
    value = float(density.mean())
    return {
        "coverage": _figure(wilson(float(covered.double().mean()), len(covered)), sets, k=5),
        "density": _figure(Interval(value, value - half, value + half), sets, k=5),
    }


def _kid(sets: _Sets, seed: int) -> dict[str, dict[str, Any]]:
    reals = sets.real_features[:: math.ceil(len(sets.reals) / _MAX_KERNEL)]
    size = min(1000, len(reals), len(sets.fakes))
    interval, deviation = kernel_distance(sets.fake_features, reals, subset_size=size)
    return {"kid": _figure(interval, sets, subsets=100, subset_size=size, deviation=deviation)}


def _fid(sets: _Sets, seed: int) -> dict[str, dict[str, Any]]:
    interval = jackknife(lambda fakes: frechet_distance(fakes, sets.real_features), sets.fake_features)
    return {"fid": _figure(interval, sets)}


def _precision(sets: _Sets, seed: int) -> dict[str, dict[str, Any]]:
    precision, _ = precision_recall(sets.real_features, sets.fake_features)
    return {"precision": _figure(wilson(precision, len(sets.fakes)), sets, k=3)}


def _recall(sets: _Sets, seed: int) -> dict[str, dict[str, Any]]:
    _, recall = precision_recall(sets.real_features, sets.fake_features)
    return {"recall": _figure(wilson(recall, len(sets.reals)), sets, k=3)}


def _modes(sets: _Sets, seed: int) -> dict[str, dict[str, Any]]:
    small = small_pixels(to_float(sets.reals))
    clusters = fit_clusters(small, number_of_clusters(len(small)), seed)
    counts = clusters.histogram(small_pixels(to_float(sets.fakes)))
    spread = spread_over(clusters.shares, counts)
    more = {"clusters": len(clusters.centres), "entropy_ratio": spread.entropy, "overlap": spread.overlap}
    return {"modes": _figure(wilson(spread.coverage, len(clusters.centres)), sets, "8 x 8 pixels", **more)}


def _memorisation(sets: _Sets) -> tuple[dict[str, Any], Pairs]:
    share, pairs = find_copies(sets.reals, sets.fakes, device=sets.fake_features.device)
    return _figure(wilson(share, len(sets.fakes)), sets, "random", nearest=pairs.distances[0]), pairs


_FIGURES: dict[str, Callable[[_Sets, int], dict[str, dict[str, Any]]]] = {
    "coverage": _coverage,
    "kid": _kid,
    "fid": _fid,
    "precision": _precision,
    "recall": _recall,
    "modes": _modes,
}


# ---- what is too little -----------------------------------------------------------------------------------------


def _check(metrics: Sequence[str], features: str, num_reals: int, num_fakes: int) -> None:
    for name in metrics:
        if name not in METRICS:
            raise UsageError(f"--metrics '{name}' is not known; choose of {', '.join(METRICS)}.")
    if "fid" in metrics and features != "inception":
        raise UsageError(
            f"FID is defined on Inception's features, and '{features}' are others: add --features inception "
            "(with --inception PATH where there is no network), or use kid."
        )
    for count, what in ((num_reals, "real pictures"), (num_fakes, "generated pictures")):
        if count < MIN_IMAGES:
            raise DataError(
                f"{count} {what} are too few to measure anything; at least {MIN_IMAGES} are needed, "
                "and figures settle from a few hundred on."
            )


def _warnings(metrics: Sequence[str], sets: _Sets) -> list[str]:
    few, warnings = min(len(sets.reals), len(sets.fakes)), []
    if few < 200:
        warnings.append(f"n = {few}: the intervals are wide; figures settle from a few hundred pictures on.")
    if "fid" in metrics and few < 10_000:
        how = "its covariances are singular and " if few < 2049 else ""
        warnings.append(
            f"FID at n = {few}: {how}it is biased upwards; compare at the same n only, or use kid, which has no bias."
        )
    if "fid" in metrics and len(sets.reals) < 1000:
        warnings.append("FID against fewer than 1,000 pictures rewards copying them: read it beside memorisation.")
    if sets.features == "discriminator":
        warnings.append("The discriminator's features are its own: compare such figures within one checkpoint only.")
    return warnings
