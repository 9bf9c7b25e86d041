"""Which tick is worth keeping as best.pt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gancli.metrics.rows import THRESHOLDS, Row, Thresholds, is_finite_row, kimg_of, tick_of, value_of, why_collapsed

__all__ = ["best_tick"]

_EARLIEST = 0.1  # of the planned run
_EVEN_KL = 0.02  # reverse KL in nats up to which modes count as evenly filled
_QUALITY = 0.95  # of the best high quality: below, a tick with narrower modes would win


def best_tick(rows: Sequence[Row], *, planned_kimg: float | None = None, limits: Thresholds = THRESHOLDS) -> int | None:
    """The tick whose networks are worth keeping as best.pt, or None where there is none yet.

    Coverage smoothed over three ticks decides, the kernel distance where it ties; never a tick before 10 % of the
    planned run, and a collapsed one only while all are. With known modes: the number of modes, then high quality; once
    all are there, the last tick with a reverse KL of at most .02 and 95 % of the best high quality.

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
    return (_best_by_coverage(marks, limits.tie) if marks[-1].modes is None else _best_by_modes(marks)).tick


@dataclass(frozen=True)
class _Mark:
    tick: int
    coverage: float  # smoothed
    is_full: bool  # every known mode is there
    kid: float
    is_collapsed: bool
    modes: float | None
    quality: float
    reverse_kl: float

    @classmethod
    def of(cls, rows: Sequence[Row], limits: Thresholds) -> _Mark:
        row = rows[-1]
        recent = [value_of(r, "coverage") for r in rows[-3:] if kimg_of(r) > 0]
        numbers = [c for c in recent if c is not None]
        kid, kl = value_of(row, "kid"), value_of(row, "reverse_kl")
        return cls(
            tick=tick_of(row, len(rows) - 1),
            coverage=sum(numbers) / len(numbers),
            is_full=(value_of(row, "coverage") or 0.0) >= 1,
            kid=math.inf if kid is None else kid,
            is_collapsed=why_collapsed(row, limits) is not None,
            modes=value_of(row, "modes"),
            quality=value_of(row, "high_quality") or 0.0,
            reverse_kl=math.inf if kl is None else kl,
        )


def _best_by_coverage(marks: Sequence[_Mark], tie: float) -> _Mark:
    best, top = marks[0], marks[0].coverage
    for mark in marks[1:]:
        if mark.is_collapsed != best.is_collapsed:
            if best.is_collapsed:
                best, top = mark, mark.coverage
            continue
        if mark.coverage > top + tie or (mark.coverage >= top - tie and mark.kid < best.kid):
            best = mark
        top = max(top, mark.coverage)
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
