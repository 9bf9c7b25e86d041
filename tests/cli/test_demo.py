"""gan demo: the whole way as a person runs it, small; with stdout for the GIF's path alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent.parent
SMALL = ("-n", "36", "--size", "16", "--kimg", "0.3")
ORDER = ("gan scrape", "gan curate", "gan train", "gan sample", "gan interpolate", "gan gif")


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path, "GAN_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", "gancli", "demo", *words]
    return subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_demo_goes_the_whole_way_and_says_each_command(tmp_path: Path) -> None:
    done = run(tmp_path, *SMALL, "--json")
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert sum(row["kinds"].values()) == 64
    for name in ("path", "timelapse"):
        with Image.open(tmp_path / row[name]) as picture:
            assert picture.format == "GIF"
            assert getattr(picture, "n_frames", 1) > 3
    assert (tmp_path / row["pictures"] / "grid.png").is_file()
    said = [line[2:] for line in done.stderr.splitlines() if line.startswith("$ ")]
    assert [next(i for i, name in enumerate(ORDER) if line.startswith(name)) for line in said] == [0, 1, 2, 3, 4, 5, 5]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "gan-demo"]

    again = run(tmp_path, *SMALL)
    assert again.returncode == 0, again.stderr
    assert len(again.stdout.splitlines()) == 1
    assert (tmp_path / again.stdout.strip()).is_file()
    assert (tmp_path / row["path"]).is_file()


@pytest.mark.slow
def test_demo_ends_with_the_status_of_the_command_that_failed(tmp_path: Path) -> None:
    done = run(tmp_path, *SMALL, "--size", "37")
    assert done.returncode in (1, 2)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
