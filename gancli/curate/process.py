"""From folders of pictures to a training set: read, compare, choose, write. Yields what it finds."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, MutableMapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from gancli.curate.decisions import decide_by_number, journal_of, read_decisions
from gancli.curate.facts import Facts, InspectSetup, inspect
from gancli.curate.findings import Done, Finding, Note, Planned, Read, Searched, Written
from gancli.curate.options import CurateOptions
from gancli.curate.packages import write_package
from gancli.curate.rendering import RenderSetup, near_px, render
from gancli.curate.selection import Selection, select
from gancli.curate.sheet import Sheets
from gancli.curate.sources import Source, collect_sources
from gancli.curate.spool import Spool
from gancli.curate.summary import advise
from gancli.curate.training_set import RENDER_VERSION, TrainingSet, choose_folder, relative_inputs
from gancli.errors import DataError
from gancli.manifest import write_credits
from gancli.pool import Failure, Pool
from gancli.text import clean, plural, slug

__all__ = ["TIME_LIMIT_S", "curate", "default_folder"]

TIME_LIMIT_S = 60.0


def curate(
    *inputs: Path | str,
    out: Path | str | None = None,
    options: CurateOptions | None = None,
    workers: int | None = None,
    dry_run: bool = False,
    time_limit_s: float = TIME_LIMIT_S,
    known: MutableMapping[str, Facts] | None = None,
    reject: Sequence[int] = (),
    flip: Sequence[int] = (),
) -> Iterator[Finding]:
    """Makes, or brings up to date, a training set of the pictures in `inputs`, and yields findings until `Done`.

    `out` is its folder (default: beside the first input). `workers` processes read and write (default: one a CPU; 0:
    this one, for files that are trusted); a file that takes more than `time_limit_s` seconds is left out. The same
    inputs give the same bytes for any number of workers. Originals are never touched; with `dry_run` nothing is
    written. Facts about files are taken from `known` and added to it: a second run in the same process reads none
    again. `reject` and `flip` are numbers on the contact sheet of the set as it is. Raises `GanError`s.
    """
    options = options or CurateOptions()
    folders = _distinct(inputs)
    wanted = Path(out) if out is not None else None
    target = choose_folder(wanted, default_folder(folders, options), folders, options)
    sources, notes = collect_sources(folders)
    yield Planned(num_files=len(sources), out=target.folder, is_update=target.exists)
    for note in notes:
        yield Note(text=note)
    decide_by_number(target, sources, reject, {"decision": "reject"})
    decide_by_number(target, sources, flip, {"flip": True})
    with Pool(os.cpu_count() or 1 if workers is None else workers, time_limit_s) as pool:
        found: list[Facts | Failure] = [Failure("not read")] * len(sources)
        yield from _read(pool, sources, options, found, {} if known is None else known)
        decisions, warnings = _decisions(sources, found, target.folder)
        for note in warnings:
            yield Note(text=note)
        selection = select(sources, found, decisions, options)
        _check_not_empty(selection)
        if dry_run:
            yield Searched(num_kept=len(selection.items), num_to_write=0)
            yield _done(target.folder, sources, selection, options)
            return
        with target.alone():
            yield from _write(pool, target, folders, selection, options)
    yield _done(target.folder, sources, selection, options)


def default_folder(inputs: Sequence[Path], options: CurateOptions) -> Path:
    """Beside the first input: 'snowy-mountains-160'."""
    width, height = options.size
    size = f"{width}" if width == height else f"{width}x{height}"
    places = [path.resolve() for path in inputs]
    stem = "-".join(place.name for place in places) if len(places) > 1 else places[0].name
    return _shown_parent(inputs[0]) / f"{slug(stem, 80)}-{size}"


def _shown_parent(path: Path) -> Path:
    """The parent as the person would write it."""
    return path.parent if path.name not in ("", "..") else path.resolve().parent


def _distinct(inputs: Sequence[Path | str]) -> list[Path]:
    if not inputs:
        raise DataError("No folder to curate was named. Run 'gan scrape \"…\"' first, or name a folder of images.")
    return list({Path(path).resolve(): Path(path) for path in reversed(inputs)}.values())[::-1]


def _inspect_setup(options: CurateOptions) -> InspectSetup:
    exact = options.threshold == 0
    near = None if exact else max(64, near_px(options.size))
    return InspectSetup(near_px=near, background=options.background, trim=options.trim, exact=exact)


def _read(
    pool: Pool,
    sources: Sequence[Source],
    options: CurateOptions,
    found: list[Facts | Failure],
    known: MutableMapping[str, Facts],
) -> Iterator[Finding]:
    """Fills `found`."""
    unread = [index for index, source in enumerate(sources) if str(source.path) not in known]
    for index, source in enumerate(sources):
        if str(source.path) in known:
            found[index] = known[str(source.path)]
    paths = [str(sources[index].path) for index in unread]
    spool = Spool()
    for place, result in pool.run(inspect, _inspect_setup(options), paths):
        if isinstance(result, Facts):
            result = known[paths[place]] = replace(result, look=spool.keep(result.look))
        found[unread[place]] = result
        yield _as_read(sources[unread[place]], result)


def _as_read(source: Source, result: Facts | Failure) -> Read:
    if isinstance(result, Failure):
        return Read(source=source.name, reason=result.reason)
    return Read(source=source.name, flags=result.flags)


def _decisions(
    sources: Sequence[Source], found: Sequence[Facts | Failure], out: Path
) -> tuple[dict[str, Any], list[str]]:
    roots = dict.fromkeys(source.root for source in sources)
    journals = list(dict.fromkeys(journal_of(root, out) for root in roots))
    decisions, broken = read_decisions(journals)
    here = {fact.sha256 for fact in found if isinstance(fact, Facts)}
    strange = sum(sha256 not in here for sha256 in decisions)
    notes = []
    if broken:
        notes.append(f"skipped {plural(broken, 'broken line')} in review.jsonl")
    if strange:
        notes.append(f"ignored {plural(strange, 'decision')} in review.jsonl about pictures that are not here")
    return decisions, notes


def _check_not_empty(selection: Selection) -> None:
    if selection.items:
        return
    reasons = ", ".join(f"{count} {reason}" for reason, count in _reasons(selection.rows).items())
    raise DataError(
        f"None of the {plural(len(selection.rows), 'file')} can be used: {reasons}. "
        "Point at another folder, or drop and reject less."
    )


def _write(
    pool: Pool, target: TrainingSet, folders: Sequence[Path], selection: Selection, options: CurateOptions
) -> Iterator[Finding]:
    target.check_foreign()
    wanted = {item.file for item in selection.items}
    present = _present(target, selection)
    gone = {name for name in target.owned() if name.startswith("images/") and name not in wanted}
    yield Searched(num_kept=len(wanted), num_to_write=len(wanted - present))
    names = relative_inputs(folders, target.folder)
    target.begin(names, options, wanted - present, gone)
    files = target.files()
    if wanted - present or gone or target.differs(selection.rows) or not target.has(files):
        sheets = Sheets(target.folder, [item.number for item in selection.items if item.number is not None])
        yield from _render(pool, target.folder, selection, present, sheets, options)
        classes = sorted({row["label"] for row in selection.rows if row["status"] == "ok" and row["label"] is not None})
        stale = gone | set(files)
        files = sheets.names + write_package(options.format, target.folder, selection.rows, classes)
        target.remove(stale - set(files))
        write_credits(target.folder, [row for row in selection.rows if not row["mirrored"] or row["status"] != "ok"])
    target.finish(selection.rows, _dataset(selection.rows), _curation(names, selection, options, files))
    if options.format == "zip" and (options.size[0] != options.size[1] or options.size[0].bit_count() != 1):
        yield Note(text="StyleGAN trains on squares whose side is a power of two, e.g. --size 128 or 256")


def _present(target: TrainingSet, selection: Selection) -> set[str]:
    """The files of the set that are as they should be already."""
    if (target.curation or {}).get("render_version") != RENDER_VERSION or target.pending is not None:
        return set()
    if (target.curation or {}).get("channels") != selection.channels:
        return set()
    key = ("sha256", "crop", "flipped", "mirrored")
    before = {row.get("file"): [row.get(name) for name in key] for row in target.rows if row.get("status") == "ok"}
    rows = [row for row in selection.rows if row["status"] == "ok"]
    return {
        row["file"]
        for row in rows
        if before.get(row["file"]) == [row[name] for name in key] and (target.folder / row["file"]).is_file()
    }


def _render(
    pool: Pool, folder: Path, selection: Selection, present: Set[str], sheets: Sheets, options: CurateOptions
) -> Iterator[Finding]:
    """Writes what is not `present`, and lays every picture on its sheet."""
    setup = RenderSetup(
        size=options.size,
        fit=options.fit,
        background=options.background,
        trim=options.trim,
        channels=selection.channels,
        exact=options.threshold == 0,
        folder=str(folder),
        tile_px=sheets.side,
    )
    sources = {row["file"]: row["source"] for row in selection.rows if row["status"] == "ok"}
    items = [
        replace(item, ready=item.file in present)
        for item in selection.items
        if item.number is not None or item.file not in present
    ]
    for index, result in pool.run(render, setup, items):
        item = items[index]
        if isinstance(result, Failure):
            raise DataError(
                f"'{clean(sources[item.file], 200)}' could be read a moment ago and now cannot: {result.reason}. "
                "Run the command again."
            )
        if item.number is not None:
            sheets.add(item.number, result)
        if not item.ready:
            yield Written(file=item.file, source=sources[item.file])


def _dataset(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """dataset.json in StyleGAN's layout: [file, class number] pairs, or null when there are no classes."""
    kept = [row for row in rows if row["status"] == "ok"]
    names = sorted({row["label"] for row in kept if row["label"] is not None})
    if not names:
        return {"labels": None}
    number = {name: index for index, name in enumerate(names)}
    return {"labels": [[row["file"], number[row["label"]]] for row in kept], "label_names": names}


def _curation(
    inputs: Sequence[str], selection: Selection, options: CurateOptions, files: Sequence[str]
) -> dict[str, Any]:
    return {
        "format_version": 1,
        "render_version": RENDER_VERSION,
        "inputs": list(inputs),
        "parameters": options.as_json(),
        "channels": selection.channels,
        "counts": _counts(selection.rows),
        "left_out": _reasons(selection.rows),
        "flags": _flags(selection.rows),
        "summary": selection.figures,
        "files": list(files),
    }


def _counts(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    kept = [row for row in rows if row["status"] == "ok"]
    originals = [row for row in rows if row["status"] != "ok" or not row["mirrored"]]
    return {
        "files": len(originals),
        "kept": sum(not row["mirrored"] for row in kept),
        "written": len(kept),
        "duplicates": sum(row["status"] == "dup" for row in rows),
        "held_out": sum(row["split"] == "held-out" for row in kept),
    }


def _reasons(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    counted = Counter(row["reason"] for row in rows if row["status"] != "ok")
    return dict(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])))


def _flags(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    counted = Counter(flag for row in rows if row["status"] == "ok" and not row["mirrored"] for flag in row["flags"])
    return dict(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])))


def _done(folder: Path, sources: Sequence[Source], selection: Selection, options: CurateOptions) -> Done:
    rows = selection.rows
    counts = _counts(rows)
    labels = [row["label"] for row in rows if row["status"] == "ok" and row["label"] is not None]
    return Done(
        path=folder,
        rows=rows,
        reasons=_reasons(rows),
        flags=_flags(rows),
        counts=counts,
        files=[source.path for source in sources],
        lookalikes=selection.lookalikes,
        figures=selection.figures,
        advice=advise(selection.figures, counts, options.size, labels),
    )
