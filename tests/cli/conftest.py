"""`gan` in this process: the exit status, stdout and stderr of a command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest


class Done(NamedTuple):
    code: int
    out: str
    err: str


Gan = Callable[..., Done]


@pytest.fixture
def gan(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Gan:
    """Runs `gan ARGS…` in `tmp_path`; `pipe` is what the step before printed."""
    from gancli.cli.app import main
    from gancli.training import choosing

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(choosing, "MEASURE_S", 0.02)

    def run(*args: object, pipe: str | None = None) -> Done:
        source = tmp_path / ".stdin"
        source.write_text(pipe or "")
        with open(os.devnull if pipe is None else source) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            monkeypatch.setattr(sys, "argv", ["gan", *map(str, args)])
            capfd.readouterr()
            try:
                main()
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
        out, err = capfd.readouterr()
        source.unlink(missing_ok=True)
        return Done(code, out, err)

    return run
