"""gan scrape: from a query to a raw set."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli.options import OUTPUT_PANEL, JsonOption, QuietOption, VerboseOption
from gancli.cli.output import Output
from gancli.cli.scrape_show import show_end, show_forecast, show_health, show_plan, show_results
from gancli.errors import DiskError, UsageError
from gancli.text import plural

if TYPE_CHECKING:
    from gancli.scrape import Finished, ScrapeConfig

__all__ = ["scrape"]

_MAX_PIPED_BYTES = 100_000_000
_SEARCH = "What to look for"
_FILTER = "Which pictures"
_FETCH = "How to fetch"


def scrape(
    queries: Annotated[
        list[str] | None, typer.Argument(metavar="QUERY...", help="What to look for; each argument is one query.")
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            "-n",
            help="How many pictures in all, shared over the queries; of a list too. Default: 500.",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="NAME",
            help="Where to look (repeatable): auto (openverse, wikimedia), openverse, wikimedia, pixabay, flickr, "
            "demo, bing, duckduckgo. The last two state no licences, and their terms forbid automated access.",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option("--also", metavar="QUERY", help="A variant of the first query.", rich_help_panel=_SEARCH),
    ] = None,
    urls: Annotated[
        str | None,
        typer.Option(
            "--urls", metavar="FILE|-", help="A list of addresses instead of a search.", rich_help_panel=_SEARCH
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the demo's painter.", rich_help_panel=_SEARCH)] = 0,
    license_: Annotated[
        str | None,
        typer.Option(
            "--license",
            metavar="RULE",
            help="What each licence must allow: public, commercial, modify or any. Default: modify.",
            rich_help_panel=_FILTER,
        ),
    ] = None,
    min_side: Annotated[
        int, typer.Option("--min-side", help="Shortest side allowed, in pixels.", rich_help_panel=_FILTER)
    ] = 160,
    size: Annotated[
        str | None,
        typer.Option("--size", help="small, medium, large or wallpaper, where the site can.", rich_help_panel=_FILTER),
    ] = None,
    colour: Annotated[
        str | None, typer.Option("--colour", "--color", help="E.g. red, where the site can.", rich_help_panel=_FILTER)
    ] = None,
    type_: Annotated[
        str | None, typer.Option("--type", help="E.g. photo, where the site can.", rich_help_panel=_FILTER)
    ] = None,
    safe: Annotated[str, typer.Option("--safe", help="off, moderate or strict.", rich_help_panel=_FILTER)] = "moderate",
    watermark_hosts: Annotated[
        bool,
        typer.Option(
            "--watermark-hosts", help="Also from agencies that print over their previews.", rich_help_panel=_FILTER
        ),
    ] = False,
    ignore_optout: Annotated[
        bool,
        typer.Option("--ignore-optout", help="Also what sites ask not to collect.", rich_help_panel=_FILTER),
    ] = False,
    workers: Annotated[int, typer.Option("--workers", help="Downloads at a time.", rich_help_panel=_FETCH)] = 16,
    per_host: Annotated[
        int, typer.Option("--per-host", help="Downloads at a time from one host.", rich_help_panel=_FETCH)
    ] = 2,
    gap: Annotated[
        float, typer.Option("--gap", help="Seconds between requests to one host.", rich_help_panel=_FETCH)
    ] = 0.5,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds a file may take.", rich_help_panel=_FETCH)] = 60,
    max_mb: Annotated[float, typer.Option("--max-mb", help="Largest file, in MB.", rich_help_panel=_FETCH)] = 30,
    allow_private: Annotated[
        bool,
        typer.Option("--allow-private", help="Also loopback and private networks, any port.", rich_help_panel=_FETCH),
    ] = False,
    endpoint: Annotated[
        list[str] | None,
        typer.Option(
            "--endpoint",
            metavar="NAME=URL",
            help="Ask another host for a provider (repeatable).",
            rich_help_panel=_FETCH,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The raw set. Default: named after the query.", rich_help_panel=OUTPUT_PANEL),
    ] = None,
    label_by_query: Annotated[
        bool, typer.Option("--label-by-query", help="Each query is a class.", rich_help_panel=OUTPUT_PANEL)
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 3 when fewer are found than asked.", rich_help_panel=OUTPUT_PANEL)
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print what was found as JSON lines; fetch nothing.", rich_help_panel=OUTPUT_PANEL
        ),
    ] = False,
    doctor: Annotated[
        bool, typer.Option("--doctor", help="Ask each provider once and say how it is.", rich_help_panel=OUTPUT_PANEL)
    ] = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    json: JsonOption = False,
) -> None:
    """Collect pictures for a training set: found by a query, with licence and origin of each written down.

    Makes a raw set (a folder with images/, manifest.jsonl and CREDITS.md). The same command again tops it up.
    """
    output = Output(json=json, quiet=quiet, verbose=verbose)
    from gancli.scrape import ScrapeConfig

    lines = _piped_lines(urls)
    config = ScrapeConfig(
        queries=tuple(queries or ()) or (("landscape",) if doctor else ()),
        out=out,
        count=count,
        sources=tuple(sources or ("auto",)),
        license=license_,
        min_side_px=min_side,
        size=size,
        colour=colour,
        type=type_,
        also=tuple(also or ()),
        urls=Path(urls) if urls is not None and lines is None else None,
        url_lines=lines,
        safe=safe,
        label_by_query=label_by_query,
        endpoints=_endpoints(endpoint or []),
        timeout_s=timeout,
        max_mb=max_mb,
        per_host=per_host,
        gap_s=gap,
        workers=workers,
        ignore_optout=ignore_optout,
        allow_private=allow_private,
        watermark_hosts=watermark_hosts,
        seed=seed,
    )
    if doctor:
        show_health(config, output)
        return
    if dry_run:
        show_results(config, output)
        return
    finished = _fill(config, output)
    show_end(finished, output, strict=strict, is_list=config.has_list)


def _endpoints(given: list[str]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, url = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--endpoint '{text}' is not usable; give NAME=URL, e.g. wikimedia=http://127.0.0.1:8080.")
        found[name.strip()] = url.strip()
    return found


def _piped_lines(urls: str | None) -> tuple[str, ...] | None:
    """The lines of stdin or of a named pipe, which can be read once only; None for a file, which the core reads."""
    if urls is None or (urls != "-" and (Path(urls).is_file() or Path(urls).is_dir() or not Path(urls).exists())):
        return None
    if urls == "-" and sys.stdin is None:
        return ()
    lines: list[str] = []
    left = _MAX_PIPED_BYTES
    try:
        with open(urls, "rb") if urls != "-" else contextlib.nullcontext(sys.stdin.buffer) as pipe:
            while left >= 0 and (piece := pipe.readline(64_000)):
                lines.append(piece.decode("utf-8", "replace"))
                left -= len(piece)
    except OSError as error:
        raise DiskError.from_os(error, urls, "read") from error
    if left < 0:
        raise UsageError(f"The list has more than {_MAX_PIPED_BYTES / 1e6:.0f} MB; put it in a file: --urls FILE.")
    return tuple(lines)


def _fill(config: ScrapeConfig, output: Output) -> Finished:
    """Runs the scrape and shows how it goes; an interruption still prints where the set is."""
    from gancli.scrape import Finished, Forecast, Notice, Outcome, Started, scrape

    show_plan(config, output)
    finished: Finished | None = None
    folder: Path | None = None
    began = time.monotonic()
    stream = scrape(config)
    started = next(stream)
    assert isinstance(started, Started)
    folder = started.folder
    if started.kept:
        output.note(f"  {plural(started.kept, 'picture')} there already")
    left_out, said = 0, set[str]()
    try:
        with output.progress(max(0, started.asked - started.kept), "kept") as bar:
            for event in stream:
                if isinstance(event, Outcome):
                    left_out += event.status != "ok"
                    bar.advance(1 if event.status == "ok" else 0, f"{left_out} left out")
                    if event.status != "ok":
                        output.detail(f"{event.status}: {event.reason}: {event.result.url}")
                elif isinstance(event, Notice):
                    if event.kind in ("end", "empty"):
                        output.detail(f"{event.message} ({event.found} results)")
                    elif event.message not in said:  # of several queries once
                        said.add(event.message)
                        output.warn(event.message)
                elif isinstance(event, Forecast):
                    show_forecast(event, output)
                elif isinstance(event, Finished):
                    finished = event
    except KeyboardInterrupt:
        stream.close()  # type: ignore[attr-defined]
        output.error("interrupted; what was fetched so far is kept, and the same command goes on from there")
        output.artefact(folder, interrupted=True)
        raise typer.Exit(130) from None
    assert finished is not None
    seconds = time.monotonic() - began
    output.detail(f"{finished.requests} requests, {finished.bytes / 1e6:.1f} MB, {seconds:.1f} s")
    return finished
