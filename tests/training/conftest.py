"""Engines are measured for a moment only."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _short_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    from gancli.training import choosing

    monkeypatch.setattr(choosing, "MEASURE_S", 0.02)
