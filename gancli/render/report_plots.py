"""plots/*.png: the curves of a run as pictures that a student can paste into a report."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gancli.files import atomic_file, make_folder

__all__ = ["draw_plots"]

_PLOTS: tuple[tuple[str, str, str, tuple[tuple[str, str], ...]], ...] = (
    (
        "losses",
        "Losses",
        "loss",
        (("loss_d", "discriminator"), ("loss_g", "generator"), ("loss_d_held_out", "discriminator, held-out")),
    ),
    (
        "scores",
        "Discriminator scores: what it thinks, no evidence of coverage",
        "mean output",
        (("d_real", "D(x), real"), ("d_fake", "D(G(z)), generated")),
    ),
    (
        "diversity",
        "Diversity and coverage on fresh latents",
        "share of the reals'",
        (("diversity", "diversity"), ("coverage", "coverage")),
    ),
    ("modes", "Known modes", "modes", (("modes", "modes reached"),)),
    (
        "copies",
        "Doubles and copies",
        "share of the pictures",
        (("near_duplicates", "near-duplicates"), ("copies", "copies of training images")),
    ),
)


def draw_plots(rows: Sequence[Mapping[str, Any]], folder: Path, *, best_tick: int | None = None) -> list[Path]:
    """Draws losses.png, scores.png, diversity.png … for what the rows of log.jsonl hold; returns their paths.

    The x axis is kimg; the best tick is marked. A plot without any number is not drawn.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    best = next((row["kimg"] for row in rows if best_tick is not None and row.get("tick") == best_tick), None)
    make_folder(folder)
    made = []
    for name, title, y_name, columns in _PLOTS:
        curves = [(words, [_finite(row.get(key)) for row in rows]) for key, words in columns]
        curves = [(words, values) for words, values in curves if not all(math.isnan(v) for v in values)]
        if not curves:
            continue
        figure = Figure(figsize=(7, 4), dpi=130, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        x = [row["kimg"] for row in rows]
        for (words, values), style in zip(curves, ("-", "--", ":"), strict=False):
            axes.plot(x, values, style, label=words, linewidth=1.8, marker="o" if len(x) < 3 else None)
        if best is not None:
            axes.axvline(best, color="0.4", linewidth=1, linestyle="-.", label=f"best (tick {best_tick})")
        axes.set(title=title, xlabel="kimg", ylabel=y_name)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
        picture = io.BytesIO()
        figure.savefig(picture, format="png")
        target = folder / f"{name}.png"
        with atomic_file(target) as file:
            file.write(picture.getvalue())
        made.append(target)
    return made


def _finite(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return math.nan
