"""How much memory `gan curate` itself (not its workers) needs for each picture more.

    python tests/benchmarks/bench_curate_memory.py [few] [many]

Tiny pictures, 4,000 and 10,000 of them (enough for more than one contact sheet), each count in a fresh process: the
highest memory of its own (without what lies in files and can be taken back), and the difference for each picture.
Linux.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from gancli.curate import CurateOptions, curate


def own_kb() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1])


def highest_kb(count: int) -> int:
    """The highest memory of this process while it makes a set of `count` pictures."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "in"
        folder.mkdir()
        for number in range(count):
            small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
            small.resize((32, 32)).save(folder / f"{number:06d}.bmp")
        highest = own_kb()
        for step, _ in enumerate(curate(folder, options=CurateOptions(size=(16, 16)))):
            if step % 100 == 0:
                highest = max(highest, own_kb())
        return max(highest, own_kb())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("counts", type=int, nargs="*", default=[4000, 10_000])
    counts = parser.parse_args().counts
    if len(counts) == 1:
        print(highest_kb(counts[0]))
    else:
        few, many = (int(subprocess.check_output([sys.executable, __file__, str(count)])) for count in counts)
        print(
            json.dumps({"mb": [few // 1024, many // 1024], "kb_each": round((many - few) / (counts[1] - counts[0]), 2)})
        )
