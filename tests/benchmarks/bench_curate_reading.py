"""How much faster 12-megapixel JPEGs become 160-pixel pictures than by plain open and Lanczos, one core each.

    python tests/benchmarks/bench_curate_reading.py [count]

In turns, in CPU seconds, on pictures painted for the purpose; medians; the target is 8 times. The floor is what
libjpeg needs for the smallest scale that suffices, most of it entropy decoding: no reader gets below it.
"""

from __future__ import annotations

import io
import json
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from PIL import Image

from gancli.curate.rendering import near_px
from gancli.images import fit_image, read_image


def photograph(seed: int) -> bytes:
    """A 4000x3000 JPEG with detail at every scale."""
    rng = np.random.default_rng(seed)
    image = np.zeros((3000, 4000, 3), np.float32)
    for cells in (8, 64, 1000):
        small = rng.integers(0, 256, (cells * 3 // 4, cells, 3), dtype=np.uint8)
        layer = Image.fromarray(small).resize((4000, 3000), Image.Resampling.BICUBIC)
        image += np.asarray(layer, np.float32) / cells**0.5
    image = (image - image.min()) / (image.max() - image.min()) * 255
    buffer = io.BytesIO()
    Image.fromarray(image.astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def ours(data: bytes) -> Image.Image:
    return fit_image(read_image(data, near_px=near_px((160, 160))), (160, 160))


def plain(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side)).resize((160, 160), Image.Resampling.LANCZOS)


def floor(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.draft(None, (near_px((160, 160)),) * 2)
    image.decodermaxblock = len(data)
    image.load()
    return image


def measure(count: int) -> dict[str, float]:
    """CPU milliseconds a picture, and how far the results are apart (0..255)."""
    files = [photograph(seed) for seed in range(2)]
    spent: dict[str, list[float]] = {"ours": [], "plain": [], "floor": []}
    ways: dict[str, Callable[[bytes], Image.Image]] = {"ours": ours, "plain": plain, "floor": floor}
    for turn in range(count):
        for name, way in ways.items():
            start = time.process_time()
            way(files[turn % 2])
            spent[name].append(time.process_time() - start)
    apart = np.abs(np.asarray(ours(files[0])).astype(int) - np.asarray(plain(files[0])).astype(int))
    middle = {name: statistics.median(seconds) for name, seconds in spent.items()}
    figures = {f"{name}_ms": round(1000 * seconds, 1) for name, seconds in middle.items()}
    return {
        **figures,
        "times": round(middle["plain"] / middle["ours"], 2),
        "times_at_the_floor": round(middle["plain"] / middle["floor"], 2),
        "mean_difference": round(float(apart.mean()), 2),
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 12)))
