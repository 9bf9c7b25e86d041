"""How long it takes to find all near pairs among a million hashes, and with how much memory.

    python tests/benchmarks/bench_curate_hashes.py [count] [--kind uniform|skewed]

Uniform: random 64-bit hashes and mirrored hashes, 7,000 planted pairs at distances 0 to 6, half of them by the mirrored
hash. Skewed: three tenths of them near-flat pictures, 50 patterns with 0 to 3 of 64 bits changed, grouped as `curate`
groups them. Every planted pair has to be found; the target is 60 s and 2 GB on two cores.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from gancli.curate.neighbours import DenseScan, find_dense, near_pairs

_U64 = npt.NDArray[np.uint64]


def changed(hashes: _U64, bits: npt.NDArray[np.int64], rng: np.random.Generator) -> _U64:
    """Each hash with as many different bits flipped as `bits` says."""
    result = hashes.copy()
    places = rng.permuted(np.tile(np.arange(64, dtype=np.uint64), (len(hashes), 1)), axis=1)
    for step in range(int(bits.max())):
        result = np.where(bits > step, result ^ (np.uint64(1) << places[:, step]), result)
    return result


def planted(count: int, kind: str, rng: np.random.Generator) -> tuple[_U64, _U64, npt.NDArray[np.int64]]:
    """(hashes, mirrored hashes, planted pairs `[N, 2]`), the pairs among hashes that are not near-flat."""
    hashes = rng.integers(0, 2**64, count, dtype=np.uint64)
    mirrored = rng.integers(0, 2**64, count, dtype=np.uint64)
    flat = count * 3 // 10 if kind == "skewed" else 0
    for array in (hashes, mirrored):
        patterns = rng.integers(0, 2**64, 50, dtype=np.uint64)
        array[:flat] = (
            changed(patterns[rng.integers(0, 50, flat)], rng.integers(0, 4, flat), rng) if flat else array[:flat]
        )
    num_pairs = min(7000, count // 20)
    chosen = flat + rng.permutation(count - flat)[: 2 * num_pairs].reshape(-1, 2)
    near = changed(hashes[chosen[:, 0]], np.arange(num_pairs) % 7, rng)
    half = num_pairs // 2
    hashes[chosen[:half, 1]] = near[:half]
    mirrored[chosen[half:, 1]] = near[half:]
    order = rng.permutation(count)
    place = np.argsort(order)
    return hashes[order], mirrored[order], place[chosen]


def group(hashes: _U64, mirrored: _U64, threshold: int) -> tuple[set[tuple[int, int]], int]:
    """(pairs listed, hashes taken into the groups of crowds): what `curate` does before it looks a second time."""
    dense = find_dense(hashes, mirrored, threshold)
    pairs = near_pairs(hashes, mirrored, threshold, dense)
    scan = DenseScan(hashes, mirrored, dense, threshold)
    taken = np.zeros(len(hashes), np.bool_)
    for center in np.nonzero(dense)[0].tolist():
        if not taken[center]:
            others, _, _ = scan.neighbours(center)
            taken[others] = True
            scan.take([*others.tolist(), center])
    return set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)), int(taken.sum())


def measure(count: int, kind: str) -> dict[str, Any]:
    """One line of figures."""
    hashes, mirrored, wanted = planted(count, kind, np.random.default_rng(0))
    wall, cpu = time.perf_counter(), time.process_time()
    pairs, taken = group(hashes, mirrored, 6)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    found = sum((min(a, b), max(a, b)) in pairs for a, b in wanted.tolist())
    return {
        "count": count,
        "kind": kind,
        "seconds": round(wall, 1),
        "cpu_seconds": round(cpu, 1),
        "memory_gb": round(_peak_gb(), 2),
        "recall": round(found / len(wanted), 5),
        "taken_from_crowds": taken,
    }


def _peak_gb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--kind", choices=("uniform", "skewed"), default="uniform")
    given = parser.parse_args()
    print(json.dumps(measure(given.count, given.kind)))
