"""`gan curate` on a few thousand small pictures against imagededup's find_duplicates alone on the same files.

    python tests/benchmarks/bench_curate_small.py FOLDER [--size 64] [--turns 3] [--imagededup PYTHON]

In turns, wall seconds, medians: the whole command (reading, copies, flags, writing, sheet, manifest) in a fresh
process; imagededup (PHash, distance at most 10) in a fresh process, as a whole and the call alone, without its imports.
PYTHON is an interpreter that has imagededup (default: this one); without it there is nothing to compare with, and it
says so. The target is to be faster, though it does more.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PEER = """
import sys, time
from imagededup.methods import PHash
if __name__ == "__main__":
    start = time.perf_counter()
    PHash(verbose=False).find_duplicates(image_dir=sys.argv[1], max_distance_threshold=10, recursive=True)
    print(time.perf_counter() - start)
"""


def curate_s(folder: str, size: int) -> float:
    """Wall seconds of the whole command."""
    root = str(Path(__file__).resolve().parents[2])
    with tempfile.TemporaryDirectory() as place:
        start = time.perf_counter()
        command = [sys.executable, "-m", "gancli", "curate", folder, "--size", str(size), "-o", f"{place}/set", "-q"]
        subprocess.run(
            command, check=True, env={**os.environ, "PYTHONPATH": root}, stdin=subprocess.DEVNULL, capture_output=True
        )
        return time.perf_counter() - start


def peer_s(python: str, folder: str) -> tuple[float, float]:
    """Wall seconds of imagededup's process, and of the call alone. Its workers need a script with a main guard."""
    with tempfile.TemporaryDirectory() as place:
        script = Path(place) / "peer.py"
        script.write_text(PEER)
        start = time.perf_counter()
        done = subprocess.run([python, str(script), folder], check=True, capture_output=True, text=True)
        return time.perf_counter() - start, float(done.stdout.split()[-1])


def measure(folder: str, size: int, turns: int, python: str) -> dict[str, object]:
    """Medians of the turns."""
    ours, process, call = [], [], []
    for _ in range(turns):
        ours.append(curate_s(folder, size))
        whole, alone = peer_s(python, folder)
        process.append(whole)
        call.append(alone)
    return {
        "files": sum(path.is_file() for path in Path(folder).rglob("*")),
        "size": size,
        "curate_s": round(statistics.median(ours), 2),
        "imagededup_process_s": round(statistics.median(process), 2),
        "imagededup_call_s": round(statistics.median(call), 2),
        "load": os.getloadavg()[0],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--imagededup", default=sys.executable, metavar="PYTHON")
    given = parser.parse_args()
    if subprocess.run([given.imagededup, "-c", "import imagededup"], capture_output=True, check=False).returncode:
        sys.exit("skipped: imagededup is not installed (pip install imagededup), so there is nothing to compare with")
    print(json.dumps(measure(given.folder, given.size, given.turns, given.imagededup)))
