"""The one sink: the artefact or the answer to stdout, everything else to stderr.

Text from outside never passes through rich markup, and a stream that is no terminal gets plain lines
without control codes.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from gancli.text import clean, one_line

__all__ = ["Bar", "Output"]


class Bar(Protocol):
    """A progress bar: `advance` as work is done, `note` for a few words beside it."""

    def advance(self, count: float = 1, note: str = "") -> None: ...


class Output:
    """Where a command speaks. `quiet` keeps stderr to errors, `json` makes the artefact one JSON object."""

    def __init__(self, *, json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.json = json
        self.quiet = quiet
        self.verbose = verbose

    # ---- stdout -------------------------------------------------------------------------------------------------

    def artefact(self, path: Path | str, **figures: Any) -> None:
        """The path of what was made: one line, or with --json one object with `path` and the figures."""
        name = str(path)
        if self.json or "\n" in name or "\r" in name:
            self._write(json.dumps({"path": name, **figures}, ensure_ascii=True))
        else:
            self._write(name)

    def answer(self, value: Any) -> None:
        """An answer: text as it is, anything else as one JSON line."""
        self._write(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))

    def _write(self, line: str) -> None:
        if sys.stdout is None:  # the shell closed it: >&-
            return
        data = line.encode("utf-8", "surrogateescape") + b"\n"
        sys.stdout.flush()
        buffer = getattr(sys.stdout, "buffer", None)
        if buffer is None:
            sys.stdout.write(data.decode("utf-8", "replace"))
        else:
            buffer.write(data)
        sys.stdout.flush()

    # ---- stderr -------------------------------------------------------------------------------------------------

    def note(self, text: str = "") -> None:
        """A line of the plan, of progress, a hint; nothing with --quiet."""
        if not self.quiet:
            self._say(text)

    def detail(self, text: str) -> None:
        """A line only for --verbose."""
        if self.verbose and not self.quiet:
            self._say(text)

    def warn(self, text: str) -> None:
        """Something the person should know; nothing with --quiet."""
        if not self.quiet:
            self._say(f"warning: {text}", style="yellow")

    def error(self, text: str) -> None:
        """Why the command failed; shown even with --quiet."""
        self._say(f"error: {text}", style="red")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A small aligned table; numbers to the right."""
        if self.quiet:
            return
        cells = [[clean(c, 200) for c in row] for row in rows]
        widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(columns)]
        number = [all(_is_number(row[i]) for row in rows) for i in range(len(columns))]

        def line(row: Sequence[str]) -> str:
            return "  " + "  ".join(
                c.rjust(w) if right else c.ljust(w) for c, w, right in zip(row, widths, number, strict=True)
            )

        self._say(title, style="bold")
        self._say(line(list(columns)).rstrip(), style="dim")
        for row in cells:
            self._say(line(row).rstrip())

    @contextlib.contextmanager
    def progress(self, total: float | None, what: str) -> Iterator[Bar]:
        """A bar with rate and time left on a terminal; a plain line every few seconds elsewhere."""
        if self.quiet:
            yield _Silent()
        elif self.is_terminal:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            console = Console(stderr=True, no_color="NO_COLOR" in os.environ)
            columns = [
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}", markup=False),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}", markup=False),
            ]
            with Progress(*columns, console=console, transient=True) as bar:
                yield _RichBar(bar, bar.add_task(what, total=total, rate="", note=""))
        else:
            plain = _PlainBar(self, total, what)
            yield plain
            plain.close()

    @property
    def is_terminal(self) -> bool:
        """Is stderr a screen that may be drawn on?"""
        return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def _say(self, text: str, style: str = "") -> None:
        codes = {"red": "31", "yellow": "33", "bold": "1", "dim": "2"}
        lines = [one_line(line) for line in text.split("\n")]
        shown = "\n".join(lines)
        if style and self.is_terminal and "NO_COLOR" not in os.environ:
            shown = f"\033[{codes[style]}m{shown}\033[0m"
        encoding = sys.stderr.encoding or "utf-8"
        sys.stderr.write(shown.encode(encoding, "replace").decode(encoding) + "\n")
        sys.stderr.flush()


class _Silent:
    def advance(self, count: float = 1, note: str = "") -> None:
        pass


class _RichBar:
    def __init__(self, bar: Any, task: Any) -> None:
        self._bar, self._task, self._began, self._done = bar, task, time.monotonic(), 0.0

    def advance(self, count: float = 1, note: str = "") -> None:
        self._done += count
        rate = self._done / max(time.monotonic() - self._began, 1e-9)
        self._bar.update(self._task, advance=count, note=one_line(note), rate=f"{rate:.1f}/s")


class _PlainBar:
    """A line at most every five seconds, and one at the end if any was printed."""

    def __init__(self, output: Output, total: float | None, what: str) -> None:
        self._output, self._total, self._what = output, total, what
        self._began = self._last = time.monotonic()
        self._done, self._printed, self._note = 0.0, False, ""

    def advance(self, count: float = 1, note: str = "") -> None:
        self._done += count
        self._note = note
        if time.monotonic() - self._last >= 5:
            self._print()

    def close(self) -> None:
        if self._printed:
            self._print()

    def _print(self) -> None:
        self._last, self._printed = time.monotonic(), True
        elapsed = max(self._last - self._began, 1e-9)
        rate = self._done / elapsed
        of = f"/{self._total:g}" if self._total else ""
        left = f", {max(0.0, (self._total - self._done) / rate):.0f} s left" if self._total and rate > 0 else ""
        self._output.note(f"{self._what}: {self._done:g}{of} ({rate:.1f}/s{left}) {self._note}".rstrip())


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | float) or str(cell).replace(",", "").replace(".", "", 1).isdigit()
