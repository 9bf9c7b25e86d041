"""Claims about what is kept outside the memory."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from gancli.curate.spool import Spool


def test_what_was_kept_outlives_the_spool() -> None:
    spool = Spool()
    pieces = [bytes([number % 256]) * 1000 for number in range(9000)]
    kept = [spool.keep(piece) for piece in pieces]
    del spool
    assert all(bytes(view) == piece for view, piece in zip(kept, pieces, strict=True))


def test_without_room_on_the_disk_everything_stays_in_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    assert Spool().keep(b"piece") == b"piece"
    monkeypatch.setattr(tempfile, "tempdir", None)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    assert Spool().keep(b"piece") == b"piece"
