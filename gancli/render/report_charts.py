"""The curves of the report as inline SVG: they follow the page's light and dark colours and need no script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gancli.text import escape_html

__all__ = ["Series", "heat_strip", "line_chart"]

# The texts are half as large again on a narrow screen, where the drawing shrinks; the margins have room for that.
WIDTH, HEIGHT = 560, 262
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 12, 46
_MAX_POINTS = 400


@dataclass(frozen=True)
class Series:
    """A curve: its name in the legend, and one value a tick (None where there is none)."""

    name: str
    values: Sequence[float | None]


def line_chart(
    x: Sequence[float],
    series: Sequence[Series],
    *,
    x_name: str = "kimg",
    low: float | None = None,
    high: float | None = None,
    best: float | None = None,
    since: float | None = None,
) -> str:
    """Curves over `x` as an SVG, or '' where no value is a number.

    `low` and `high` fix the axis; without them a few outliers are cut off rather than flattening the rest. `best` and
    `since` draw marked lines at these x: the best tick, and where the verdict began.
    """
    kept = [s for s in series if any(v is not None for v in s.values)]
    values = sorted(v for s in kept for v in s.values if v is not None)
    if not values or not x:
        return ""
    bottom, top = _range(values, low, high)
    scale = _Scale(x[0] if len(x) > 1 else x[0] - 1, x[-1], bottom, top)
    parts = [_axes(scale, x_name), *_marks(scale, best, since)]
    step = math.ceil(len(x) / _MAX_POINTS)
    for number, one in enumerate(kept):
        points = [(x[i], one.values[i]) for i in range(0, len(x), step)]
        parts.append(_curve(scale, points, number, one.name))
    legend = "".join(f'<span class="key c{i}">{escape_html(s.name)}</span>' for i, s in enumerate(kept))
    title = escape_html(", ".join(s.name for s in kept))
    return (
        f'<div class="legend">{legend}</div>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">{"".join(parts)}</svg>'
    )


def heat_strip(counts: Sequence[Sequence[int]], x: Sequence[float], *, x_name: str = "kimg") -> str:
    """How the fakes spread over the clusters of the reals, one column a tick, one row a cluster: '' without any."""
    columns = [(kimg, c) for kimg, c in zip(x, counts, strict=True) if c and sum(c)]
    if not columns:
        return ""
    columns = columns[:: math.ceil(len(columns) / 80)]
    rows = len(columns[0][1])
    columns = [(kimg, c) for kimg, c in columns if len(c) == rows]
    wide, tall = (WIDTH - LEFT - RIGHT) / len(columns), (HEIGHT - TOP - BOTTOM) / rows
    cells = []
    for i, (kimg, column) in enumerate(columns):
        top = sum(column)
        for j, count in enumerate(column):
            share = count / top
            if not count:
                continue
            strength = min(1.0, 0.12 + 0.88 * math.sqrt(share * rows / 6))
            cells.append(
                f'<rect class="cell" x="{LEFT + i * wide:.1f}" y="{TOP + j * tall:.1f}" width="{wide + 0.3:.1f}" '
                f'height="{tall + 0.3:.1f}" opacity="{strength:.2f}"><title>'
                f"{kimg:g} {escape_html(x_name)}, kind {j + 1}: {share:.0%}</title></rect>"
            )
    frame = (
        f'<rect class="frame" x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"/>'
    )
    label = f'<text x="{LEFT}" y="{HEIGHT - 26}">{columns[0][0]:g}</text>'
    label += f'<text class="end" x="{WIDTH - RIGHT}" y="{HEIGHT - 26}">{columns[-1][0]:g} {escape_html(x_name)}</text>'
    side = f'<text class="end" x="{LEFT - 6}" y="{TOP + 10}">1</text>'
    side += f'<text class="end" x="{LEFT - 6}" y="{HEIGHT - BOTTOM}">{rows}</text>'
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="shares of the kinds over time">'
        f"{frame}{''.join(cells)}{label}{side}</svg>"
    )


@dataclass(frozen=True)
class _Scale:
    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        span = (self.x_high - self.x_low) or 1.0
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - self.x_low) / span

    def y(self, value: float) -> float:
        span = (self.y_high - self.y_low) or 1.0
        inside = min(max((value - self.y_low) / span, 0.0), 1.0)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * inside


def _range(values: Sequence[float], low: float | None, high: float | None) -> tuple[float, float]:
    """The axis: all values, but for the outermost fortieths where these are far out."""
    n = len(values)
    inner = values[n // 40], values[n - 1 - n // 40]
    spread = (inner[1] - inner[0]) or abs(inner[1]) or 1.0
    found_low = max(values[0], inner[0] - spread)
    found_high = min(values[-1], inner[1] + spread)
    margin = 0.05 * ((found_high - found_low) or spread)
    return (found_low - margin if low is None else low), (found_high + margin if high is None else high)


def _axes(scale: _Scale, x_name: str) -> str:
    parts = []
    for value in _nice(scale.y_low, scale.y_high):
        y = scale.y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="end" x="{LEFT - 6}" y="{y + 4:.1f}">{value:g}</text>')
    for value in _nice(scale.x_low, scale.x_high):
        parts.append(f'<text class="mid" x="{scale.x(value):.1f}" y="{HEIGHT - 26}">{value:g}</text>')
    parts.append(f'<text class="end" x="{WIDTH - RIGHT}" y="{HEIGHT - 6}">{escape_html(x_name)}</text>')
    return "".join(parts)


def _marks(scale: _Scale, best: float | None, since: float | None) -> list[str]:
    parts = []
    for value, name, words in ((best, "best", "best"), (since, "since", "verdict since")):
        if value is None:
            continue
        x = scale.x(value)
        to_left = x > LEFT + 40 if name == "best" else x > WIDTH - 130
        anchor, shift = ("end", -4) if to_left else ("start", 4)
        row = TOP + 12 if name == "best" else TOP + 32
        parts.append(f'<line class="{name}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text class="{name}" x="{x + shift:.1f}" y="{row}" text-anchor="{anchor}">{words}</text>')
    return parts


def _curve(scale: _Scale, points: Sequence[tuple[float, float | None]], number: int, name: str) -> str:
    pieces: list[list[str]] = [[]]
    dots = []
    for x, y in points:
        if y is None:
            pieces.append([])
            continue
        at = f"{scale.x(x):.1f},{scale.y(y):.1f}"
        pieces[-1].append(at)
        cx, cy = at.split(",")
        words = f"{escape_html(name)} {y:.3g} at {x:g}"
        dots.append(f'<circle class="dot c{number}" cx="{cx}" cy="{cy}" r="5"><title>{words}</title></circle>')
    lines = "".join(f'<polyline class="line c{number}" points="{" ".join(p)}"/>' for p in pieces if len(p) > 1)
    alone = [p[0].split(",") for p in pieces if len(p) == 1]
    lines += "".join(f'<circle class="mark c{number}" cx="{x}" cy="{y}" r="3"/>' for x, y in alone)
    return lines + "".join(dots)


def _nice(low: float, high: float, count: int = 6) -> list[float]:
    """Round numbers between `low` and `high`."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    raw = span / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]
