"""One page about a run that opens anywhere, offline: the verdict first, then what it rests on."""

from __future__ import annotations

import base64
import html
import json
import math
import shlex
from dataclasses import dataclass
from pathlib import Path

from gancli.files import write_text
from gancli.render.report_curves import draw_curves
from gancli.render.report_page import page, section, table
from gancli.render.report_pictures import HOW_TO_READ, draw_grids
from gancli.render.report_record import RunRecord, read_run, table_of
from gancli.text import clean, escape_html, plural

__all__ = ["PairPicture", "RunRecord", "build_report", "read_run", "write_report"]

_MAX_SOURCES = 400
_GOOD, _WAITING = ("healthy",), ("starved",)


@dataclass(frozen=True, kw_only=True)
class PairPicture:
    """A drawn sheet of fakes beside their nearest training images, as PNG, and a sentence about it."""

    png: bytes
    words: str


def write_report(record: RunRecord, pairs: PairPicture | None = None, *, target: Path | None = None) -> Path:
    """Writes `report.html` into the run, or to `target`; returns its path."""
    target = record.path / "report.html" if target is None else target
    write_text(target, build_report(record, pairs))
    return target


def build_report(record: RunRecord, pairs: PairPicture | None = None) -> str:
    """The page as text, under 10 MB whatever the run's length."""
    title = f"{record.path.resolve().name}: {record.verdict.get('verdict', 'no verdict yet')}"
    parts = [
        _header(record),
        _verdict(record),
        section("Pictures over time", draw_grids(record), HOW_TO_READ, "pictures"),
        section("Curves", _curves(record), "", "curves"),
        section("Nearest training images", _pairs(pairs), pairs.words if pairs else "", "pairs"),
        section("Repeat it", _repeat(record), "", "repeat"),
        section("Sources and licences", _licences(record), _READ_SOURCES, "sources"),
    ]
    return page(title, "".join(parts))


# ---- sections ---------------------------------------------------------------------------------------------------


def _header(record: RunRecord) -> str:
    config = table_of(record.config, "config")
    last = record.rows[-1] if record.rows else {}
    facts = [
        str(config.get("recipe", "")),
        "x".join(str(n) for n in config.get("size", [])) + " px" if config.get("channels", 2) != 2 else "2-D points",
        f"{config.get('num_images', '?')} images",
        f"{last.get('kimg', 0):g} kimg" if last else "no tick yet",
        f"{_number(last.get('seconds')) / 60:.0f} min" if last else "",
    ]
    return (
        f"<header><div><h1>{escape_html(record.path.resolve().name)}</h1>"
        f'<p class="sub">{escape_html(" · ".join(f for f in facts if f))}</p></div>'
        '<button id="theme" type="button">Light or dark</button></header>'
    )


def _verdict(record: RunRecord) -> str:
    verdict = record.verdict
    name = str(verdict.get("verdict", "no verdict yet"))
    kind = "good" if name in _GOOD else "wait" if name in _WAITING or not verdict else "bad"
    when = []
    if isinstance(verdict.get("since_tick"), int) and kind == "bad":
        when.append(f"since tick {verdict['since_tick']}")
    if isinstance(verdict.get("best_tick"), int):
        when.append(f"the best pictures are those of tick {verdict['best_tick']} (best.pt)")
    advice = verdict.get("advice")
    tips = "".join(f"<li>{escape_html(tip)}</li>" for tip in advice) if isinstance(advice, list) else ""
    evidence = verdict.get("evidence", "This run has not reached its first tick.")
    return (
        f'<div class="verdict {kind}" id="verdict"><strong>{escape_html(name)}</strong>'
        f'<span class="sub">{escape_html("; ".join(when))}</span><p>{escape_html(evidence)}</p>'
        + (f"<p>What to try:</p><ul>{tips}</ul>" if tips else "")
        + "</div>"
    )


_READ_SOURCES = "What the generator learned from. Pictures keep their own licences; check them before you publish."


def _curves(record: RunRecord) -> str:
    if not record.rows:
        return ""
    return f'<div class="charts">{draw_curves(record.rows, record.verdict)}</div>'


def _pairs(pairs: PairPicture | None) -> str:
    if pairs is None:
        return ""
    source = base64.b64encode(pairs.png).decode()
    return (
        f'<figure><img alt="generated pictures beside training images" src="data:image/png;base64,{source}"></figure>'
    )


def _repeat(record: RunRecord) -> str:
    command = record.config.get("command")
    line = ""
    if isinstance(command, list) and command:
        words = ["gan", *(str(word) for word in command[1:])]
        line = f"<pre>{html.escape(clean(shlex.join(words), 20_000))}</pre>"
    config = table_of(record.config, "config")
    rows = [
        (name, json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value)
        for name, value in config.items()
    ]
    more = [
        (f"{part}: {name}", value)
        for part in ("engine", "versions", "machine")
        for name, value in table_of(record.config, part).items()
    ]
    more += [(name, record.config[name]) for name in ("commit", "time") if record.config.get(name)]
    return line + f"<details><summary>Every setting</summary>{table([*rows, *more])}</details>"


def _licences(record: RunRecord) -> str:
    licences = table_of(table_of(record.config, "data"), "licenses")
    counted = table([(name, plural(int(_number(n)), "image")) for name, n in licences.items()]) if licences else ""
    if not record.sources:
        return counted
    rows = [
        [
            s.get("title") or s.get("file") or "",
            s.get("creator") or "",
            s.get("license") or "unknown",
            s.get("page_url") or "",
        ]
        for s in record.sources[:_MAX_SOURCES]
    ]
    left = len(record.sources) - len(rows)
    more = f'<p class="note">… and {left:,} more, in the manifest of the set.</p>' if left > 0 else ""
    listed = table(rows, ("title", "by", "licence", "page"))
    return f"{counted}<details><summary>{plural(len(record.sources), 'picture')}</summary>{listed}{more}</details>"


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0
