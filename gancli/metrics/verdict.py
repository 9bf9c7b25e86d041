"""A verdict in words on a run, from the rows of its log alone.

`judge` is pure: the same rows give the same answer, in training, in the report and years later. The thresholds
(rows.py) are those that tell planted failures from healthy runs in tests/benchmarks, set on one half of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gancli.config import TrainConfig
from gancli.metrics.advice import advise
from gancli.metrics.best import best_tick
from gancli.metrics.rows import (
    THRESHOLDS,
    Row,
    Thresholds,
    is_copying_row,
    is_finite_row,
    is_garbage_row,
    is_noise_row,
    is_overfit_row,
    kimg_of,
    percent,
    tick_of,
    value_of,
    why_collapsed,
)

__all__ = ["Verdict", "judge"]

_Finding = tuple[str, int | None, str]  # verdict, since_tick, evidence


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What verdict.json holds. `since_tick` is where it began, `best_tick` where the best checkpoint was taken."""

    verdict: str
    since_tick: int | None
    best_tick: int | None
    evidence: str
    advice: tuple[str, ...]
    measures: dict[str, float | None]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"advice": list(self.advice)}


def judge(
    rows: Sequence[Row],
    *,
    num_images: int,
    distinct_images: int | None = None,
    planned_kimg: float | None = None,
    held_out: bool = True,
    config: TrainConfig | None = None,
    limits: Thresholds = THRESHOLDS,
) -> Verdict:
    """The verdict after the last of `rows`, the objects of log.jsonl in order.

    Args:
        num_images: pictures in the training split.
        distinct_images: of these, how many are not near-duplicates of another; None: all.
        planned_kimg: length of the run; None: the last row's `target_kimg`.
        held_out: does the run hold pictures out? Without, the evidence says what cannot be known.
        config: the run's; the advice then names no flag that its recipe refuses.
    """
    rows = list(rows)
    planned = planned_kimg or (value_of(rows[-1], "target_kimg") if rows else None) or 0.0
    distinct = num_images if distinct_images is None else distinct_images
    name, since, evidence = _find(rows, distinct, planned, limits)
    if not held_out and name not in ("diverged", "starved"):
        evidence += " No picture is held out (the set has fewer than 50), so overfitting cannot be told from learning."
    best = best_tick(rows, planned_kimg=planned, limits=limits)
    last = rows[-1] if rows else {}
    return Verdict(
        verdict=name,
        since_tick=since,
        best_tick=best,
        evidence=evidence,
        advice=advise(
            name,
            best_tick=best,
            since_tick=since,
            num_images=distinct if distinct < limits.min_distinct else num_images,
            held_out=held_out,
            config=config,
        ),
        measures={key: value_of(last, key) for key in last if _is_measure(key)},
    )


# ---- the eight, in the order in which they exclude each other ---------------------------------------------------


def _find(rows: list[Row], distinct: int, planned: float, limits: Thresholds) -> _Finding:
    if not rows:
        return "starved", None, "Nothing has been measured yet."
    broken = _streak(rows, lambda row: not is_finite_row(row))
    if broken is not None:
        return "diverged", tick_of(rows[broken], broken), "The networks give numbers that are not finite."
    if distinct < limits.min_distinct:
        few = f"The set has {distinct} distinct pictures; below {limits.min_distinct} a network learns them by heart."
        return "starved", tick_of(rows[0], 0), few
    judged = [index for index, row in enumerate(rows) if _is_judged(row, planned, limits)]
    if len(judged) < limits.min_ticks:
        done = f"{kimg_of(rows[-1]):.1f} of {planned:.1f} kimg" if planned else f"{len(rows)} ticks"
        return "starved", tick_of(rows[0], 0), f"Too early to tell: {done} are done."
    # What has failed now may have failed since the first step; a slow decline is looked for in the judged part only.
    measured = [row for row in rows if kimg_of(row) > 0 and value_of(row, "diversity") is not None]
    for search in (_find_noise, _find_collapse, _find_memorising):
        if (found := search(measured, planned, limits)) is not None:
            return found
    rows = rows[judged[0] :]
    for search in (_find_fall, _find_raw_collapse, _find_overfitting):
        if (found := search(rows, planned, limits)) is not None:
            return found
    return "healthy", _healthy_since(rows, limits), _describe_health(rows[-1])


def _find_noise(rows: list[Row], planned: float, limits: Thresholds) -> _Finding | None:
    start = _streak(rows, lambda row: is_noise_row(row, limits) or is_garbage_row(row, limits))
    if start is None or len(rows) - start < 2:
        return None
    # many a network that learns makes garbage at first
    is_early = kimg_of(rows[-1]) < limits.patience * planned and not is_noise_row(rows[-1], limits)
    if is_early or _still_moving(rows, "distance_to_reals", -1, planned, limits):
        early = "Too early to tell: the pictures are still noise."
        return "starved", tick_of(rows[0], 0), early
    times = value_of(rows[-1], "distance_to_reals") or 0.0
    text = f"The pictures are noise: they are {times:.1f} times as far from the reals as these are from each other"
    if (rough := value_of(rows[-1], "roughness")) is not None:
        text += f", and {rough:.1f} times as rough"
    return "diverged", tick_of(rows[start], start), f"{text}."


def _find_collapse(rows: list[Row], planned: float, limits: Thresholds) -> _Finding | None:
    start = _streak(rows, lambda row: why_collapsed(row, limits) is not None)
    if start is None or len(rows) - start < 2:
        return None
    moving = [c for c in (value_of(row, "cluster_change") for row in rows[start + 1 :][-4:]) if c is not None]
    if moving and sum(moving) / len(moving) >= limits.change:
        text = (
            f"At every tick {why_collapsed(rows[-1], limits)}, and each time other ones: "
            f"{percent(sum(moving) / len(moving))} of the pictures change their kind from one tick to the next."
        )
        return "cycling", tick_of(rows[start], start), text
    if start == 0 and _still_rising(rows, planned, limits):
        return "starved", tick_of(rows[0], 0), "Too early to tell: the pictures are alike, but less so at every tick."
    reason = why_collapsed(rows[-1], limits) or ""
    return "collapsed", tick_of(rows[start], start), f"Since tick {tick_of(rows[start], start)} {reason}."


def _find_memorising(rows: list[Row], planned: float, limits: Thresholds) -> _Finding | None:
    start = _streak(rows, lambda row: is_copying_row(row, limits))
    if start is None or len(rows) - start < 2:
        return None
    share = percent(value_of(rows[-1], "copies") or 0.0)
    return "memorising", tick_of(rows[start], start), f"{share} of the pictures are copies of training images."


# The finest measure first: coverage still counts a kind of which a few pictures are left.
_FALLING = {
    "cluster_overlap": "The match with the set's proportions",
    "coverage": "Coverage",
    "diversity": "Diversity",
}


def _find_fall(rows: list[Row], planned: float, limits: Thresholds) -> _Finding | None:
    for name, words in _FALLING.items():
        series = [value_of(row, name) for row in rows]
        values = [v for v in series if v is not None]
        if len(values) < 4 or len(values) != len(series):
            continue
        start = len(values) - 1
        while start > 0 and values[start - 1] > values[start]:
            start -= 1
        fall = values[start] - values[-1]
        if len(values) - 1 - start >= 3 and fall >= limits.fall * max(values[start], 1e-9):
            text = (
                f"{words} has fallen for {len(values) - 1 - start} ticks, "
                f"from {percent(values[start])} to {percent(values[-1])}."
            )
            return "collapsing", tick_of(rows[start + 1], start + 1), text
    return None


def _find_raw_collapse(rows: list[Row], planned: float, limits: Thresholds) -> _Finding | None:
    """The average of the last thousands of steps still looks well after the network itself does not."""
    start = _streak(rows, lambda row: (value_of(row, "raw_diversity") or 1.0) < limits.diversity)
    if start is None or len(rows) - start < 3:
        return None
    if start == 0 and planned and kimg_of(rows[-1]) <= limits.patience * planned:
        return None  # it has not opened yet, which is no collapse
    share = percent(value_of(rows[-1], "raw_diversity") or 0.0)
    text = f"The raw network has collapsed already (diversity {share} of the reals'); its average will follow."
    return "collapsing", tick_of(rows[start], start), text


def _find_overfitting(rows: list[Row], planned: float, limits: Thresholds) -> _Finding | None:
    start = _streak(rows, lambda row: is_overfit_row(row, limits))
    if start is None or len(rows) - start < 3:
        return None
    gap = percent(value_of(rows[-1], "d_gap") or 0.0)
    text = f"The discriminator takes held-out pictures {gap} of the way for fakes: it knows its training set by heart."
    return "overfitting", tick_of(rows[start], start), text


def _is_judged(row: Row, planned: float, limits: Thresholds) -> bool:
    return kimg_of(row) > 0 and kimg_of(row) >= limits.early * planned and value_of(row, "diversity") is not None


def _streak(rows: Sequence[Row], holds: Callable[[Row], bool]) -> int | None:
    """Index of the first row of the stretch, up to the last row, in which `holds`; None if the last one fails.

    A single row that fails, between two that hold, does not end the stretch.
    """
    start: int | None = None
    for index in range(len(rows) - 1, -1, -1):
        if holds(rows[index]):
            start = index
        elif start is None or start > index + 1:
            break
    return start


def _still_rising(rows: list[Row], planned: float, limits: Thresholds) -> bool:
    return any(_still_moving(rows, name, 1, planned, limits) for name in ("diversity", "coverage"))


def _still_moving(rows: list[Row], name: str, sign: int, planned: float, limits: Thresholds) -> bool:
    """Has the measure moved the right way over the last three ticks, early in the run?"""
    values = [v for v in (value_of(row, name) for row in rows) if v is not None]
    if len(values) < 3 or not planned or kimg_of(rows[-1]) > limits.patience * planned:
        return False
    return sign * (values[-1] - values[-3]) > 0.1 * abs(values[-3])


def _healthy_since(rows: list[Row], limits: Thresholds) -> int:
    start = _streak(rows, lambda row: why_collapsed(row, limits) is None)
    return tick_of(rows[start or 0], start or 0)


def _describe_health(row: Row) -> str:
    coverage, diversity, copied = (value_of(row, key) for key in ("coverage", "diversity", "copies"))
    parts = [f"The pictures reach {percent(coverage or 0.0)} of the kinds in the set"]
    if diversity is not None:
        parts.append(f"differ {percent(diversity)} as much as the real ones")
    if copied is not None:
        parts.append(f"and {percent(copied)} are copies of training images")
    return ", ".join(parts) + "."


def _is_measure(name: str) -> bool:
    return name not in ("tick", "nimg", "kimg", "epoch", "seconds", "target_kimg", "starts", "clusters")
