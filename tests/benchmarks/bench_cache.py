"""A folder of many images: how fast the cache is built, how fast the second start is, how much memory it takes.

    python tests/benchmarks/bench_cache.py [--images 100000] [--size 64] [--format jpg]

Paints one landscape, writes cheap variations of it (shifted, brighter) as files of `size` px, and opens them
as `gan train` does, each time in a process of its own: the first builds the cache, the second finds it, and one reads
batches through it for a while. Pillow alone, without reading, resizing or writing, decodes a sample for comparison, in
as many threads and then in as many processes as there are cores. Prints images per second and the peak of the resident
memory; the pages of the mapped array, which the system takes back when it needs them, count in that peak, so what is
the process's own at the end is printed too (Linux). Everything lies in a temporary folder that is deleted.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from gancli.painter import landscapes

PER_FOLDER, VARIATIONS = 1000, 1024

OPEN = """
import json, os, resource, sys, time
from gancli.data.dataset import open_training_set
began, used = time.perf_counter(), sum(os.times()[:4])
data = open_training_set(sys.argv[1], size=sys.argv[2])
seconds, used = time.perf_counter() - began, sum(os.times()[:4]) - used
for start in range(0, int(sys.argv[3]) * 64, 64):
    data.images[(data.train[start : start + 64] * 7919) % len(data.images)].float().mean()
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
own = [int(line.split()[1]) / 1e3 for line in open("/proc/self/status") if line.startswith("RssAnon")]
found = {"seconds": seconds, "cpu_s": used, "images": len(data.images), "peak_mb": memory, "own_mb": own[0]}
print(json.dumps(found))
"""


def paint(folder: Path, num: int, size: int, kind: str) -> None:
    base = np.asarray(landscapes(1, (size + 32, size + 32), 1)[0][0])
    rng = np.random.default_rng(0)
    files = []
    for _ in range(min(num, VARIATIONS)):
        y, x = rng.integers(0, 32, 2)
        pixels = np.clip(base[y : y + size, x : x + size].astype(np.int16) + rng.integers(-30, 30), 0, 255)
        file = io.BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(file, "jpeg" if kind == "jpg" else "png")
        files.append(file.getvalue())
    for index in range(num):
        place = folder / f"{index // PER_FOLDER:04d}"
        if index % PER_FOLDER == 0:
            place.mkdir()
        (place / f"{index:06d}.{kind}").write_bytes(files[index % len(files)])


def decode(data: bytes) -> None:
    with Image.open(io.BytesIO(data)) as image:
        image.convert("RGB").load()


def decode_rate(folder: Path, workers: Executor) -> float:
    """Images per second that Pillow alone decodes."""
    sample = [path.read_bytes() for path in list(folder.glob("*/*"))[:8000]]
    with workers:
        list(workers.map(decode, sample[:400], chunksize=10))
        began = time.perf_counter()
        list(workers.map(decode, sample, chunksize=100))
        return len(sample) / (time.perf_counter() - began)


def opened(folder: Path, size: int, batches: int = 0) -> dict[str, float]:
    command = [sys.executable, "-c", OPEN, str(folder), str(size), str(batches)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--format", default="jpg", choices=("jpg", "png"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "images"
        folder.mkdir()
        os.environ["GAN_CACHE"] = str(Path(place) / "cache")
        began = time.perf_counter()
        paint(folder, args.images, args.size, args.format)
        print(f"painted {args.images:,} in {time.perf_counter() - began:.0f} s; {os.cpu_count()} cores", flush=True)
        for workers in (ThreadPoolExecutor(os.cpu_count()), ProcessPoolExecutor(os.cpu_count())):
            rate = decode_rate(folder, workers)
            print(f"load {os.getloadavg()[0]:.1f}; Pillow alone, {type(workers).__name__}: {rate:,.0f} images/s")
        first = opened(folder, args.size)
        rate, share = first["images"] / first["seconds"], first["cpu_s"] / first["seconds"]
        print(f"first start {first['seconds']:.1f} s, {rate:,.0f} images/s, {share:.1f} cores busy with it", flush=True)
        second = opened(folder, args.size)
        print(f"second start {second['seconds']:.1f} s", flush=True)
        read = opened(folder, args.size, batches=1000)
        peaks = ", ".join(f"{one['peak_mb']:,.0f} MB ({one['own_mb']:,.0f} its own)" for one in (first, second, read))
        array_mb = args.images * 3 * args.size**2 / 1e6
        print(f"peak memory: first, second, 1000 batches: {peaks}; the array itself {array_mb:,.0f} MB")


if __name__ == "__main__":
    main()
