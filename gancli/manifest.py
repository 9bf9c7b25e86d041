"""The manifest of a raw set: a journal with one JSON line per address and start, and the credits made from it.

The last line of an address counts. A line is whole or it is not there: a process killed while writing leaves at
most one torn line, which is closed by the next start and skipped by every reader.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from gancli.errors import DiskError
from gancli.files import json_bytes, read_json_lines, write_text
from gancli.text import clean, escape_markdown

__all__ = ["CREDITS", "FIELDS", "MANIFEST", "Journal", "Rows", "new_row", "read_manifest", "write_credits"]

MANIFEST = "manifest.jsonl"
CREDITS = "CREDITS.md"

FIELDS: tuple[str, ...] = (
    "status",
    "reason",
    "url",
    "final_url",
    "page_url",
    "provider",
    "query",
    "rank",
    "title",
    "creator",
    "license",
    "license_url",
    "license_source",
    "attribution",
    "sha256",
    "bytes",
    "width",
    "height",
    "format",
    "file",
    "http_status",
    "attempts",
    "ts",
)


class Rows(list[dict[str, Any]]):
    """The rows of a manifest in order of first appearance, and how many lines of the file were `broken`."""

    broken: int = 0


def new_row(**values: Any) -> dict[str, Any]:
    """A row with every field of a raw set's manifest, None where nothing is given; other fields follow."""
    row: dict[str, Any] = dict.fromkeys(FIELDS)
    row.update(values)
    return row


def read_manifest(folder: Path | str) -> Rows:
    """The rows of the raw set `folder`, one per address: the last line of an address counts.

    Lines that are no JSON object, or name no address, are skipped and counted in `.broken`. A folder without a
    manifest has no rows. Raises `DiskError` when the file cannot be read.
    """
    path = Path(folder) / MANIFEST
    try:
        lines, broken = read_json_lines(path)
    except OSError as error:
        raise DiskError.from_os(error, path, "read") from error
    by_url: dict[str, dict[str, Any]] = {}
    for row in lines:
        url = row.get("url")
        if isinstance(url, str) and url:
            by_url[url] = row
        else:
            broken += 1
    rows = Rows(by_url.values())
    rows.broken = broken
    return rows


class Journal:
    """The manifest opened for appending: each row is one write of one whole line, from any thread.

    What is written survives the death of the process at once, and of the machine after `close`.
    """

    def __init__(self, folder: Path | str) -> None:
        self.path = Path(folder) / MANIFEST
        self._lock = threading.Lock()
        try:
            self._file = open(self.path, "ab+", buffering=0)  # noqa: SIM115 - closed by close()
            if self._file.seek(0, os.SEEK_END) > 0:
                self._file.seek(-1, os.SEEK_END)
                if self._file.read(1) != b"\n":
                    self._file.write(b"\n")
        except OSError as error:
            raise DiskError.from_os(error, self.path) from error

    def append(self, row: dict[str, Any]) -> None:
        """Adds one row. Raises `DiskError` when the disk is full; the lines before stay readable."""
        line = json_bytes(row)
        with self._lock:
            try:
                written = self._file.write(line)
                if written != len(line):  # a disk that fills up takes a part of the line without an error
                    self._file.write(line[written:])
            except OSError as error:
                raise DiskError.from_os(error, self.path) from error

    def close(self) -> None:
        """Brings everything to the disk and closes the file; may be called twice."""
        with self._lock:
            if self._file.closed:
                return
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                raise DiskError.from_os(error, self.path) from error
            finally:
                self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write_credits(folder: Path | str, rows: Iterable[dict[str, Any]]) -> Path:
    """Writes CREDITS.md: one line for each picture kept, as its licence asks for it, and returns its path.

    Titles, authors and addresses come from outside and are escaped. Rows whose status is not `ok` are left out.
    """
    kept = [row for row in rows if row.get("status") == "ok"]
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in kept:
        groups.setdefault(clean(row.get("license") or "licence unknown"), []).append(row)
    lines = [
        "# Credits",
        "",
        f"Pictures in this set: {len(kept)}. Each line gives title, author, licence, and where it came from.",
        "How a licence is known: `api`, the site states it for this picture; `filter`, the search asked for it and the",
        "site claims it; `none`, nothing is known. Check a licence before you publish.",
    ]
    for name in sorted(groups):
        lines += ["", f"## {escape_markdown(name)} ({len(groups[name])})", ""]
        lines += [_credit_line(row) for row in groups[name]]
    path = Path(folder) / CREDITS
    write_text(path, "\n".join(lines) + "\n")
    return path


def _credit_line(row: dict[str, Any]) -> str:
    title = escape_markdown(row.get("title") or row.get("file") or "untitled")
    page = _link_target(row.get("page_url") or row.get("url"))
    parts = [f'"[{title}](<{page}>)"' if page else f'"{title}"']
    parts.append("by " + escape_markdown(row.get("creator") or "an unnamed author"))
    parts.append(_licence_words(row))
    if row.get("attribution"):
        parts.append(escape_markdown(row["attribution"]))
    if row.get("file"):
        parts.append(f"`{clean(row['file']).replace('`', '')}`")
    return "- " + " — ".join(parts)


def _licence_words(row: dict[str, Any]) -> str:
    words = escape_markdown(row.get("license") or "licence unknown")
    target = _link_target(row.get("license_url"))
    source = escape_markdown(row.get("license_source") or "none")
    return (f"[{words}](<{target}>)" if target else words) + f" ({source})"


def _link_target(url: object) -> str:
    """An http address that cannot leave the angle brackets of a Markdown link; '' for anything else."""
    text = clean(url or "", 2000)
    if not text.lower().startswith(("http://", "https://")):
        return ""
    return text.replace("<", "%3C").replace(">", "%3E").replace("\\", "%5C").replace(" ", "%20").replace('"', "%22")
