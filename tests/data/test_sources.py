from __future__ import annotations

from pathlib import Path

import pytest

from gancli import painting
from gancli.data import cache, dataset
from gancli.data.dataset import open_training_set
from gancli.data.sources import _painter_mark


def test_another_painter_paints_its_landscapes_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _painter_mark()
    (tmp_path / "scenes.py").write_text("another palette")
    monkeypatch.setattr(painting, "__path__", [str(tmp_path)])
    assert _painter_mark() != before


def test_a_second_start_reads_no_picture_again(photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_training_set(str(photo_folder), size="24")

    def refuse(images: object) -> None:
        raise AssertionError("the pictures were read")

    for module in (cache, dataset):
        monkeypatch.setattr(module, "digests_of", refuse)
    second = open_training_set(str(photo_folder), size="24")
    assert second.facts == first.facts
    assert second.held_out.tolist() == first.held_out.tolist()
    assert second.held_out.numel() > 0
