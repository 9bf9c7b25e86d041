"""`gan curate`: image files to a clean training set."""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli.inputs import RAW_SET, input_path
from gancli.cli.options import JsonOption, OutOption, QuietOption, VerboseOption
from gancli.cli.output import Bar, Output
from gancli.errors import UsageError
from gancli.text import clean, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gancli.curate import CurateOptions, Done, Finding, Planned

__all__ = ["curate"]

_PICTURES = "Pictures"
_CHOICE = "Choice"
_REVIEW = "Review"

Inputs = Annotated[
    list[str] | None,
    typer.Argument(metavar="[DIR]...", help="Raw sets or folders of images. Default: the pipe, or the newest raw set."),
]
Size = Annotated[
    str, typer.Option("--size", metavar="N|WxH", help="Pixels of every picture, e.g. 64.", rich_help_panel=_PICTURES)
]
Fit = Annotated[
    str,
    typer.Option(
        "--fit",
        help="crop, pad, stretch, or smart: a crop that follows what is to be seen.",
        metavar="HOW",
        rich_help_panel=_PICTURES,
    ),
]
Mirror = Annotated[
    bool,
    typer.Option("--mirror/--no-mirror", help="Write a mirrored copy of each picture too.", rich_help_panel=_PICTURES),
]
Trim = Annotated[bool, typer.Option("--trim", help="Cut off borders of one colour first.", rich_help_panel=_PICTURES)]
Background = Annotated[
    str,
    typer.Option(
        "--background",
        metavar="COLOUR",
        help="Behind transparency: white, black, #rrggbb, or keep it.",
        rich_help_panel=_PICTURES,
    ),
]
Threshold = Annotated[
    int,
    typer.Option(
        "--threshold",
        help="Hash distance (bits) up to which a copy is removed; 0: identical pixels.",
        rich_help_panel=_CHOICE,
    ),
]
MinSide = Annotated[
    int, typer.Option("--min-side", help="Leave out pictures with a shorter side.", rich_help_panel=_CHOICE)
]
Drop = Annotated[
    list[str] | None,
    typer.Option(
        "--drop",
        metavar="FLAG",
        help="Leave out pictures with this flag, e.g. blurry. May be repeated.",
        rich_help_panel=_CHOICE,
    ),
]
HeldOut = Annotated[
    float,
    typer.Option(
        "--held-out", help="Share set apart to notice overfitting (from 100 pictures on).", rich_help_panel=_CHOICE
    ),
]
Reject = Annotated[
    str | None,
    typer.Option(
        "--reject",
        metavar="NUMBERS",
        help="Leave these out: numbers on the contact sheet, e.g. 3,17,20-25.",
        rich_help_panel=_CHOICE,
    ),
]
FlipImages = Annotated[
    str | None,
    typer.Option(
        "--flip-images",
        metavar="NUMBERS",
        help="Turn these left to right: numbers on the contact sheet.",
        rich_help_panel=_CHOICE,
    ),
]
ReviewOption = Annotated[
    bool, typer.Option("--review", help="Look through the pictures on a local page.", rich_help_panel=_REVIEW)
]
Port = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="Port of the page. 0: a free one.", rich_help_panel=_REVIEW)
]
NoBrowser = Annotated[
    bool, typer.Option("--no-browser", help="Print the page's address only.", rich_help_panel=_REVIEW)
]
FormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        help="folder, zip (StyleGAN's layout), webdataset or hf (imagefolder).",
        rich_help_panel="Output",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be kept and why, write nothing.", rich_help_panel="Output")
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Processes. Default: one a CPU.", rich_help_panel="Machine")
]


def curate(
    inputs: Inputs = None,
    size: Size = "160",
    fit: Fit = "crop",
    mirror: Mirror = False,
    trim: Trim = False,
    background: Background = "white",
    threshold: Threshold = 6,
    min_side: MinSide = 0,
    drop: Drop = None,
    held_out: HeldOut = 0.05,
    reject: Reject = None,
    flip_images: FlipImages = None,
    review: ReviewOption = False,
    port: Port = 0,
    no_browser: NoBrowser = False,
    format: FormatOption = "folder",
    dry_run: DryRun = False,
    workers: Workers = None,
    out: OutOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    json: JsonOption = False,
) -> None:
    """Make a clean training set: duplicates out, every picture upright, sRGB and of one size.

    Originals are never touched. The same command again brings the set up to date.
    """
    output = Output(json=json, quiet=quiet, verbose=verbose)
    if review:
        from gancli.web import require_web

        require_web("The review page")
    if review and dry_run:
        raise UsageError("--review decides and --dry-run writes nothing; give one of them.")
    folders = inputs if inputs and inputs != ["-"] else [_one_input(inputs, output)]
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy comes: the processors are the workers'
    from gancli.curate import CurateOptions
    from gancli.curate import curate as make_set
    from gancli.curate.facts import Facts
    from gancli.curate.options import parse_numbers, parse_size

    options = CurateOptions(
        size=parse_size(size),
        fit=fit,
        mirror=mirror,
        threshold=threshold,
        min_side=min_side,
        drop=tuple(drop or ()),
        trim=trim,
        background=background,
        held_out=held_out,
        format=format,
    )
    known: dict[str, Facts] = {}
    run = functools.partial(make_set, *folders, options=options, workers=workers, dry_run=dry_run, known=known)
    rejected, turned = parse_numbers("--reject", reject), parse_numbers("--flip-images", flip_images)
    done = _follow(run(out=out, reject=rejected, flip=turned), options, output)
    _report(done, options, output)
    if review:
        _review(done, folders, options, output, port, no_browser)
        done = _follow(run(out=done.path), options, output)
        _report(done, options, output)
    if dry_run:
        for row in done.rows:
            output.answer(row)
    else:
        output.artefact(done.path, **done.counts, left_out=done.reasons, flags=done.flags, **done.figures)


def _review(
    done: Done, folders: list[str], options: CurateOptions, output: Output, port: int, no_browser: bool
) -> None:
    """Serves the page until the person finishes; Ctrl-C ends it as well, and what was decided is on the disk."""
    from gancli.curate.review import open_review

    server = open_review(done, folders, options, port)
    output.note("")
    output.note(f"Review: {server.url}")
    output.note(f"From another computer: ssh -L {server.port}:127.0.0.1:{server.port} this-one, then the same address.")
    output.note("Every decision is on the disk at once; Finish on the page (or Ctrl-C here) ends it.")
    if not no_browser:
        import webbrowser

        webbrowser.open(server.url)
    try:
        server.serve()
    except KeyboardInterrupt:
        output.artefact(done.path, **done.counts)
        raise
    finally:
        server.close()


def _one_input(inputs: list[str] | None, output: Output) -> str:
    found = input_path(inputs[0] if inputs else None, RAW_SET, output)
    assert found is not None
    return found


def _follow(findings: Iterator[Finding], options: CurateOptions, output: Output) -> Done:
    """Draws a bar for the reading and one for the writing; returns the end."""
    from gancli.curate import Done, Note, Planned, Read, Searched, Written

    bars = _Bars(output)
    try:
        for finding in findings:
            if isinstance(finding, Planned):
                _plan(finding, options, output)
                bars.start(finding.num_files, "reading")
            elif isinstance(finding, Read):
                bars.advance()
                if finding.reason:
                    output.detail(f"{clean(finding.source, 200)}: {finding.reason}")
            elif isinstance(finding, Searched):
                bars.start(finding.num_to_write, "writing")
            elif isinstance(finding, Written):
                bars.advance()
            elif isinstance(finding, Note):
                output.warn(finding.text)
            elif isinstance(finding, Done):
                return finding
    finally:
        bars.stop()
    raise AssertionError("curate ended without its last finding")


def _plan(planned: Planned, options: CurateOptions, output: Output) -> None:
    width, height = options.size
    doing = "Bringing up to date" if planned.is_update else "Making"
    output.note(
        f"{doing} {clean(str(planned.out), 200)}: {plural(planned.num_files, 'file')} to "
        f"{width}x{height} px ({options.fit}), copies within {options.threshold} bits out"
    )


class _Bars:
    """One bar at a time."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._context: object = None
        self._bar: Bar | None = None

    def start(self, total: int, what: str) -> None:
        self.stop()
        if total:
            context = self._output.progress(total, what)
            self._bar, self._context = context.__enter__(), context

    def advance(self) -> None:
        if self._bar is not None:
            self._bar.advance()

    def stop(self) -> None:
        context, self._context, self._bar = self._context, None, None
        if context is not None:
            context.__exit__(*sys.exc_info())  # type: ignore[attr-defined]


def _report(done: Done, options: CurateOptions, output: Output) -> None:
    rows = [("kept", done.counts["kept"]), *done.reasons.items()]
    output.table(f"{plural(done.counts['files'], 'file')}", ("why", "files"), rows)
    if done.flags:
        output.table(
            "Flags on what was kept (left out only with --drop)", ("flag", "pictures"), list(done.flags.items())
        )
    if done.lookalikes:
        pairs = plural(len(done.lookalikes), "pair")
        output.note(f"{pairs} of pictures may be copies and both stayed: --review shows them side by side.")
    for line in done.advice:
        output.note(line)
    if not options.mirror:
        output.note("Mirrored copies are not written: gan train flips as it goes; --mirror writes them.")
