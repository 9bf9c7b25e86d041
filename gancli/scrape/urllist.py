"""Lists of addresses: text with one on each line, CSV with a column of them, or JSON lines. Junk is data too."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gancli.errors import DataError, DiskError
from gancli.scrape.providers.base import text_or_none
from gancli.scrape.results import Result

__all__ = ["check_list", "count_list", "read_list"]

_MAX_LINE = 64_000
_URL_COLUMNS = ("url", "image_url", "image", "link", "src", "contenturl")


def read_list(source: Path | Iterable[str], name: str) -> Iterator[Result]:
    """A `Result` for each entry of the list, in order; blank lines and lines that begin with # are left out.

    Raises `DiskError` when the file cannot be read.
    """
    for rank, (line, columns) in enumerate(_entries(source), start=1):
        yield _entry(line, columns).replaced(provider="urls", query=name, rank=rank)


def count_list(source: Path | Iterable[str]) -> int:
    """How many entries the list has. Raises `DiskError` when the file cannot be read."""
    return sum(1 for _ in _entries(source))


def check_list(source: Path | Iterable[str]) -> None:
    """Raises `DataError` when `source` is no list that could be read, before anything is made for it."""
    advice = "Name a file with one address a line, or - for stdin."
    if isinstance(source, Path) and not source.exists():
        raise DataError(f"There is no list '{source}'. {advice}")
    if isinstance(source, Path) and not source.is_file():
        raise DataError(f"'{source}' is a folder or a device, not a list. {advice}")
    if next(_entries(source), None) is None:
        name = f"The list '{source}'" if isinstance(source, Path) else "The list on stdin"
        raise DataError(f"{name} names no address. {advice}")


def _entries(source: Path | Iterable[str]) -> Iterator[tuple[str, list[str] | None]]:
    """The lines that are entries, and the columns that the first line names, if it does."""
    lines = _lines_of(source) if isinstance(source, Path) else iter(source)
    columns: list[str] | None = None
    for number, raw in enumerate(lines):
        line = raw.strip().lstrip("\ufeff")
        if not line or line.startswith("#"):
            continue
        if number == 0 and (columns := _header(line)) is not None:
            continue
        yield line, columns


def _lines_of(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            start = file.read(2)
            encoding = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(start)
            file.seek(0)
            if encoding is not None:
                yield from file.read(100_000_000).decode(encoding, "replace").splitlines()
                return
            while line := file.readline(_MAX_LINE):
                yield line.decode("utf-8", "replace")
    except OSError as error:
        raise DiskError.from_os(error, path, "read") from error


def _header(line: str) -> list[str] | None:
    """The columns of a CSV file, if this is its first line."""
    names = [cell.strip().lower() for cell in _cells(line)]
    return names if any(name in _URL_COLUMNS for name in names) else None


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter="\t" if "\t" in line else ","), [])
    except csv.Error:
        return [line]


def _entry(line: str, columns: list[str] | None) -> Result:
    if line.startswith("{"):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict) and isinstance(row.get("url"), str):
            return _described(row)
    if columns is not None:
        row = dict(zip(columns, _cells(line), strict=False))
        address = next((row[name] for name in _URL_COLUMNS if row.get(name, "").strip()), "")
        return _described({**row, "url": address.strip() or line})
    return Result(url=line)


def _described(row: dict[str, Any]) -> Result:
    """A result with what the row says of it. What a list says of a licence is kept, and known from nowhere else."""
    return Result(
        url=str(row["url"]) or "?",
        page_url=text_or_none(row.get("page_url")),
        title=text_or_none(row.get("title")),
        creator=text_or_none(row.get("creator")),
        license=text_or_none(row.get("license")),
        license_url=text_or_none(row.get("license_url")),
        attribution=text_or_none(row.get("attribution")),
    )
