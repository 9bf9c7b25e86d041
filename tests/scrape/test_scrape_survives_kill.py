"""kill -9 at random moments of a run of 500 pictures, and the same command again each time."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gancli.manifest import read_manifest

KILLS = 20
PICTURES = 500
WORKERS = 16


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9 on Windows")
def test_killed_run_loses_nothing_and_asks_for_nothing_twice(site: Any, make: Any, tmp_path: Path) -> None:
    bodies = {f"/{i}.jpg": make(i, (120, 100)) for i in range(PICTURES)}

    def route(handler: Any) -> None:
        if handler.path not in bodies:
            handler.give(b"", status=404)
            return
        time.sleep(0.01)
        handler.give(bodies[handler.path])

    site.default = route
    urls = [site.url(path, f"127.0.0.{i % 8 + 1}") for i, path in enumerate(bodies)]
    (tmp_path / "list.txt").write_text("\n".join(urls))
    command = [sys.executable, "-m", "gancli", "scrape", "--urls", "list.txt", "--allow-private", "--min-side", "32",
               "--workers", str(WORKERS), "-o", "set", "-q"]  # fmt: skip
    rng = random.Random(7)
    repeated: list[int] = []
    recorded: set[str] = set()

    def hits_since(start: int) -> list[str]:
        return [f"http://{host}{path}" for host, path in site.hits[start:] if path != "/robots.txt"]

    def check(start: int) -> None:
        asked = hits_since(start)
        assert not recorded & set(asked), "an address with an outcome was asked again"
        repeated.append(len(set(asked) & set(hits_before)))
        hits_before.update(asked)

    hits_before: set[str] = set()
    for _ in range(KILLS):
        start = len(site.hits)
        wanted = rng.randint(1, PICTURES // KILLS)
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while len(hits_since(start)) < wanted and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.03))
        process.kill()
        process.wait()
        time.sleep(0.1)
        check(start)
        rows = read_manifest(tmp_path / "set")
        recorded = {row["url"] for row in rows}
        assert rows.broken <= len(repeated)

    start = len(site.hits)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"set\n"), done.stderr.decode()
    check(start)
    assert all(count <= WORKERS for count in repeated), repeated
    rows = read_manifest(tmp_path / "set")
    assert {row["url"]: row["status"] for row in rows} == dict.fromkeys(urls, "ok")
    files = sorted(path.name for path in (tmp_path / "set/images").iterdir())
    assert files == sorted(Path(row["file"]).name for row in rows)
    for row in rows:
        data = (tmp_path / "set" / row["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["sha256"]
        assert data in bodies.values()
    assert "set" in (tmp_path / "set/CREDITS.md").read_text(encoding="utf-8")
    print(f"repeated requests after each kill: {repeated}")
