"""Where a command's input path comes from: the argument, the pipe, or the newest of its kind in this folder."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

from gancli.cli.output import Output
from gancli.errors import GanError, UsageError
from gancli.text import clean

__all__ = ["RAW_SET", "RUN", "TRAINING_SET", "has_pipe", "input_path", "newest", "read_pipe"]

RAW_SET = "raw set"
TRAINING_SET = "training set"
RUN = "run"

_HOW_TO_MAKE = {
    RAW_SET: "Run 'gan scrape \"…\"' first, or name a folder of images.",
    TRAINING_SET: "Run 'gan curate' first, or name a folder of images.",
    RUN: "Run 'gan train' first, or name a run or a checkpoint.",
}


def has_pipe() -> bool:
    """Does another command feed our stdin?"""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def read_pipe() -> str:
    """The path on the last line of stdin (a JSON line with `path` is accepted). Waits for the step before."""
    data = sys.stdin.buffer.read(16_000_000)
    lines = [line for line in data.split(b"\n") if line.strip()]
    if not lines:
        raise GanError("the step before gave no path")
    text = lines[-1].rstrip(b"\r").decode("utf-8", "surrogateescape")
    if text.lstrip().startswith("{"):
        try:
            row = json.loads(text)
        except ValueError:
            return text
        if isinstance(row, dict) and isinstance(row.get("path"), str):
            return str(row["path"])
        raise GanError(f"the step before gave no path (its last line was '{clean(text, 120)}')")
    return text


def input_path(argument: str | None, kind: str, output: Output, *, required: bool = True) -> str | None:
    """The input of a command: `argument`, or with '-' or none and a pipe stdin's last line, or the newest `kind`.

    Returns None only when nothing was found and `required` is false.
    """
    if argument == "-" or (argument is None and has_pipe()):
        return read_pipe()
    if argument is not None:
        return argument
    found = newest(kind)
    if found is not None:
        output.note(f"Using the newest {kind} here: {clean(str(found))}")
        return str(found)
    if not required:
        return None
    raise UsageError(f"No {kind} was named and none is in this folder. {_HOW_TO_MAKE[kind]}")


def newest(kind: str, folder: Path | None = None) -> Path | None:
    """The most recently changed raw set, training set or run in `folder` (default: the current one), or None."""
    here = Path() if folder is None else folder
    is_kind, marker, places = _KINDS[kind]
    found: list[tuple[float, Path]] = []
    for place in places:
        try:
            candidates = sorted((here / place).iterdir())
        except OSError:
            continue
        for path in candidates:
            try:
                if path.is_dir() and is_kind(path):
                    found.append(((path / marker).stat().st_mtime, path))
            except OSError:
                continue
    return max(found)[1] if found else None


def is_raw_set(path: Path) -> bool:
    """A folder with a manifest and no mark of curation."""
    return (path / "manifest.jsonl").is_file() and not (path / "curation.json").exists()


def is_training_set(path: Path) -> bool:
    """A folder that `gan curate` made."""
    return (path / "curation.json").is_file()


def is_run(path: Path) -> bool:
    """A folder that `gan train` made."""
    return (path / "config.json").is_file() and ((path / "last.pt").is_file() or (path / "log.jsonl").is_file())


_KINDS: dict[str, tuple[Callable[[Path], bool], str, tuple[str, ...]]] = {
    RAW_SET: (is_raw_set, "manifest.jsonl", (".",)),
    TRAINING_SET: (is_training_set, "curation.json", (".",)),
    RUN: (is_run, "log.jsonl", ("runs", ".")),
}
