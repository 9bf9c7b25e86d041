"""The curves of the report: which measures stand together, and what to read in them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gancli.render.report_charts import Series, heat_strip, line_chart
from gancli.text import escape_html

__all__ = ["draw_curves"]

_CALM = ("healthy", "starved")  # verdicts that did not begin with a fault


def draw_curves(rows: Sequence[Mapping[str, Any]], verdict: Mapping[str, Any]) -> str:
    """The figures of all measures that the rows of log.jsonl hold, as HTML."""
    x = [float(row["kimg"]) for row in rows]
    best, since = _kimg_of(rows, verdict.get("best_tick")), None
    if verdict.get("verdict") not in _CALM:
        since = _kimg_of(rows, verdict.get("since_tick"))
    figures = []
    for title, names, note, low, high in _CHARTS:
        series = [Series(words, [_finite(row.get(key)) for row in rows]) for key, words in names]
        drawn = line_chart(x, series, low=low, high=high, best=best, since=since)
        figures.append(_figure(title, drawn, note))
    strip = heat_strip([row.get("clusters") or [] for row in rows], x)
    figures.append(
        _figure(
            "Kinds of pictures",
            strip,
            "Each line is a kind of picture that the set has, each column a tick; stronger is more often made. Empty "
            "lines are kinds that are lost; a pattern that jumps from tick to tick is a generator that cycles.",
        )
    )
    return "".join(figures)


_CHARTS: tuple[tuple[str, tuple[tuple[str, str], ...], str, float | None, float | None], ...] = (
    (
        "Losses",
        (("loss_d", "discriminator"), ("loss_g", "generator"), ("loss_d_held_out", "discriminator, held-out images")),
        "Near balance, losses say little about quality. Watch the held-out curve: where it leaves the training one, "
        "the discriminator learns its pictures by heart.",
        None,
        None,
    ),
    (
        "Discriminator scores",
        (("d_real", "D(x), real"), ("d_fake", "D(G(z)), generated")),
        "What the discriminator thinks of real and of generated pictures: probabilities with the non-saturating loss, "
        "scores without a scale with the others. Near each other, it cannot tell them apart; far apart for long, it "
        "has won and the generator learns little. Neither is evidence of coverage: a generator that makes one picture "
        "over and over can have them both at a half.",
        None,
        None,
    ),
    (
        "Diversity and coverage",
        (("diversity", "diversity"), ("coverage", "coverage"), ("raw_diversity", "diversity, raw network")),
        "1 is what the real pictures show. Coverage is the share of the set's kinds that are made. Both falling is a "
        "collapse on its way.",
        0.0,
        None,
    ),
    (
        "Doubles and copies",
        (("near_duplicates", "near-duplicates"), ("copies", "copies of training images")),
        "Shares of the pictures that resemble another one, or a training image, too closely.",
        0.0,
        1.0,
    ),
    (
        "Modes",
        (("modes", "modes reached"),),
        "How many of the known modes have at least one point within three standard deviations.",
        0.0,
        None,
    ),
    (
        "High quality and evenness",
        (("high_quality", "high quality"), ("reverse_kl", "reverse KL")),
        "The share of points near a mode (.989 is perfect), and how unevenly the modes are filled (0 is even).",
        0.0,
        None,
    ),
    (
        "Distance to the real pictures",
        (("kid", "kernel distance, random features"),),
        "Lower is nearer; it has no bias at small numbers, and can fall below 0 by chance.",
        None,
        None,
    ),
    (
        "Training and held-out images",
        (("d_gap", "gap"), ("d_sign", "sign on training images")),
        "The gap is how far held-out pictures are taken for fakes: 0 not at all, 1 entirely. A sign near 1 is a "
        "discriminator that is sure of every training picture.",
        None,
        None,
    ),
    (
        "Gradients",
        (("grad_norm_d", "discriminator"), ("grad_norm_g", "generator")),
        "Norms; jumps announce trouble.",
        0.0,
        None,
    ),
)


def _figure(title: str, drawn: str, note: str) -> str:
    if not drawn:
        return ""
    return f"<figure><h3>{escape_html(title)}</h3>{drawn}<figcaption>{escape_html(note)}</figcaption></figure>"


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _kimg_of(rows: Sequence[Mapping[str, Any]], tick: object) -> float | None:
    return next((float(row["kimg"]) for row in rows if row.get("tick") == tick and tick is not None), None)
