"""Many small pieces of bytes kept where they need not be held in memory."""

from __future__ import annotations

import mmap
import os
import tempfile

__all__ = ["Spool"]

_BLOCK = 4 << 20


class Spool:
    """Bytes in unnamed temporary files, read where they lie: under pressure the system takes their memory back.

    What was kept lives as long as somebody holds it, longer than the spool if need be. Without room on the disk, or
    a system that reserves it, everything stays in memory.
    """

    def __init__(self) -> None:
        self._block = memoryview(b"")
        self._on_disk = hasattr(os, "posix_fallocate")

    def keep(self, piece: bytes | memoryview) -> bytes | memoryview:
        """A view of a copy of `piece` (at most 4 MB), or the piece itself."""
        if self._on_disk and len(piece) > len(self._block):
            try:
                self._block = _new_block()
            except OSError:
                self._on_disk = False
        if not self._on_disk:
            return piece
        kept, self._block = self._block[: len(piece)], self._block[len(piece) :]
        kept[:] = piece
        return kept


def _new_block() -> memoryview:
    with tempfile.TemporaryFile() as file:
        os.posix_fallocate(file.fileno(), 0, _BLOCK)  # a full disk would kill whoever writes to the map
        return memoryview(mmap.mmap(file.fileno(), _BLOCK))
