"""Ctrl-C ends with the status of CLI.md, wherever it strikes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_ctrl_c_within_an_executed_string_ends_with_its_status(tmp_path: Path) -> None:
    """Data classes and named tuples execute strings while modules load; CPython remembers a Ctrl-C there and would end
    `python -m gancli` by a signal."""
    (tmp_path / "sitecustomize.py").write_text(
        "import gancli.training.session as session\n"
        "def interrupted(*args, **kwargs):\n"
        "    exec('raise KeyboardInterrupt')\n"
        "session.open_training_set = interrupted\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "gancli", "train", "toy:ring", "-o", str(tmp_path / "run")],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.splitlines()[-1].startswith("error: interrupted")
