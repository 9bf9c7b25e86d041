from __future__ import annotations

from pathlib import Path

import pytest


class Gan:
    """Runs a command in this process; gives what it said on stdout."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self.capfd = capfd
        self.said = ""

    def __call__(self, *words: object) -> str:
        from gancli.cli.app import app

        app([str(word) for word in words], standalone_mode=False)
        out, self.said = self.capfd.readouterr()
        return out.strip()


@pytest.fixture
def gan(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Gan:
    monkeypatch.chdir(tmp_path)
    return Gan(capfd)
