"""Writing so that nothing is ever half there: whole files by replacement, journals by whole lines."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from gancli.errors import DiskError

__all__ = [
    "append_json_line",
    "atomic_file",
    "free_path",
    "json_bytes",
    "make_folder",
    "read_json_lines",
    "write_json",
    "write_json_lines",
    "write_text",
]


@contextlib.contextmanager
def atomic_file(path: Path | str, *, sync: bool = True) -> Iterator[BinaryIO]:
    """A binary file that becomes `path` only when everything was written and is on the disk.

    Without `sync` the system may bring it to the disk later: for many files that can be made again.

    Raises `DiskError` when the disk is full or not writable; what was at `path` before is then untouched.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        with contextlib.suppress(OSError):
            os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = None
        if sync:
            _sync_folder(path.parent)
    except OSError as error:
        raise DiskError.from_os(error, path) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()


def write_text(path: Path | str, text: str) -> None:
    """Replaces `path` by `text` (UTF-8), atomically."""
    with atomic_file(path) as file:
        file.write(text.encode())


def json_bytes(value: Any, indent: int | None = None) -> bytes:
    """`value` as JSON and a line break, in UTF-8; a file name that is no text (lone surrogates) is escaped."""
    try:
        return (json.dumps(value, indent=indent, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:
        return (json.dumps(value, indent=indent) + "\n").encode()


def write_json(path: Path | str, value: Any) -> None:
    """Replaces `path` by `value` as indented JSON, atomically."""
    with atomic_file(path) as file:
        file.write(json_bytes(value, indent=2))


def append_json_line(path: Path | str, row: dict[str, Any]) -> None:
    """Appends one JSON line in a single write; a torn line of an earlier crash is closed first."""
    line = json_bytes(row)
    try:
        with open(path, "ab+") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    line = b"\n" + line
            file.write(line)
    except OSError as error:
        raise DiskError.from_os(error, path) from error


def read_json_lines(path: Path | str) -> tuple[list[dict[str, Any]], int]:
    """The objects of a JSON-lines file in order, and how many lines were not one (torn, foreign)."""
    rows: list[dict[str, Any]] = []
    broken = 0
    path = Path(path)
    if not path.exists():
        return rows, broken
    with path.open("rb") as file:
        for line in file:
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError:
                broken += 1
                continue
            if isinstance(row, dict):
                rows.append(row)
            else:
                broken += 1
    return rows, broken


def write_json_lines(path: Path | str, rows: Iterable[dict[str, Any]]) -> None:
    """Replaces `path` by one JSON line for each of `rows`, atomically."""
    with atomic_file(path) as file:
        for row in rows:
            file.write(json_bytes(row))


def make_folder(path: Path | str) -> Path:
    """`path` as a folder, made with its parents. Raises `DiskError` when that cannot be (a file in the way …)."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise DiskError(f"'{path}' is a file, not a folder. Name another place with -o.") from error
    except OSError as error:
        raise DiskError.from_os(error, path, "make the folder") from error
    return path


def free_path(path: Path | str) -> Path:
    """`path` if nothing is there, else the first free of `name-2.ext`, `name-3.ext`, …"""
    path = Path(path)
    candidate, number = path, 2
    while candidate.exists() or candidate.is_symlink():
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    return candidate


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
