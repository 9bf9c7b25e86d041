"""The course project A5 repeated: what its three runs say of themselves, beside what its text reports.

    python tests/benchmarks/a5.py RUN... [--mnist FOLDER]

RUN: a run of examples/a5.sh (EPOCHS=30). A JSON line for each: the mean D(x) and D(G(z)) of its last quarter; of digits
also how many of each a small classifier finds among 1,000 samples; of the arcs the share of 2,500 points on each and
within 3 of the radius. A probability near a half is no evidence of coverage; the counts are.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

import gancli
from gancli.data.dataset import open_training_set
from gancli.metrics.protocols import _digits, train_digit_classifier

NUM_LEARNED, NUM_DIGITS, NUM_POINTS = 12_000, 1000, 2500


def scores(run: Path) -> dict[str, float]:
    """The means over the ticks of the last quarter of the run."""
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    late = [row for row in rows if row["nimg"] > 0.75 * rows[-1]["nimg"]]
    return {name: round(sum(row[name] for row in late) / len(late), 3) for name in ("d_real", "d_fake")}


def digits(run: Path, mnist: Path) -> dict[str, Any]:
    """How many of each digit, by a classifier that is trained here on some real ones."""
    data = open_training_set(f"idx:{mnist}", size="28", seed=0, stacked=False)
    assert data.labels is not None
    network, accuracy = train_digit_classifier(torch.as_tensor(data.images[:NUM_LEARNED]), data.labels[:NUM_LEARNED])
    samples = torch.from_numpy(gancli.load(run).sample(seeds=range(NUM_DIGITS))).movedim(3, 1)
    counts = torch.bincount(_digits(samples, network), minlength=10).tolist()
    return {"digits": counts, "classifier_accuracy": round(accuracy, 4)}


def arcs(run: Path) -> dict[str, float]:
    """The share of points on each half circle, and of those within 3 of its radius."""
    command = [sys.executable, "-m", "gancli", "evaluate", str(run), "-n", str(NUM_POINTS), "--json"]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return {name: found[name]["value"] for name in ("left", "right", "near")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--mnist", type=Path)
    args = parser.parse_args()
    for run in args.runs:
        config = json.loads((run / "config.json").read_text())
        spec = str(config.get("config", config)["data"])
        found: dict[str, Any] = {"run": str(run), **scores(run)}
        if spec == "toy:arcs":
            found |= arcs(run)
        elif spec.startswith("idx:") and args.mnist is not None:
            found |= digits(run, args.mnist)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
