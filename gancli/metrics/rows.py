"""Reading a row of log.jsonl: its numbers, and what one row alone says about the run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "THRESHOLDS",
    "Row",
    "Thresholds",
    "excess",
    "is_copying_row",
    "is_finite_row",
    "is_garbage_row",
    "is_noise_row",
    "is_overfit_row",
    "kimg_of",
    "percent",
    "tick_of",
    "value_of",
    "why_collapsed",
]

Row = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Where a measure turns from fine to not. Shares and ratios; 1 is what the reals show."""

    min_distinct: int = 20
    min_ticks: int = 3
    early: float = 0.05  # share of the planned run in which nothing but non-finite numbers is judged
    patience: float = 0.3  # share in which a measure that still rises is given time
    diversity: float = 0.2
    coverage: float = 0.5
    overlap: float = 0.47
    rank: float = 0.1
    doubles: float = 0.8  # near-duplicates, beyond those of the reals; a latent of two numbers makes .6 of its own,
    some_doubles: float = 0.5  # so these are too many only where coverage is below
    fair_coverage: float = 0.75
    sensitivity: float = 0.05
    noise_distance: float = 1.6  # median distance of the fakes to the reals, in the reals' own
    roughness: float = 1.8  # differences of neighbouring pixels, in those of the reals
    noise_rank: float = 1.5  # noise varies in more directions than pictures do
    noise_doubles: float = 0.2
    noise_kid: float = 5.0
    copies: float = 0.3  # beyond those that the reals are of each other
    change: float = 0.4  # total variation of the cluster histogram from tick to tick
    fall: float = 0.2
    gap: float = 0.5
    gap_errors: float = 3.0
    tie: float = 0.02  # coverage: one cluster of 25 in one tick of two
    tie_errors: float = 2.0  # coverage: standard errors of a difference that still are a tie


THRESHOLDS = Thresholds()


def value_of(row: Row, name: str) -> float | None:
    """The number under `name`, or None for what is missing, no number or not finite."""
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def excess(row: Row, name: str) -> float | None:
    """A share above what the reals themselves show, scaled so that 1 stays 1."""
    value, reals = value_of(row, name), value_of(row, f"{name}_reals") or 0.0
    if value is None:
        return None
    return (value - reals) / (1 - reals) if reals < 1 else 0.0


def tick_of(row: Row, index: int) -> int:
    """The row's tick, or its place in the log where none is given."""
    value = value_of(row, "tick")
    return index if value is None else int(value)


def kimg_of(row: Row) -> float:
    """Thousands of real images drawn; 0 before the first step."""
    return value_of(row, "kimg") or 0.0


def is_finite_row(row: Row) -> bool:
    """Are the losses and the fakes numbers? JSON has no NaN of its own, so a step without any loss counts as one."""
    if (finite := value_of(row, "finite")) is not None and finite < 1:
        return False
    losses = [row[name] for name in ("loss_d", "loss_g") if name in row]
    if kimg_of(row) > 0 and len(losses) == 2 and all(loss is None for loss in losses):
        return False
    return all(math.isfinite(loss) for loss in losses if isinstance(loss, float))


def is_noise_row(row: Row, limits: Thresholds) -> bool:
    """Fakes that are far from the reals or rough, reach few of their clusters, and are nevertheless not alike."""
    distance, coverage = value_of(row, "distance_to_reals"), value_of(row, "coverage")
    doubles = value_of(row, "near_duplicates")
    if distance is None or coverage is None or coverage >= limits.coverage:
        return False
    if doubles is None:
        quality = value_of(row, "high_quality")
        return quality is not None and quality < 0.02 and distance >= limits.noise_distance
    is_rough = (value_of(row, "roughness") or 0.0) >= limits.roughness
    is_far = distance >= limits.noise_distance and (value_of(row, "effective_rank") or 0.0) >= limits.noise_rank
    return (is_rough or is_far) and doubles < limits.noise_doubles


def is_garbage_row(row: Row, limits: Thresholds) -> bool:
    """Fakes that are far from the reals, rough and of quite another distribution, whichever clusters they fall into."""
    names = ("distance_to_reals", "roughness", "kid", "near_duplicates")
    distance, roughness, kid, doubles = (value_of(row, name) for name in names)
    if distance is None or roughness is None or kid is None or doubles is None:
        return False
    is_far = distance >= limits.noise_distance and roughness >= limits.roughness and kid >= limits.noise_kid
    return is_far and doubles < limits.some_doubles


def is_overfit_row(row: Row, limits: Thresholds) -> bool:
    """Does the discriminator take held-out pictures for fakes, beyond what so few of them do by chance?"""
    gap, error = value_of(row, "d_gap"), value_of(row, "d_gap_error")
    return gap is not None and gap >= limits.gap and (error is None or gap >= limits.gap_errors * error)


def is_copying_row(row: Row, limits: Thresholds) -> bool:
    """Are more of the fakes copies of training images than the reals are of each other?"""
    return (excess(row, "copies") or 0.0) >= limits.copies


def percent(share: float) -> str:
    """'42 %'."""
    return f"{100 * share:.0f} %"


def why_collapsed(row: Row, limits: Thresholds = THRESHOLDS) -> str | None:
    """Why the fakes of this row are collapsed, in words, or None."""
    diversity, coverage = value_of(row, "diversity"), value_of(row, "coverage")
    modes, sensitivity = value_of(row, "modes"), value_of(row, "latent_sensitivity")
    overlap, rank = value_of(row, "cluster_overlap"), value_of(row, "effective_rank")
    if diversity is not None and diversity < limits.diversity:
        return f"the pictures differ from each other only {percent(diversity)} as much as the real ones do"
    if coverage is not None and coverage < limits.coverage:
        what = f"{modes:.0f} modes are reached," if modes is not None else "the pictures reach"
        return f"{what} {percent(coverage)} of the kinds that the set has"
    if modes is None and overlap is not None and overlap < limits.overlap:
        return f"the pictures crowd into a few kinds: they share {percent(overlap)} of the set's proportions"
    if rank is not None and rank < limits.rank:
        return f"the pictures vary in {percent(rank)} of the directions that the set has"
    doubles = excess(row, "near_duplicates")
    most = limits.some_doubles if coverage is not None and coverage < limits.fair_coverage else limits.doubles
    if doubles is not None and doubles >= most and not is_copying_row(row, limits):
        return f"{percent(doubles)} of the pictures have a near-double among only a few hundred others"
    if sensitivity is not None and sensitivity < limits.sensitivity:
        return "another latent gives the same picture"
    return None
