from __future__ import annotations

from pathlib import Path

import pytest

from gancli import painting
from gancli.data.sources import _painter_mark


def test_another_painter_paints_its_landscapes_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _painter_mark()
    (tmp_path / "scenes.py").write_text("another palette")
    monkeypatch.setattr(painting, "__path__", [str(tmp_path)])
    assert _painter_mark() != before
