"""A raw set on the disk: pictures named by their content, the journal of every address, the credits. It only grows."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from gancli.errors import DataError, DiskError
from gancli.files import make_folder
from gancli.manifest import FIELDS, MANIFEST, Journal, Rows, read_manifest, write_credits
from gancli.scrape.piece import Parts, Piece
from gancli.scrape.results import OK, Outcome

__all__ = ["RawSet", "is_raw_set"]

IMAGES = "images"
_SUFFIXES = {"jpeg": ".jpg", "tiff": ".tif"}
_PARTS = ".parts"
_NUMBERS = ("rank", "bytes", "width", "height", "http_status", "attempts")
_TEXTS = tuple(name for name in FIELDS if name not in _NUMBERS)
_LOCK = ".scrape.lock"


def is_raw_set(folder: Path) -> bool:
    """Was `folder` made by a scrape?"""
    return (folder / MANIFEST).is_file() and not (folder / "curation.json").exists()


class RawSet:
    """A raw set opened by one process. Raises `DataError` for a folder of something else or one that is in use."""

    def __init__(self, folder: Path, *, label_by_query: bool = False, ignores_optout: bool = False) -> None:
        self._label_by_query = label_by_query
        self._ignores_optout = ignores_optout
        if folder.is_dir() and any(folder.iterdir()) and not is_raw_set(folder) and not _is_begun(folder):
            raise DataError(f"'{folder}' holds something else than a raw set. Name another place with -o.")
        self._is_made = not folder.exists()
        self.folder = make_folder(folder)
        make_folder(folder / IMAGES)
        self._lock_file = FileLock(folder / _LOCK, timeout=0)
        try:
            self._lock_file.acquire()
        except Timeout:
            raise DataError(f"Another 'gan scrape' is filling '{folder}' now. Wait for it, or use -o.") from None
        except OSError as error:
            raise DiskError.from_os(error, folder) from error
        self._lock = threading.Lock()
        try:
            self._parts = Parts(folder / _PARTS)
            self._is_begun = (folder / MANIFEST).exists()
            self._journal = Journal(folder)
            self.rows: dict[str, dict[str, Any]] = {}
            self._files: dict[str, str] = {}
            rows = read_manifest(folder)
            self.broken_lines = rows.broken
            self._read(rows)
        except BaseException:
            self._lock_file.release()
            raise

    def _read(self, rows: Rows) -> None:
        for row in map(_tidied, rows):
            if row.get("status") == OK:
                if not self._is_whole(row):
                    continue  # lost since, or never on the disk when the machine died: to be fetched again
                self._files[str(row["sha256"])] = str(row["file"])
            self.rows[row["url"]] = row

    def _is_whole(self, row: dict[str, Any]) -> bool:
        name = row["file"]
        if name is None or row["sha256"] is None or "\0" in name:
            return False
        if Path(name).is_absolute() or ".." in Path(name).parts:
            return False
        try:
            return bool((self.folder / name).stat().st_size == row["bytes"])
        except OSError:
            return False

    def piece(self, url: str) -> contextlib.AbstractContextManager[Piece]:
        """A place for the bytes of `url`, which holds what an earlier try has left of them."""
        return self._parts.piece(url)

    def keep(self, piece: Piece, kind: str) -> tuple[str, bool]:
        """The file (relative to the set) that holds the bytes of `piece`, and whether it is new."""
        sha256 = piece.sha256
        with self._lock:
            known = self._files.get(sha256)
            if known is not None:
                return known, False
            name = f"{IMAGES}/{sha256[:16]}{_SUFFIXES.get(kind, '.' + kind)}"
            self._files[sha256] = name
        try:
            piece.move(self.folder / name)
        except BaseException:
            with self._lock:
                del self._files[sha256]
            raise
        return name, True

    def record(self, outcome: Outcome) -> None:
        """Writes the outcome down; from then on it is known whatever happens."""
        row = outcome.row()
        if self._label_by_query:
            row["label"] = row["query"]
        if self._ignores_optout:
            row["optout_ignored"] = True
        self._journal.append(row)
        with self._lock:
            self.rows[row["url"]] = row

    def close(self, *, is_wanted: bool = True) -> None:
        """Credits, and everything brought to the disk. A set begun now that stayed empty goes unless `is_wanted`."""
        try:
            self._journal.close()
            self._parts.close()
            is_empty = not (is_wanted or self._is_begun or self.rows)
            if is_empty:
                (self.folder / MANIFEST).unlink()
                (self.folder / IMAGES).rmdir()
            else:
                write_credits(self.folder, list(self.rows.values()))
        finally:
            self._unlock()
            if self._is_made:
                with contextlib.suppress(OSError):
                    self.folder.rmdir()  # which only an empty one is

    def _unlock(self) -> None:
        """Removes the lock while it is held, so that it is nobody else's; Windows allows it only afterwards."""
        lock = self.folder / _LOCK
        if os.name != "nt":
            lock.unlink(missing_ok=True)
        self._lock_file.release()
        if os.name == "nt":
            with contextlib.suppress(OSError):
                lock.unlink()

    def __enter__(self) -> RawSet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(is_wanted=kind is not None and not issubclass(kind, Exception))  # Ctrl-C: it is to go on


def _tidied(row: dict[str, Any]) -> dict[str, Any]:
    """`row` with what is of another kind than its field says left out: a manifest may have been edited by hand."""
    tidy = dict(row)
    for name in _TEXTS:
        if not isinstance(row.get(name), str):
            tidy[name] = None
    for name in _NUMBERS:
        value = row.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
            tidy[name] = None
    same = row.get("same")
    tidy["same"] = [key for key in same if isinstance(key, str)] if isinstance(same, list) else []
    return tidy


def _is_begun(folder: Path) -> bool:
    """Does the folder hold nothing but what a start that ended early leaves?"""
    return {path.name for path in folder.iterdir()} <= {IMAGES, _PARTS, _LOCK}
