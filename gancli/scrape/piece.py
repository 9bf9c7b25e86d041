"""The bytes of a file while they arrive, and what stays of them when they stop half-way.

A transfer that ends early may be continued where the server has named the exact bytes it was sending (RFC 9110: a
strong ETag, or a date of change that is older than the answer). What has come then rests on the disk, with a mark
beside it that holds its length and hash: before it is continued, in this start or a later one, it is read and hashed
again, so that neither kill -9 nor a power cut can make two halves of different files one.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from gancli.errors import DiskError
from gancli.files import make_folder

__all__ = ["Parts", "Piece"]

_IN_MEMORY = 1_000_000
_MARK_EVERY = 2_000_000
_MAX_RESTING = 32
_MAX_AGE_S = 7 * 24 * 3600.0


class _Mark(NamedTuple):
    """What is known of the first `size` bytes of a `.part` file; it lies beside it."""

    validator: str
    size: int
    sha256: str

    @classmethod
    def read(cls, path: Path) -> _Mark | None:
        """The mark of the `.part` file `path`, if there is one that can be read."""
        try:
            validator, size, sha256 = json.loads(_mark_of(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        is_whole = isinstance(validator, str) and isinstance(size, int) and isinstance(sha256, str) and size > 0
        return cls(validator, size, sha256) if is_whole else None

    def write(self, path: Path) -> None:
        """Replaces the mark of `path`; the mark before stays whole until then."""
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(self), encoding="utf-8")
        os.replace(fresh, _mark_of(path))


class Piece:
    """The bytes of one file: in memory while small, else in a `.part` file.

    `validator` is what the server calls them, if it does; `stays`: they are to be continued. Raises `DiskError`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.validator: str | None = None
        self.stays = False
        self._hash = hashlib.sha256()
        self._pieces: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._marked: int | None = None

    @classmethod
    def wake(cls, path: Path) -> Piece:
        """What rests at `path`, up to its mark; nothing when the bytes are not those that were marked."""
        piece = cls(path)
        mark = _Mark.read(path)
        try:
            file = path.open("r+b")
        except OSError:
            return piece
        piece._file = file
        try:
            if mark is not None:
                piece.validator, piece._marked = mark.validator, mark.size
                while data := file.read(min(_IN_MEMORY, mark.size - piece.size)):
                    piece._hash.update(data)
                    piece.size += len(data)
                file.truncate(piece.size)
            if mark is None or piece.sha256 != mark.sha256:
                piece.begin_again()
        except OSError:
            piece.drop()
            return cls(path)
        return piece

    def write(self, data: bytes) -> None:
        """Takes the next bytes."""
        self._hash.update(data)
        self.size += len(data)
        self._pieces.append(data)
        if self.size > _IN_MEMORY:
            self._flush()
            if self.validator is not None and self.size - (self._marked or 0) >= _MARK_EVERY:
                self._mark()

    def begin_again(self) -> None:
        """Forgets the bytes, but not the place."""
        self._hash = hashlib.sha256()
        self._pieces, self.size, self.validator = [], 0, None
        self._forget_mark()
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()

    def source(self) -> bytes | Path:
        """The content for a reader: the bytes themselves, or where they lie."""
        if self._file is None:
            return b"".join(self._pieces)
        self._flush()
        self._file.flush()
        return self.path

    @property
    def sha256(self) -> str:
        """The hash of all bytes so far, in hex."""
        return self._hash.hexdigest()

    def move(self, target: Path) -> None:
        """The bytes become the file `target`, whole or not at all."""
        try:
            self._flush()
            if self._file is not None:
                self._file.close()
            os.replace(self.path, target)
        except OSError as error:
            raise DiskError.from_os(error, target) from error
        self._forget_mark()

    def rest(self) -> None:
        """The bytes stay where they are until their address is asked again."""
        self._flush()
        self._mark()
        assert self._file is not None
        self._file.close()

    def drop(self) -> None:
        """Forgets the bytes and the place."""
        self._pieces = []
        self._forget_mark()
        if self._file is not None:
            self._file.close()
            with contextlib.suppress(OSError):
                self.path.unlink()

    def _flush(self) -> None:
        try:
            if self._file is None:
                make_folder(self.path.parent)
                self._file = self.path.open("wb")
            self._file.write(b"".join(self._pieces))
        except OSError as error:
            raise DiskError.from_os(error, self.path) from error
        self._pieces = []

    def _mark(self) -> None:
        assert self._file is not None
        assert self.validator is not None
        try:
            self._file.flush()
            _Mark(self.validator, self.size, self.sha256).write(self.path)
        except OSError as error:
            raise DiskError.from_os(error, self.path) from error
        self._marked = self.size

    def _forget_mark(self) -> None:
        if self._marked is not None:
            self._marked = None
            with contextlib.suppress(OSError):
                _mark_of(self.path).unlink()


class Parts:
    """A place for each piece of a set, and the few that rest there. Safe for many threads, not for two processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._resting = self._sweep()

    @contextlib.contextmanager
    def piece(self, url: str) -> Iterator[Piece]:
        """The bytes of `url`: those that rest, or none yet. They rest afterwards if they are to stay, or are gone."""
        name = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        with self._lock:
            if name in self._busy:  # the same address on two ways: only one of them may continue
                name = f"{next(self._numbers)}"
            self._busy.add(name)
            is_resting = self._resting.pop(name, None) is not None
        path = self._folder / f"{name}.part"
        piece = Piece.wake(path) if is_resting else Piece(path)
        try:
            yield piece
        finally:
            self._put_away(name, piece)

    def _put_away(self, name: str, piece: Piece) -> None:
        oldest = None
        try:
            if piece.stays and piece.size and piece.validator is not None and len(name) == 32:
                piece.rest()
                with self._lock:
                    self._resting[name] = piece.path
                    if len(self._resting) > _MAX_RESTING:
                        oldest = self._resting.pop(next(iter(self._resting)))
                        _remove(oldest)
            else:
                piece.drop()
        except DiskError:
            piece.drop()
        finally:
            with self._lock:
                self._busy.discard(name)

    def close(self) -> None:
        """Removes the folder when nothing rests in it."""
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def _sweep(self) -> dict[str, Path]:
        """The newest of what rests; everything else that an earlier start has left is removed."""
        found: list[tuple[float, Path]] = []
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                mark = _Mark.read(path) if path.suffix == ".part" else None
                age_s = time.time() - path.stat().st_mtime
                if mark is not None and age_s < _MAX_AGE_S and len(found) < 1000:
                    found.append((age_s, path))
                elif path.suffix != ".mark" or not path.with_suffix(".part").exists():
                    path.unlink(missing_ok=True)
        found.sort(key=lambda pair: pair[0])
        for _, path in found[_MAX_RESTING:]:
            _remove(path)
        return {path.stem: path for _, path in reversed(found[:_MAX_RESTING])}


def _mark_of(path: Path) -> Path:
    return path.with_suffix(".mark")


def _remove(path: Path) -> None:
    for one in (path, _mark_of(path)):
        with contextlib.suppress(OSError):
            one.unlink()
