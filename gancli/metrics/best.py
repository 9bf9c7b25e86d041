"""Which tick is worth keeping as best.pt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gancli.metrics.rows import (
    THRESHOLDS,
    Row,
    Thresholds,
    is_copying_row,
    is_finite_row,
    kimg_of,
    percent,
    tick_of,
    value_of,
    why_collapsed,
)

__all__ = ["best_tick", "why_best"]

_EARLIEST = 0.1  # of the planned run
_EVEN_KL = 0.02  # reverse KL in nats up to which modes count as evenly filled
_QUALITY = 0.95  # of the best high quality: below, a tick with narrower modes would win


def best_tick(rows: Sequence[Row], *, planned_kimg: float | None = None, limits: Thresholds = THRESHOLDS) -> int | None:
    """The tick whose networks are worth keeping as best.pt, or None where there is none yet.

    Coverage smoothed over three ticks decides, the kernel distance where it ties, and the later tick where that ties
    as well; what differs by less than the error of its estimate is a tie. Never a tick before 10 % of the planned run,
    and one that is collapsed or copies only while all are. With known modes: the number of modes, then high quality;
    once all are there, the last tick with a reverse KL of at most .02 and 95 % of the best high quality.

    Ticks are folded in their order, so the answer only ever moves to the newest row: a checkpoint that was written
    when `best_tick(rows)` named the newest tick stays the right one.
    """
    planned = planned_kimg or (value_of(rows[-1], "target_kimg") if rows else None) or 0.0
    marks = [
        _Mark.of(rows[: index + 1], limits)
        for index, row in enumerate(rows)
        if 0 < kimg_of(row) >= _EARLIEST * planned and value_of(row, "coverage") is not None and is_finite_row(row)
    ]
    if not marks:
        return None
    return (_best_by_coverage(marks, limits) if marks[-1].modes is None else _best_by_modes(marks)).tick


def why_best(rows: Sequence[Row], tick: int, *, limits: Thresholds = THRESHOLDS) -> str:
    """In words, why `best_tick` chose `tick` of `rows`; '' where it is not among them."""
    index = next((i for i, row in enumerate(rows) if tick_of(row, i) == tick), None)
    if index is None:
        return ""
    mark = _Mark.of(rows[: index + 1], limits)
    if mark.modes is not None:
        return f"{mark.modes:.0f} modes, {percent(mark.quality)} of the points of high quality"
    covered = f"it covers {percent(mark.coverage)} of the set's kinds"
    if index == 0:
        return f"{covered} (kernel distance {mark.kid:.3g})"
    return (
        f"{covered} over {'three' if index > 1 else 'two'} ticks, and of those that cover as much "
        f"it is the nearest to the real pictures (kernel distance {mark.kid:.3g})"
    )


@dataclass(frozen=True)
class _Mark:
    tick: int
    coverage: float  # smoothed
    coverage_error: float
    is_full: bool  # every known mode is there
    kid: float
    kid_error: float
    is_failed: bool
    modes: float | None
    quality: float
    reverse_kl: float

    @classmethod
    def of(cls, rows: Sequence[Row], limits: Thresholds) -> _Mark:
        row = rows[-1]
        recent = [r for r in rows[-3:] if kimg_of(r) > 0]
        numbers = [c for c in (value_of(r, "coverage") for r in recent) if c is not None]
        errors = [value_of(r, "coverage_error") or 0.0 for r in recent]
        kid, kl = value_of(row, "kid"), value_of(row, "reverse_kl")
        return cls(
            tick=tick_of(row, len(rows) - 1),
            coverage=sum(numbers) / max(len(numbers), 1),
            coverage_error=math.hypot(*errors) / max(len(numbers), 1),
            is_full=(value_of(row, "coverage") or 0.0) >= 1,
            kid=math.inf if kid is None else kid,
            kid_error=value_of(row, "kid_error") or 0.0,
            is_failed=why_collapsed(row, limits) is not None or is_copying_row(row, limits),
            modes=value_of(row, "modes"),
            quality=value_of(row, "high_quality") or 0.0,
            reverse_kl=math.inf if kl is None else kl,
        )


def _best_by_coverage(marks: Sequence[_Mark], limits: Thresholds) -> _Mark:
    best = widest = nearest = marks[0]  # nearest: the smallest kernel distance among those that tie with the widest
    for mark in marks[1:]:
        if mark.is_failed != best.is_failed:
            if best.is_failed:
                best = widest = nearest = mark
            continue
        tie = max(limits.tie, limits.tie_errors * math.hypot(mark.coverage_error, widest.coverage_error))
        if mark.coverage > widest.coverage + tie:
            best = widest = nearest = mark
            continue
        if mark.coverage >= widest.coverage - tie:
            if mark.kid <= nearest.kid + math.hypot(mark.kid_error, nearest.kid_error):
                best = mark
            if mark.kid < nearest.kid:
                nearest = mark
        if mark.coverage > widest.coverage:
            widest = mark
    return best


def _best_by_modes(marks: Sequence[_Mark]) -> _Mark:
    best, top = marks[0], 0.0
    for mark in marks:
        if mark.is_full:
            top = max(top, mark.quality)
        if _beats_by_modes(mark, best, top):
            best = mark
    return best


def _beats_by_modes(mark: _Mark, best: _Mark, top: float) -> bool:
    if (mark.modes or 0) != (best.modes or 0):
        return (mark.modes or 0) > (best.modes or 0)
    if not mark.is_full:
        return mark.quality > best.quality
    good, old = (m.reverse_kl <= _EVEN_KL and m.quality >= _QUALITY * top for m in (mark, best))
    if good or old:
        return good
    return (mark.reverse_kl <= _EVEN_KL, mark.quality) > (best.reverse_kl <= _EVEN_KL, best.quality)
