"""One palette for all frames of a GIF, and a dither that stands still.

Error diffusion wanders from frame to frame and flickers; an ordered pattern fixed to the screen does not, and a still
part of the picture stays the same bytes.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gancli.render.frames import Frames

__all__ = ["Palette", "make_palette"]

Bytes = npt.NDArray[np.uint8]
_SAMPLE = 400_000
_LEVELS = 64  # the lookup table knows 64 levels a channel


@dataclass(frozen=True)
class Palette:
    """`colours` uint8 [n, 3]; `table` uint8 [64, 64, 64] the nearest of them; `spread` the dither's reach in levels."""

    colours: Bytes
    table: Bytes
    spread: float

    def indices(self, frame: Bytes) -> Bytes:
        """`frame` [H, W, 3] as palette indices [H, W], dithered by a pattern fixed to the screen."""
        height, width = frame.shape[:2]
        pattern = np.tile(_BAYER, (-(-height // 8), -(-width // 8)))[:height, :width, None]
        nudged = np.clip(frame + pattern * self.spread, 0, 255).astype(np.uint8) >> 2
        found: Bytes = self.table[nudged[..., 0], nudged[..., 1], nudged[..., 2]]
        return found


def make_palette(frames: Frames, num_colours: int) -> Palette:
    """The `num_colours` (2 to 256) that suit all `frames` (3 channels, or 4: transparent pixels are not counted)."""
    from scipy.spatial import KDTree

    centres, weights = _histogram(_sample(frames))
    colours = _cluster(centres, weights, num_colours)
    tree = KDTree(colours.astype(np.float64))
    levels = np.arange(_LEVELS) * 4 + 1.5
    cells = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    table = tree.query(cells)[1].astype(np.uint8).reshape(_LEVELS, _LEVELS, _LEVELS)
    if len(colours) < 3:
        return Palette(colours, table, 0.0)
    gaps = tree.query(colours, k=2)[0][:, 1]
    return Palette(colours, table, min(0.7 * float(np.median(gaps)), 24.0))


def _histogram(pixels: Bytes) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The mean colour and the number of the pixels in each cell of 8 levels a side."""
    wide = pixels.astype(np.int64)
    cell = (wide[:, 0] >> 3 << 10) | (wide[:, 1] >> 3 << 5) | (wide[:, 2] >> 3)
    counts = np.bincount(cell, minlength=1 << 15).astype(np.float64)
    used = np.flatnonzero(counts)
    sums = np.stack([np.bincount(cell, wide[:, i], minlength=1 << 15)[used] for i in range(3)], axis=1)
    return sums / counts[used, None], counts[used]


def _cluster(points: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], count: int) -> Bytes:
    """At most `count` colours for weighted `points` [M, 3]: median cut, then Lloyd's iterations."""
    from scipy.spatial import KDTree

    if len(points) <= count:
        return np.unique(np.rint(points).astype(np.uint8), axis=0)
    everything = np.arange(len(points))
    boxes = [(-np.inf, 0, everything)]
    while len(boxes) < count:
        _weight, _number, box = heapq.heappop(boxes)
        axis = int(np.argmax(np.ptp(points[box], axis=0)))
        order = box[np.argsort(points[box, axis], kind="stable")]
        total = np.cumsum(weights[order])
        cut = int(np.clip(np.searchsorted(total, total[-1] / 2), 1, len(order) - 1))
        for half in (order[:cut], order[cut:]):
            width = float(np.ptp(points[half], axis=0).max()) * float(weights[half].sum()) ** 0.5
            heapq.heappush(boxes, (-width, int(half[0]), half))
    centres = np.stack([np.average(points[box], axis=0, weights=weights[box]) for _weight, _number, box in boxes])
    for _ in range(8):
        nearest = KDTree(centres).query(points)[1]
        mass = np.bincount(nearest, weights, minlength=len(centres))
        sums = [np.bincount(nearest, weights * points[:, i], minlength=len(centres)) for i in range(3)]
        moved = np.stack(sums, axis=1) / np.maximum(mass, 1e-9)[:, None]
        centres = np.where(mass[:, None] > 0, moved, centres)
    return np.unique(np.rint(centres).clip(0, 255).astype(np.uint8), axis=0)


def _sample(frames: Frames) -> Bytes:
    """About 400,000 pixels from all frames, on a grid that shifts, so that no column is left out."""
    chosen = np.unique(np.linspace(0, frames.count - 1, min(frames.count, 128)).astype(int))
    stride = max(1, int(np.sqrt(len(chosen) * frames.height * frames.width / _SAMPLE)))
    parts = []
    for turn, index in enumerate(chosen):
        part = frames.load(int(index))[turn % stride :: stride, (turn // stride) % stride :: stride]
        flat = part.reshape(-1, part.shape[2])
        parts.append(flat[flat[:, 3] >= 128, :3] if flat.shape[1] == 4 else flat)
    pixels = np.concatenate(parts)
    return pixels if len(pixels) else np.zeros((1, 3), np.uint8)


def _bayer(order: int) -> npt.NDArray[np.float32]:
    matrix = np.zeros((1, 1))
    for _ in range(order):
        matrix = np.block([[4 * matrix, 4 * matrix + 2], [4 * matrix + 3, 4 * matrix + 1]])
    return ((matrix + 0.5) / matrix.size - 0.5).astype(np.float32)


_BAYER = _bayer(3)
