"""The sample grids of the report: some ticks, encoded small enough, under one slider."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from gancli.errors import DataError
from gancli.images import read_image
from gancli.render.report_record import RunRecord
from gancli.text import escape_html

__all__ = ["HOW_TO_READ", "draw_grids"]

_BUDGET = 6_000_000  # bytes of encoded pictures; a third more as base64
_MAX_TICKS = 40
_MAX_SIDE = 900

HOW_TO_READ = (
    "Fixed latents are the same at every tick: how one picture grows. Fresh latents are new at every tick: look among "
    "those for pictures that repeat, for they show a collapse that the fixed ones hide."
)


def draw_grids(record: RunRecord) -> str:
    """The grids with their slider, as HTML."""
    if not record.samples:
        return "<p>This run has no sample grids.</p>"
    ticks = {row.get("nimg"): row.get("tick") for row in record.rows}
    best = next((n for n, tick in ticks.items() if tick == record.verdict.get("best_tick")), None)
    chosen = _choose(list(record.samples), best)
    encoded = _encode_all(record, chosen, best)
    frames = []
    for index, nimg in enumerate(encoded):
        tick = ticks.get(nimg)
        when = f"{'start' if nimg == 0 else f'tick {tick}' if tick is not None else ''} · {nimg / 1000:g} kimg".strip(
            " ·"
        )
        when += " · best" if nimg == best else ""
        figures = "".join(_figure(name, nimg, *found) for name, found in encoded[nimg].items())
        hidden = "" if index == len(encoded) - 1 else " hidden"
        data = f'data-frame="{index}" data-when="{escape_html(when)}"'
        frames.append(f'<div class="grids" {data}{hidden}>{figures}</div>')
    end = len(encoded) - 1
    slider = (
        '<div class="slide"><label for="tick">Tick</label>'
        f'<input id="tick" type="range" min="0" max="{end}" value="{end}" step="1">'
        '<output id="when" for="tick"></output></div>'
    )
    return (slider if end > 0 else "") + "".join(frames)


def _figure(name: str, nimg: int, source: str, small: bool) -> str:
    kind = "small" if small else ""
    image = f'<img class="{kind}" alt="{name} latents at {nimg / 1000:g} kimg" src="{source}">'
    return f"<figure>{image}<figcaption>{_SIDES[name]}</figcaption></figure>"


_SIDES = {"fixed": "fixed latents", "fresh": "fresh latents"}


def _choose(positions: list[int], best: int | None) -> list[int]:
    """At most 40 of the positions, evenly spaced, with the first, the last and the best."""
    if len(positions) <= _MAX_TICKS:
        return positions
    step = (len(positions) - 1) / (_MAX_TICKS - 2)
    kept = {positions[round(i * step)] for i in range(_MAX_TICKS - 1)}
    return sorted(kept | ({best} if best in positions else set()))


def _encode_all(record: RunRecord, chosen: list[int], best: int | None) -> dict[int, dict[str, tuple[str, bool]]]:
    """Every grid as a data address, and whether it is drawn small; every second tick is left out until all fit."""
    cache: dict[Path, tuple[bytes, bool]] = {}
    while True:
        for nimg in chosen:
            for file in record.samples[nimg].values():
                if file not in cache:
                    cache[file] = _encode(file)
        files = [file for nimg in chosen for file in record.samples[nimg].values()]
        if sum(len(cache[file][0]) for file in files) <= _BUDGET or len(chosen) <= 3:
            break
        fewer = [n for i, n in enumerate(chosen) if i % 2 == 0 or n in (best, chosen[-1])]
        if len(fewer) == len(chosen):
            break
        chosen = fewer
    return {
        nimg: {
            name: (f"data:image/webp;base64,{base64.b64encode(cache[file][0]).decode()}", cache[file][1])
            for name, file in record.samples[nimg].items()
            if cache[file][0]
        }
        for nimg in chosen
    }


def _encode(file: Path) -> tuple[bytes, bool]:
    """A grid as WebP of at most 900 px, and whether it is so small that its pixels should stay square."""
    try:
        image = read_image(file)
    except DataError:
        return b"", False
    small = max(image.size) <= 400
    if max(image.size) > _MAX_SIDE:
        factor = _MAX_SIDE / max(image.size)
        image = image.resize(
            (max(1, round(image.width * factor)), max(1, round(image.height * factor))), Image.Resampling.LANCZOS
        )
    target = io.BytesIO()
    image.save(target, "WEBP", quality=82, method=2)
    return target.getvalue(), small
