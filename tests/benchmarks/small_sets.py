"""Which recipe is best on a few hundred pictures, in a given time on this machine? The table behind the default recipe.

    python tests/benchmarks/small_sets.py rates PHOTOS...      (on a quiet machine)
    python tests/benchmarks/small_sets.py train PHOTOS... --minutes 10 [--recipes a,b] [--seeds 0,1]
    python tests/benchmarks/small_sets.py table

`rates` measures each recipe's images per second with nothing else running. `train` gives each recipe the images that it
would see in those minutes at that rate, so that the result does not depend on what else the machine does meanwhile; it
leaves out what the file (small_sets.jsonl here) already has, so it may be stopped and started.
`table` prints the table of the README.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SIZE = "64"
NAMES = ("coverage", "kid")
RECIPES = ("compact", "vanilla", "dcgan", "wgan-gp", "wgan-gp-resnet", "sngan", "r3gan-s", "fastgan")


def gan(*words: object) -> str:
    command = [sys.executable, "-m", "gancli", *map(str, words), "--quiet"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def add(path: Path, row: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)


def measure_rates(args: argparse.Namespace) -> None:
    """Images per second as the plan of `gan train` measures them."""
    for recipe in args.recipes:
        plan = json.loads(gan("train", args.photos[0], "--model", recipe, "--size", SIZE, "--dry-run", "--json"))
        add(args.out, {"rate": plan["images_per_s"], "recipe": recipe, "load": round(os.getloadavg()[0], 1)})


def train(args: argparse.Namespace) -> None:
    known = rows(args.out)
    rates = {row["recipe"]: row["rate"] for row in known if "rate" in row}
    done = {(r["recipe"], r["photos"], r["minutes"], r["seed"]) for r in known if "seed" in r}
    for seed in args.seeds:
        for photos in args.photos:
            for recipe in args.recipes:
                if (recipe, photos.name, args.minutes, seed) not in done:
                    kimg = rates[recipe] * args.minutes * 60 / 1000
                    add(args.out, one(photos, recipe, kimg, seed, args) | {"minutes": args.minutes})


def one(photos: Path, recipe: str, kimg: float, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    run = Path(args.runs, f"{recipe}-{photos.name}-{args.minutes:g}-{seed}")
    gan("train", photos, "--model", recipe, "--size", SIZE, "--kimg", round(kimg, 1), "--seed", seed, "-o", run)
    figures = json.loads(gan("evaluate", run, "--metrics", "coverage,kid,memorisation", "-n", 1000, "--json"))
    return {"recipe": recipe, "photos": photos.name, "seed": seed, **said_by(run), "figures": figures}


def said_by(run: Path) -> dict[str, Any]:
    """Of the run itself: its length, its verdict, and the diversity of its best tick relative to that of the reals."""
    ticks = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    verdict = json.loads((run / "verdict.json").read_text())
    best = next((tick for tick in ticks if tick["tick"] == verdict.get("best_tick")), ticks[-1])
    return {
        "kimg": ticks[-1]["nimg"] / 1000,
        "verdict": verdict.get("verdict"),
        "diversity": best.get("diversity"),
    }


def print_table(args: argparse.Namespace) -> None:
    """A Markdown row for each recipe, set, length and seed, with the intervals."""
    names = ("photos", "min", "seed", "recipe", "kimg", "coverage", "KID", "diversity", "verdict")
    print("|", " | ".join(names), "|")
    print("|", " | ".join("---" for _ in names), "|")
    for row in sorted(
        (r for r in rows(args.out) if "seed" in r), key=lambda r: (r["photos"], r["minutes"], r["recipe"])
    ):
        coverage, kid = (
            f"{f['value']:.3f} ({f['low']:.3f} to {f['high']:.3f})" for f in map(row["figures"].get, NAMES)
        )
        kept = (row["photos"], f"{row['minutes']:g}", row["seed"], row["recipe"], f"{row['kimg']:.1f}")
        diversity = "" if row.get("diversity") is None else f"{row['diversity']:.2f}"
        print("|", " | ".join(map(str, (*kept, coverage, kid, diversity, row["verdict"]))), "|")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("rates", "train", "table"))
    parser.add_argument("photos", nargs="*", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path(__file__).with_suffix(".jsonl"))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--recipes", type=lambda text: text.split(","), default=list(RECIPES))
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[0])
    args = parser.parse_args()
    {"rates": measure_rates, "train": train, "table": print_table}[args.verb](args)


if __name__ == "__main__":
    main()
