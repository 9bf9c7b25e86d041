"""The brushes of the painter: noise, sky, mountain ranges, water, trees, all on one float canvas.

Lengths are in picture heights: `u` runs from 0 at the left to width / height, `v` from 0 at the top to 1. A scene
depends on its random draws alone and not on the number of pixels, so a seed shows one scene at every size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Canvas", "Light", "Relief", "clouds", "forest", "mist", "mountains", "sky", "water"]

Floats = NDArray[np.float32]
Colour = tuple[float, float, float]
_TABLE = 64


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


@dataclass(frozen=True, kw_only=True)
class Relief:
    """The shape and the surface of a range: how high, how many peaks, how rough, of which colours."""

    height: float
    peaks: float
    roughness: float
    rounded: bool
    colour: Colour
    second: Colour
    patches: float = 0.0
    contrast: float = 1.0
    strata: float = 0.0
    plateau: float = 0.0


class Canvas:
    """A picture in the making: `rgb` float32 [H, W, 3], and the random numbers of its scene."""

    def __init__(self, rng: np.random.Generator, width: int, height: int) -> None:
        self.rng = rng
        self.width, self.height = width, height
        self.aspect = width / height
        self.u: Floats = ((np.arange(width, dtype=np.float32) + 0.5) / height).astype(np.float32)
        self.v: Floats = ((np.arange(height, dtype=np.float32) + 0.5) / height).astype(np.float32)
        self.rgb: Floats = np.zeros((height, width, 3), np.float32)
        self.table: Floats = (rng.random((_TABLE, _TABLE)) * 2 - 1).astype(np.float32)
        self.sun = (0.0, 0.0)
        self.sun_side = 1.0

    def between(self, low: float, high: float) -> float:
        """A random number in [low, high)."""
        return low + (high - low) * float(self.rng.random())

    def noise(self, across: float, down: float, octaves: int = 3, rounded: bool = True, gain: float = 0.5) -> Floats:
        """Fractal value noise [H, W] in about [-1, 1] with `across` and `down` cells to a picture height."""
        total: Floats = np.zeros((self.height, self.width), np.float32)
        reach = 0.0
        for k in range(octaves):
            rows, columns = self.rng.integers(0, _TABLE, 2)
            if k and max(across, down) * 2**k > self.height / 2:
                continue
            left = _weights(self.v, down * 2**k, rounded)
            right = _weights(self.u, across * 2**k, rounded)
            cells = self.table[
                (rows + np.arange(left.shape[1]))[:, None] % _TABLE, (columns + np.arange(right.shape[1])) % _TABLE
            ]
            total += np.float32(gain**k) * (left @ cells @ right.T)
            reach += gain**k
        return total / np.float32(reach)

    def blend(self, mask: Floats, colour: Floats, top: int = 0) -> None:
        """Lay `colour` over the rows from `top`, as thick as `mask` [H - top, W] says."""
        part = self.rgb[top:]
        part += mask[:, :, None] * (colour - part)


def _weights(at: Floats, cells: float, rounded: bool) -> Floats:
    """The interpolation matrix [len(at), lattice points] of a lattice with `cells` cells to a unit."""
    place = at * np.float32(cells)
    index = place.astype(np.int64)
    part = place - index
    if rounded:
        part = part * part * (3 - 2 * part)
    rows = np.arange(len(at))
    matrix = np.zeros((len(at), int(index[-1]) + 2), np.float32)
    matrix[rows, index] = 1 - part
    matrix[rows, index + 1] = part
    return matrix


def _colour(value: Colour) -> Floats:
    return np.array(value, np.float32)


def smooth(low: float, high: float, value: Floats) -> Floats:
    """0 below `low`, 1 above `high`, smooth between."""
    part = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(part * part * (3 - 2 * part))


def sky(canvas: Canvas, light: Light, horizon: float) -> None:
    """Paint the whole canvas with a sky whose horizon lies at `horizon`, and hang the sun or the moon in it."""
    place = np.clip(canvas.v / np.float32(horizon), 0, 1) ** np.float32(canvas.between(0.8, 1.3))
    stops = np.array([light.zenith, light.middle, light.horizon], np.float32)
    column = np.stack([np.interp(place, (0.0, 0.55, 1.0), stops[:, c]) for c in range(3)], axis=1)
    canvas.rgb[:] = column.astype(np.float32)[:, None, :]
    side = canvas.between(-0.42, 0.42)
    altitude = canvas.between(*light.altitude)
    radius = canvas.between(0.022, 0.045)
    canvas.sun = (canvas.aspect * (0.5 + side), horizon - altitude)
    canvas.sun_side = 1.0 if side > 0 else -1.0
    far = np.hypot(canvas.u[None, :] - np.float32(canvas.sun[0]), canvas.v[:, None] - np.float32(canvas.sun[1]))
    if light.stars:
        _stars(canvas, horizon)
    halo = np.exp(far * np.float32(-3.2)) * np.float32(light.glow)
    canvas.blend(np.clip(halo, 0, 0.9), _colour(light.sun))
    disc = np.clip((np.float32(radius) - far) * np.float32(canvas.height) * np.float32(0.5) + np.float32(0.5), 0, 1)
    canvas.blend(disc, np.clip(_colour(light.sun) * np.float32(1.12), 0, 1))


def _stars(canvas: Canvas, horizon: float) -> None:
    places = canvas.rng.random((70, 3))
    size = max(1, canvas.height // 220)
    for x, y, bright in places:
        column, row = int(x * canvas.width), int(y * horizon * canvas.height)
        spot = canvas.rgb[row : row + size, column : column + size]
        spot += np.float32(0.75 * bright**2) * (1 - spot)


def clouds(canvas: Canvas, light: Light, cover: float, horizon: float) -> None:
    """Drifting clouds, `cover` in [0, 1] of the sky, lit from below by the horizon."""
    field = canvas.noise(1.3, 4.0, 4)
    mask = smooth(0.55 - cover, 1.05 - cover, field) * np.clip(1.25 - canvas.v / np.float32(horizon), 0, 1)[:, None]
    lit = np.float32(0.55) * _colour(light.horizon) + np.float32(0.45) * _colour(light.sun)
    canvas.blend(mask * np.float32(0.8), lit)


def ridge(canvas: Canvas, relief: Relief, base: float, height: float) -> tuple[Floats, list[tuple[float, int, float]]]:
    """The silhouette [W] of a range, and its folds (cells to a height, row of the table, weight) for the shading."""
    line: Floats = np.zeros(canvas.width, np.float32)
    folds = []
    frequency = relief.peaks * canvas.between(0.8, 1.25)
    first = int(canvas.rng.integers(_TABLE))
    weight = 1.0
    for k in range(7):
        row = first + k
        if frequency < canvas.height / 3:
            line += np.float32(weight) * _height(canvas, canvas.u, frequency, row, relief.rounded)
            folds.append((frequency, row, weight))
        frequency *= 2.1
        weight *= relief.roughness
    if relief.plateau:
        line = np.clip(line * np.float32(1 + 3 * relief.plateau), -0.8, 0.75)
    return np.float32(base) - np.float32(height) * (line * np.float32(0.5) + np.float32(0.5)), folds


def _cells(canvas: Canvas, row: int) -> Floats:
    """The heights of one octave of a ridge: peaks and valleys take turns, so that a range has real summits."""
    turn = np.where((np.arange(_TABLE) + row) % 2 == 0, np.float32(0.55), np.float32(-0.55))
    return np.asarray(turn + canvas.table[row % _TABLE] * np.float32(0.45))


def _height(canvas: Canvas, at: Floats, frequency: float, row: int, rounded: bool) -> Floats:
    cells = _cells(canvas, row)
    place = at * np.float32(frequency)
    index = place.astype(np.int32)
    part = place - index
    if rounded:
        part = part * part * (3 - 2 * part)
    start = cells[index % _TABLE]
    return start + (cells[(index + 1) % _TABLE] - start) * part


def _steepness(canvas: Canvas, at: Floats, frequency: float, row: int, rounded: bool) -> Floats:
    cells = _cells(canvas, row)
    rise = np.roll(cells, -1) - cells
    place = at * np.float32(frequency) + np.float32(_TABLE)
    index = place.astype(np.int32)
    steep: Floats = rise[index & (_TABLE - 1)]
    if rounded:
        part = place - index
        steep *= 6 * part * (1 - part)
    return steep


def mountains(
    canvas: Canvas,
    light: Light,
    relief: Relief,
    base: float,
    *,
    haze: float,
    snow: float | None = None,
    scale: float = 1.0,
) -> Floats:
    """A range whose foot lies at `base`: a light and a shadow side, patches, snow above `snow`; returns its silhouette.

    `haze` in [0, 1] is how far the air has washed it out; `scale` multiplies the height of the relief.
    """
    line, folds = ridge(canvas, relief, base, relief.height * scale)
    warp = canvas.noise(5.0, 7.0, 2, rounded=relief.rounded)
    texture = canvas.noise(9.0, 13.0, 3)
    lean = canvas.between(-0.35, 0.35)
    top = max(0, int(float(line.min()) * canvas.height) - 1)
    if top >= canvas.height:
        return line
    v = canvas.v[top:, None]
    depth = v - line[None, :]
    below = np.maximum(depth, 0)
    shifted = canvas.u[None, :] + (warp[top:] * np.float32(0.55) + np.float32(lean)) * below
    steep: Floats = np.zeros_like(depth)
    for frequency, row, weight in folds[:3]:
        steep += np.float32(weight) * _steepness(canvas, shifted, frequency, row, relief.rounded)
    facing = np.float32(0.5) - np.float32(0.5 * canvas.sun_side) * np.tanh(steep * np.float32(1.6 * relief.contrast))
    facing = np.clip(facing + np.float32(0.16) * texture[top:], 0, 1)
    surface = _surface(relief, texture[top:], warp[top:], depth)
    if snow is not None:
        edge = (
            np.float32(snow)
            + np.float32(0.10) * warp[top:]
            + np.float32(0.05) * texture[top:]
            + np.float32(0.05) * facing
        )
        white = smooth(-0.018, 0.018, edge - v)
        surface += white[:, :, None] * (np.array((0.97, 0.98, 1.0), np.float32) - surface)
    tint = _colour(light.shade) + facing[:, :, None] * (_colour(light.sunlit) - _colour(light.shade))
    surface *= tint
    air = np.clip(
        np.float32(haze) + np.float32(0.9 * haze) * below / np.float32(max(relief.height * scale, 0.05)), 0, 0.93
    )
    distance = _colour(light.horizon) * np.float32(0.72) + _colour(light.middle) * np.float32(0.28)
    surface += air[:, :, None] * (distance - surface)
    canvas.blend(np.clip(depth * np.float32(canvas.height) + np.float32(0.5), 0, 1), surface, top)
    return line


def _surface(relief: Relief, texture: Floats, warp: Floats, depth: Floats) -> Floats:
    """The colour of the ground [H, W, 3] before light and air."""
    amount = np.full_like(texture, 0.0)
    if relief.patches:
        amount = np.float32(relief.patches) * smooth(-0.25, 0.45, texture + warp)
    if relief.strata:
        bands = np.sin((depth + np.float32(0.03) * warp) * np.float32(70.0))
        amount = amount + np.float32(relief.strata) * (bands * np.float32(0.5) + np.float32(0.5))
    first = _colour(relief.colour)
    return first + np.clip(amount, 0, 1)[:, :, None] * (_colour(relief.second) - first)


def mist(canvas: Canvas, light: Light, height: float, thickness: float, *, billow: float = 0.0) -> None:
    """Mist that lies below `height` and thins above it; with `billow` it has a shape of its own: a sea of clouds."""
    field = canvas.noise(2.2, 5.0, 4) if billow else canvas.noise(1.2, 3.0, 2)
    depth = canvas.v[:, None] - np.float32(height) + field * np.float32(0.05 + 0.10 * billow)
    mask = smooth(-0.03 - 0.07 * (1 - billow), 0.05 + 0.07 * (1 - billow), depth) * np.float32(thickness)
    if not billow:
        mask = mask * np.exp(np.minimum(0, np.float32(0.06) - depth) * np.float32(7))
    white = _colour(light.horizon) * np.float32(0.6) + _colour(light.sunlit) * np.float32(0.4)
    relief = np.float32(1.0) + np.float32(0.16 * billow) * field
    shaded = np.clip(white, 0, 1) * relief[:, :, None]
    if billow:
        fade = np.clip((depth - np.float32(0.1)) * np.float32(1.6), 0, 0.5)
        shaded = shaded + fade[:, :, None] * (_colour(light.shade) * np.float32(0.95) - shaded)
    canvas.blend(mask, shaded)


def water(canvas: Canvas, light: Light, shore: float, colour: Colour) -> None:
    """A lake from `shore` down that mirrors what stands above it, with ripples and the path of the sun."""
    top = int(shore * canvas.height)
    rows = np.arange(top, canvas.height)
    if not len(rows):
        return
    depth = (rows - top).astype(np.float32) / np.float32(canvas.height)
    mirrored = np.clip(top - 1 - (rows - top) * 1.15, 0, top - 1).astype(np.int64)
    ripple = canvas.noise(2.0, 55.0, 1)[top:]
    shift = (ripple * depth[:, None] * np.float32(0.12 * canvas.height)).astype(np.int64)
    columns = np.clip(np.arange(canvas.width)[None, :] + shift, 0, canvas.width - 1)
    image = canvas.rgb[mirrored[:, None], columns] * np.float32(0.82)
    tint = _colour(colour) * _colour(light.sunlit)
    keep = np.clip(np.float32(0.22) + depth * np.float32(0.9), 0, 0.6)[:, None, None]
    image += keep * (tint - image)
    path = np.exp(-(((canvas.u - np.float32(canvas.sun[0])) / np.float32(0.07)) ** 2))[None, :]
    image += (path * np.clip(ripple, 0, 1) * np.float32(0.5 * light.glow))[:, :, None] * _colour(light.sun)
    image += (ripple * np.float32(0.025))[:, :, None]
    canvas.rgb[top:] = image
    bank = np.clip(1 - np.abs(canvas.v - np.float32(shore)) * np.float32(160), 0, 1)[:, None] * np.float32(0.35)
    canvas.blend(np.repeat(bank, canvas.width, 1), _colour(light.horizon))


def forest(canvas: Canvas, light: Light, ground: Floats, colour: Colour, *, num: int, height: float) -> None:
    """Conifers on the line `ground` [W], dark against what lies behind."""
    draws = canvas.rng.random((num, 4)).astype(np.float32)
    at = draws[:, :1] * np.float32(canvas.aspect)
    tall = np.float32(height) * (np.float32(0.45) + np.float32(0.75) * draws[:, 1:2])
    half = tall * (np.float32(0.16) + np.float32(0.10) * draws[:, 2:3])
    off = np.abs(canvas.u[None, :] - at) / half
    feet = np.interp(at[:, 0], canvas.u, ground)[:, None].astype(np.float32)
    crown = feet - tall * (1 - off) ** np.float32(1.0)
    tops = np.where(off < 1, crown, np.float32(9)).min(axis=0)
    depth = canvas.v[:, None] - tops[None, :]
    mask = np.clip(depth * np.float32(canvas.height * 0.8) + np.float32(0.5), 0, 1)
    mask = mask * np.clip((ground[None, :] + np.float32(0.02) - canvas.v[:, None]) * np.float32(60), 0, 1)
    tint = _colour(colour) * (_colour(light.shade) * np.float32(0.7) + _colour(light.sunlit) * np.float32(0.3))
    canvas.blend(mask, tint)
