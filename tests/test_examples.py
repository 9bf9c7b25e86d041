"""Each example runs offline on stand-in data with --quick, and says what it needs, takes and shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.sh"))
NOTEBOOK = EXAMPLES / "hosted-gpu.ipynb"
MADE = {
    "mountains": ["mountains-run/best.pt", "mountains-training.gif", "mountains-walk.gif"],
    "fish": ["fish-16/last.pt", "fish-32/last.pt", "fish-walk.gif"],
    "gandam": ["robots-run/last.pt", "robots-training.gif"],
    "wargan": ["grey-run/last.pt"],
    "a5": ["arcs-run/last.pt", "mnist-run/last.pt", "photos-run/last.pt"],
    "small-set": ["small-run/last.pt", "small-run/report.html"],
}


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, str]:
    """The environment of a script: `gan` and `python` are this package's, and there is no network to be had."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, line in (("gan", f'exec "{sys.executable}" -m gancli "$@"'), ("python", f'exec "{sys.executable}" "$@"')):
        (commands / name).write_text(f"#!/bin/sh\n{line}\n")
        (commands / name).chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{commands}:{os.environ['PATH']}",
        "PYTHONPATH": str(EXAMPLES.parent),
        "GAN_CACHE": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": "1",
        "https_proxy": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_each_example_says_what_it_needs_takes_and_shows(script: Path) -> None:
    text = script.read_text()
    assert re.search(r"^# Needs ", text, re.M)
    assert re.search(r"^# Takes ", text, re.M)
    assert re.search(r"^# Shows ", text, re.M)
    assert "--quick" in text
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    assert all(len(line) <= 120 for line in text.splitlines())


def test_every_example_is_run_by_a_test() -> None:
    assert {script.stem for script in SCRIPTS} == set(MADE)
    assert "192" in (EXAMPLES / "wargan.sh").read_text()
    assert "200" in (EXAMPLES / "wargan.sh").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_each_example_runs_offline_with_quick(script: Path, tmp_path: Path, surroundings: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", str(script), "--quick"], cwd=tmp_path, env=surroundings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for name in MADE[script.stem]:
        assert (tmp_path / name).is_file(), name


@pytest.mark.slow
def test_the_notebook_runs_and_a_second_run_of_it_goes_on(tmp_path: Path, surroundings: dict[str, str]) -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    nimg = []
    for length in ("--kimg 0.128", "--kimg 0.256"):
        surroundings |= {"GAN_SIZE": "16", "GAN_LENGTH": f"{length} --width 8"}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=surroundings, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        rows = (tmp_path / "gan-runs" / "run" / "log.jsonl").read_text().splitlines()
        nimg.append(json.loads(rows[-1])["nimg"])
        assert (tmp_path / "gan-runs" / "walk.gif").is_file()
        # each time into a folder of its own beside the run
        assert len(list((tmp_path / "gan-runs").glob("*/seed*.png"))) == 36 * len(nimg)
    assert nimg == [128, 256]
