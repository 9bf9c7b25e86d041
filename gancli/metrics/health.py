"""The measures of health that training writes into every line of log.jsonl.

How the training loop calls it:

    monitor = HealthMonitor(train_reals, held_out, seed=config.seed, device=device)        # once, before the first step
    monitor.continue_from(rows)                                                            # at a resume, with log rows
    row |= monitor.measure(sample, discriminator, pairs)                                   # at every tick
    verdict = judge(rows, ...)                                                             # verdict.py, plain numbers

`sample(n, net)` draws n fakes of fresh latents from the net named 'ema' or 'raw', `discriminator` maps pictures in
[-1, 1] to logits [n], and `pairs(n)` draws fakes of latents z and `nudge(z, other)` with everything else equal.
All three run without gradients and leave the networks as they found them. The values are floats, None where a figure
cannot be known, and one list: `clusters`, the fakes' counts over the clusters of the reals, from which the next tick
sees whether the modes move.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from scipy.special import ndtr, stdtrit
from torch import Tensor

from gancli.metrics.clusters import cluster_change, fit_clusters, number_of_clusters, spread_over
from gancli.metrics.distances import (
    CopySearch,
    count_distinct,
    double_share,
    effective_rank,
    leave_one_out,
    mean_distance,
)
from gancli.metrics.features import FeatureSpace, roughness, small_pixels, to_float
from gancli.metrics.fidelity import mmd_with_error
from gancli.metrics.modes import count_modes

__all__ = ["HealthMonitor", "Measures", "Sampler", "discriminator_measures", "nudge"]

Measures = dict[str, float | list[int] | None]
Sampler = Callable[[int, str], Tensor]
Logits = Callable[[Tensor], Tensor]
Pairs = Callable[[int], tuple[Tensor, Tensor]]
Undecided = Callable[[Tensor, Tensor], Tensor | float]

_NUDGE = 0.25  # distance of a nudged latent, in mean distances of two independent ones
_NUM_PAIRS = 32
_NUM_JUDGED = 128  # pictures of each kind that the discriminator is asked about
_MAX_REFERENCE = 2000  # reals that statistics of the set are taken from
_MAX_SEARCHED = 4000  # reals that copies are looked for in


def nudge(latents: Tensor, others: Tensor) -> Tensor:
    """Latents a quarter of the way to `others` on the arc between: still of the distribution, and known in distance.

    Both [n, latent_dim], independent and normally distributed (on their hypersphere as well).
    """
    angle = 2 * math.asin(_NUDGE / math.sqrt(2))
    return math.cos(angle) * latents + math.sin(angle) * others


class HealthMonitor:
    """Measures fakes against one fixed set of reals.

    Args:
        reals: the training split, uint8 [N, C, H, W], or 2-D points float32 [N, 2]; N >= 2.
        held_out: pictures that training never sees, of the same kind, or None.
        seed: decides the clusters.
        device: where features are computed; fakes may come from any device.
        num_fakes: fakes measured at each tick from the EMA; a quarter of it from the raw network. Points: 2,500.
        centres: known modes of points [K, 2], with `sigma`, their standard deviation.

    `distinct_images` is how many of the reals are no doubles of another, for `judge`; it is not counted beyond 64.
    """

    def __init__(
        self,
        reals: Tensor,
        held_out: Tensor | None,
        *,
        seed: int,
        device: torch.device | str,
        num_fakes: int = 160,
        centres: Tensor | None = None,
        sigma: float | None = None,
    ) -> None:
        self.is_points = reals.ndim == 2
        self.device = torch.device(device)
        self.num_fakes = 2500 if self.is_points else num_fakes
        self._centres = None if centres is None else centres.to(self.device).float()
        self._sigma = sigma or 1.0
        reference = _evenly(reals, _MAX_REFERENCE)
        self._space = None if self.is_points else FeatureSpace(reference, device=self.device)
        if self.is_points:
            points = reference.to(self.device).float()
            self._offset, self._scale = points.mean(0), points.std(0).clamp_min(1e-6)
        self._reals = self._features(reference)
        self._small = self._reals if self.is_points else small_pixels(to_float(reference.to(self.device)))
        self._clusters = fit_clusters(self._small, number_of_clusters(len(self._small)), seed)
        self._before: Tensor | None = None
        self._measure_reals(reals)
        self.distinct_images = len(reals) if self.is_points else count_distinct(_evenly(reals, _MAX_SEARCHED))
        # The discriminator is asked about equally many of each kind at most.
        self._train = _evenly(reals, _NUM_JUDGED)
        self._held_out = None if held_out is None or len(held_out) == 0 else _evenly(held_out, _NUM_JUDGED)

    def continue_from(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Takes the last histogram from the log, so that a resumed run measures what an unbroken one would."""
        counts = rows[-1].get("clusters") if rows else None
        if isinstance(counts, list) and len(counts) == len(self._clusters.centres):
            self._before = torch.tensor(counts)

    @torch.no_grad()
    def measure(
        self,
        sample: Sampler,
        discriminator: Logits | None = None,
        pairs: Pairs | None = None,
        undecided: Undecided | None = None,
    ) -> Measures:
        """The measures of this tick. `finite` below 1 means the networks give no numbers; the rest is then None."""
        fakes = sample(self.num_fakes, "ema").to(self.device).float()
        raw = sample(max(64, self.num_fakes // 4), "raw").to(self.device).float()
        finite = min(_finite_share(fakes), _finite_share(raw))
        measures: Measures = {"finite": finite} | dict.fromkeys(self.names)
        if finite < 1:
            return measures
        measures |= self._spread(fakes, raw)
        if not self.is_points:
            measures |= self._likeness(fakes)
            if pairs is not None:
                measures["latent_sensitivity"] = self._sensitivity(*pairs(_NUM_PAIRS))
        elif self._centres is not None:
            measures |= count_modes(fakes, self._centres, self._sigma)
            measures["coverage"] = _number(measures["modes"]) / len(self._centres)
            measures["coverage_error"] = None
        if discriminator is not None:
            train, held_out = self._as_input(self._train), self._held_out
            unseen = None if held_out is None else discriminator(self._as_input(held_out))
            invented = discriminator(fakes[: len(train)])
            measures |= discriminator_measures(discriminator(train), unseen, invented, undecided)
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in measures.items()
        }

    @property
    def names(self) -> tuple[str, ...]:
        """Every measure by name, in the order of the log."""
        spread: tuple[str, ...] = (
            "diversity",
            "coverage",
            "coverage_error",
            "cluster_entropy",
            "cluster_overlap",
            "cluster_change",
            "clusters",
        )
        spread = (*spread, "raw_diversity", "raw_coverage", "kid", "kid_error", "distance_to_reals")
        judged = ("d_train", "d_held_out", "d_gap", "d_gap_error", "d_sign", "d_order")
        if self._centres is not None:
            return (*spread, "modes", "high_quality", "reverse_kl", "mode_std", *judged)
        if self.is_points:
            return (*spread, *judged)
        doubles = ("near_duplicates", "near_duplicates_reals", "effective_rank", "roughness", "copies", "copies_reals")
        return (*spread, *doubles, "latent_sensitivity", *judged)

    # ---- the reals, once ----------------------------------------------------------------------------------------

    def _measure_reals(self, reals: Tensor) -> None:
        some = _evenly(self._reals, 512)
        self._pixel_distance = mean_distance(_evenly(self._small, 512))
        self._feature_distance = mean_distance(some)
        self._near = float(leave_one_out(self._reals).median())
        if self.is_points:
            return
        size = min(self.num_fakes, len(self._reals))
        alike = _evenly(self._reals, size)
        self._near_at_size = float(leave_one_out(alike).median())
        self._doubles = double_share(alike, self._near_at_size)
        self._rank, self._variance = effective_rank(alike)
        self._roughness = roughness(to_float(_evenly(reals, size).to(self.device)))
        self._size = size
        assert self._space is not None
        self._copies = CopySearch(_evenly(reals, _MAX_SEARCHED), self._space) if len(reals) >= 3 else None

    # ---- the fakes, at every tick --------------------------------------------------------------------------------

    def _spread(self, fakes: Tensor, raw: Tensor) -> Measures:
        features, small = self._features(fakes), self._low(fakes)
        counts = self._clusters.histogram(small)
        spread = spread_over(self._clusters.shares, counts)
        kid, kid_error = mmd_with_error(features, _evenly(self._reals, 1000))
        change = None if self._before is None else cluster_change(self._before, counts)
        self._before = counts
        raw_small = self._low(raw)
        distance = torch.cdist(features, self._reals).min(1).values
        return {
            "diversity": self._diversity(features, small),
            "coverage": spread.coverage,
            "coverage_error": spread.coverage_error,
            "cluster_entropy": spread.entropy,
            "cluster_overlap": spread.overlap,
            "cluster_change": change,
            "clusters": [int(count) for count in counts],
            "raw_diversity": self._diversity(self._features(raw), raw_small),
            "raw_coverage": spread_over(self._clusters.shares, self._clusters.histogram(raw_small)).coverage,
            "kid": kid,
            "kid_error": kid_error,
            "distance_to_reals": float(distance.median()) / max(self._near, 1e-9),
        }

    def _likeness(self, fakes: Tensor) -> Measures:
        features = self._features(fakes)
        some = _evenly(features, self._size)
        rank, _ = effective_rank(some, self._variance)
        measures: Measures = {
            "near_duplicates": double_share(some, self._near_at_size),
            "near_duplicates_reals": self._doubles,
            "effective_rank": rank / self._rank if self._rank > 0 else None,
            "roughness": roughness(fakes) / max(self._roughness, 1e-6),
        }
        if self._copies is not None:
            measures["copies"] = float(self._copies(fakes)[0].double().mean())
            measures["copies_reals"] = self._copies.baseline
        return measures

    def _sensitivity(self, first: Tensor, second: Tensor) -> float:
        """How far a nudge of the latent moves the picture, against an unrelated real one: about the diversity for a
        smooth generator, 0 for one that ignores its latent."""
        moved = self._features(first.to(self.device).float()) - self._features(second.to(self.device).float())
        return float(moved.norm(dim=1).mean()) / (_NUDGE * max(self._feature_distance, 1e-9))

    def _diversity(self, features: Tensor, small: Tensor) -> float:
        """Mean pairwise distance over that of the reals, the geometric mean of features and small pixels."""
        by_features = mean_distance(_evenly(features, 512)) / max(self._feature_distance, 1e-9)
        by_pixels = mean_distance(_evenly(small, 512)) / max(self._pixel_distance, 1e-9)
        return math.sqrt(by_features * by_pixels)

    def _features(self, images: Tensor) -> Tensor:
        if self._space is not None:
            return self._space(images)
        return (images.to(self.device).float() - self._offset) / self._scale

    def _low(self, images: Tensor) -> Tensor:
        return self._features(images) if self.is_points else small_pixels(images)

    def _as_input(self, images: Tensor) -> Tensor:
        images = images.to(self.device)
        return images.float() if self.is_points else to_float(images)


def discriminator_measures(
    train: Tensor, held_out: Tensor | None, fakes: Tensor, undecided: Undecided | None = None
) -> Measures:
    """What the discriminator thinks of pictures it trains on, of held-out ones and of fakes; logits [n] each.

    `undecided` gives, from those of real and of fake pictures, the logit that takes a picture for neither; None: 0.

    Returns:
        d_train and d_held_out (mean logits); d_gap, the r_v of Karras et al. 2020: how far held-out pictures are
        taken for fakes (0 not at all, 1 entirely), over the spread of the logits where that is larger; d_gap_error,
        its standard error, larger for a handful of pictures, whose spread is hardly known; d_sign, the mean sign on
        training pictures, about the undecided logit (ADA's r_t); d_order, how surely reals rank above fakes (0 by
        chance, 1 always).
    """
    train, fakes = train.double().flatten().cpu(), fakes.double().flatten().cpu()
    middle = 0.0 if undecided is None else undecided(train, fakes)
    above = torch.sign(train[:, None] - fakes[None, :]).mean()
    measures: Measures = {
        "d_train": float(train.mean()),
        "d_held_out": None,
        "d_gap": None,
        "d_gap_error": None,
        "d_sign": float(torch.sign(train - middle).mean()),
        "d_order": float(above),
    }
    if held_out is None or len(held_out) < 2 or len(train) < 2:
        return measures
    held_out = held_out.double().flatten().cpu()
    spread = max(float(train.mean() - fakes.mean()), float(torch.cat([train, fakes]).std()), 1e-9)
    measures["d_held_out"] = float(held_out.mean())
    measures["d_gap"] = float(train.mean() - held_out.mean()) / spread
    error = math.sqrt(float(train.var()) / len(train) + float(held_out.var()) / len(held_out)) / spread
    measures["d_gap_error"] = error * _small_sample_factor(min(len(train), len(held_out)))
    return measures


def _small_sample_factor(count: int) -> float:
    """How much farther out three standard errors lie by Student's distribution than by the normal one; count >= 2."""
    return float(stdtrit(count - 1, ndtr(3.0))) / 3.0


def _evenly(items: Tensor, count: int) -> Tensor:
    """At most `count` of the items, evenly spaced, so that sorted folders are represented whole."""
    if len(items) <= count:
        return items
    return items[torch.linspace(0, len(items) - 1, count, device=items.device).round().long()]


def _finite_share(images: Tensor) -> float:
    return float(torch.isfinite(images).flatten(1).all(1).double().mean())


def _number(value: float | list[int] | None) -> float:
    return value if isinstance(value, float) else 0.0
