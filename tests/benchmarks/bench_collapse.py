"""A real collapse: what the verdict says of it and when, and what --on-collapse rollback makes of it.

    python tests/benchmarks/bench_collapse.py PHOTOS -o FOLDER [--seeds 0,1,2]

trains `dcgan` at 32 px on 100 of the photographs with a latent of two numbers, two batches an epoch and a generator
that learns twenty times as fast as its discriminator, once with --on-collapse warn and once with rollback for each
seed and for the same kimg (about a minute a run on two cores). It draws grids-SEED.png, the fresh grids of each warned
run in order and without any verdict: name the first collapsed one before reading the table, which is printed as JSON
lines.

The recipe's own rates (--lr 2e-4) do not collapse under the rest of these settings within 60 kimg.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

SETTINGS = ["--model", "dcgan", "--size", "32", "--width", "16", "--latent-dim", "2", "--batch", "47"]
SETTINGS += ["--lr", "4e-3", "--d-lr", "2e-4", "--augment", "none", "--kimg", "16", "--tick-kimg", "1"]
NUM_PHOTOS = 100


def choose(photos: Path, folder: Path) -> Path:
    """A folder with 100 of the photographs, evenly spaced."""
    if not folder.exists():
        folder.mkdir(parents=True)
        files = sorted(path for path in photos.iterdir() if path.is_file())
        for path in files[:: max(1, len(files) // NUM_PHOTOS)][:NUM_PHOTOS]:
            shutil.copy(path, folder / path.name)
    return folder


def train(photos: Path, run: Path, seed: int, on_collapse: str) -> dict[str, Any]:
    """One run; its coverage at the end (mean of three ticks), its verdict and its rollbacks."""
    words = ["train", str(photos), *SETTINGS, "--seed", str(seed), "--on-collapse", on_collapse, "-o", str(run), "-q"]
    subprocess.run([sys.executable, "-m", "gancli", *words], check=True, stdout=subprocess.DEVNULL)
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    verdict = json.loads((run / "verdict.json").read_text())
    undone = run / "rollbacks.jsonl"
    rollbacks = [json.loads(line) for line in undone.read_text().splitlines()] if undone.exists() else []
    return {
        "seed": seed,
        "on_collapse": on_collapse,
        "coverage": round(sum(row["coverage"] for row in rows[-3:]) / 3, 3),
        "diversity": round(sum(row["diversity"] for row in rows[-3:]) / 3, 3),
        "kid": round(rows[-1]["kid"], 3),
        "kimg": rows[-1]["kimg"],
        "verdict": verdict["verdict"],
        "since_tick": verdict["since_tick"],
        "rollbacks": [f"{r['verdict']['verdict']} at {r['from_nimg'] / 1000:g} kimg: {r['flag']}" for r in rollbacks],
    }


def draw_grids(run: Path, target: Path, columns: int = 4, side: int = 380) -> None:
    """The upper halves of the fresh grids in order, numbered by tick."""
    grids = []
    for path in sorted((run / "samples").glob("fresh-*.png")):
        with Image.open(path) as image:
            upper = image.convert("RGB").crop((0, 0, image.width, image.height // 2))
            grids.append(upper.resize((side - 4, round((side - 4) * upper.height / upper.width))))
    tall = grids[0].height + 14
    sheet = Image.new("RGB", (columns * side, -(-len(grids) // columns) * tall), "white")
    for tick, grid in enumerate(grids):
        place = (tick % columns * side, tick // columns * tall)
        ImageDraw.Draw(sheet).text(place, f"tick {tick}", fill="black")
        sheet.paste(grid, (place[0], place[1] + 12))
    sheet.save(target)


def main() -> None:
    """Trains, draws, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--seeds", default="0,1,2")
    given = parser.parse_args()
    photos = choose(given.photos, given.out / "photos")
    for seed in (int(part) for part in given.seeds.split(",")):
        for on_collapse in ("warn", "rollback"):
            run = given.out / f"{on_collapse}-{seed}"
            line = train(photos, run, seed, on_collapse)
            if on_collapse == "warn":
                draw_grids(run, given.out / f"grids-{seed}.png")
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
