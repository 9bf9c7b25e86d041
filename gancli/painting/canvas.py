"""The canvas of the painter, its light and its noise.

Lengths are in picture heights: `u` runs from 0 at the left to width / height, `v` from 0 at the top to 1. A scene
depends on its random draws alone and not on the number of pixels, so a seed shows one scene at every size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["TABLE", "Canvas", "Colour", "Floats", "Light", "rgb", "smooth"]

Floats = NDArray[np.float32]
Colour = tuple[float, float, float]
TABLE = 64


@dataclass(frozen=True, kw_only=True)
class Light:
    """An hour of the day: three stops of sky from the zenith down, the sun, and what it does to a surface.

    Colours are RGB in [0, 1]; `sunlit` and `shade` multiply the colour of a surface and may exceed 1.
    """

    zenith: Colour
    middle: Colour
    horizon: Colour
    sun: Colour
    sunlit: Colour
    shade: Colour
    altitude: tuple[float, float]
    glow: float
    stars: bool = False


class Canvas:
    """A picture in the making: `rgb` float32 [H, W, 3], and the random numbers of its scene."""

    def __init__(self, rng: np.random.Generator, width: int, height: int) -> None:
        self.rng = rng
        self.width, self.height = width, height
        self.aspect = width / height
        self.u: Floats = ((np.arange(width, dtype=np.float32) + 0.5) / height).astype(np.float32)
        self.v: Floats = ((np.arange(height, dtype=np.float32) + 0.5) / height).astype(np.float32)
        self.rgb: Floats = np.zeros((height, width, 3), np.float32)
        self.table: Floats = (rng.random((TABLE, TABLE)) * 2 - 1).astype(np.float32)
        self.sun = (0.0, 0.0)
        self.sun_side = 1.0

    def between(self, low: float, high: float) -> float:
        """A random number in [low, high)."""
        return low + (high - low) * float(self.rng.random())

    def noise(self, across: float, down: float, octaves: int = 3, *, rounded: bool = True, top: int = 0) -> Floats:
        """Fractal value noise in [-1, 1] for the rows from `top`; `across` and `down` are cells to a picture height."""
        total: Floats = np.zeros((self.height - top, self.width), np.float32)
        reach = 0.0
        for k in range(octaves):
            rows, columns = self.rng.integers(0, TABLE, 2)
            if k and max(across, down) * 2**k > self.height / 2:
                continue
            row, down_part = _lattice(self.v[top:], down * 2**k, rounded)
            column, across_part = _lattice(self.u, across * 2**k, rounded)
            cells = self.table[
                (rows + np.arange(row[-1] + 2))[:, None] % TABLE, (columns + np.arange(column[-1] + 2)) % TABLE
            ]
            strips = cells[:, column] + (cells[:, column + 1] - cells[:, column]) * across_part
            strips *= np.float32(0.5**k)
            total += strips[row]
            total += np.diff(strips, axis=0)[row] * down_part[:, None]
            reach += 0.5**k
        return total / np.float32(reach)

    def blend(self, mask: Floats, colour: Floats, top: int = 0) -> None:
        """Lay `colour` over the rows from `top`, as thick as `mask` [H - top, W] says."""
        part = self.rgb[top:]
        part += mask[:, :, None] * (colour - part)


def _lattice(at: Floats, cells: float, rounded: bool) -> tuple[NDArray[np.int64], Floats]:
    """The lattice point before each place and the share of the next, for a lattice with `cells` cells to a unit."""
    place = at * np.float32(cells)
    index = place.astype(np.int64)
    part = place - index.astype(np.float32)
    return index, part * part * (3 - 2 * part) if rounded else part


def rgb(value: Colour) -> Floats:
    """A colour as float32 [3]."""
    return np.array(value, np.float32)


def smooth(low: float, high: float, value: Floats) -> Floats:
    """0 below `low`, 1 above `high`, smooth between."""
    part = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(part * part * (3 - 2 * part))
