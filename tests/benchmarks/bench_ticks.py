"""What the ticks cost: the seconds of a tick (measures, grids, checkpoint) as a share of the training between two.

    python tests/benchmarks/bench_ticks.py [--models dcgan,wgan-gp] [--sizes 64] [--counts 500,4000] [--ticks 3]

Here some ticks follow each other at once, and the seconds of the median one are set against the training between two
as `gan train` plans it: for a run of an hour (`share`) and for one of five minutes. Fitting the measures to the reals
(`fit_s`) is paid once at each start.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gancli.config import TrainOptions
from gancli.images import write_png
from gancli.painter import landscapes
from gancli.training import ticks
from gancli.training.choosing import plan_tick_kimg
from gancli.training.session import open_session


def paint(folder: Path, count: int, side: int) -> Path:
    """A folder of painted landscapes."""
    images, _ = landscapes(count, (side, side), 3)
    folder.mkdir(parents=True)
    for index, image in enumerate(np.asarray(images)):
        write_png(folder / f"{index:05d}.png", image)
    return folder


def measure(model: str, data: Path, side: int, num_ticks: int, out: Path) -> dict[str, Any]:
    """Seconds of making the measures, of each tick, and of the measures within it."""
    spent: dict[str, list[float]] = {"fit": [], "tick": [], "measure": []}
    originals = {name: getattr(ticks.Reporter, name) for name in ("_make_monitor", "tick", "_measure")}

    def timed(name: str, key: str) -> Any:
        def call(*args: Any) -> Any:
            began = time.perf_counter()
            result = originals[name](*args)
            spent[key].append(time.perf_counter() - began)
            return result

        return call

    for name, key in (("_make_monitor", "fit"), ("tick", "tick"), ("_measure", "measure")):
        setattr(ticks.Reporter, name, timed(name, key))
    try:
        options = TrainOptions(data=str(data), model=model, size=str(side), kimg=0.064 * num_ticks, tick_kimg=0.064)
        session = open_session(options, out=out)
        for _ in session.ticks():
            pass
    finally:
        for name, original in originals.items():
            setattr(ticks.Reporter, name, original)
    tick, rate = statistics.median(spent["tick"]), session.engine.images_per_s

    def share(minutes: float) -> float:
        between = (
            plan_tick_kimg(replace(session.config, kimg=None, tick_kimg=None, minutes=minutes), rate) * 1000 / rate
        )
        return round(tick / (tick + between), 4)

    return {
        "model": model,
        "images": session.config.num_images,
        "images_per_s": rate,
        "fit_s": round(spent["fit"][0], 2),
        "tick_s": [round(s, 2) for s in spent["tick"]],
        "measure_s": round(statistics.median(spent["measure"]), 2),
        "share": share(60),
        "share_in_five_minutes": share(5),
    }


def main() -> None:
    """Measures every combination, one JSON line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="dcgan,wgan-gp")
    parser.add_argument("--sizes", default="64")
    parser.add_argument("--counts", default="500,4000")
    parser.add_argument("--ticks", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for side in map(int, given.sizes.split(",")):
            for count in map(int, given.counts.split(",")):
                data = paint(Path(folder) / f"{count}-{side}", count, side)
                for model in given.models.split(","):
                    out = Path(folder) / f"run-{model}-{count}-{side}"
                    print(json.dumps(measure(model, data, side, given.ticks, out)), flush=True)


if __name__ == "__main__":
    main()
