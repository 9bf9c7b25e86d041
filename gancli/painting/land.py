"""The land: ranges with a light and a shadow side, water that mirrors them, conifers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gancli.painting.canvas import TABLE, Canvas, Colour, Floats, Light, rgb, smooth

__all__ = ["Relief", "forest", "mountains", "ridge", "water"]


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
    grain: tuple[float, float] = (9.0, 13.0)
    spurs: float = 0.5
    contrast: float = 1.0
    strata: float = 0.0
    plateau: float = 0.0


def ridge(canvas: Canvas, relief: Relief, base: float, height: float) -> tuple[Floats, list[tuple[float, int]]]:
    """The silhouette [W] of a range, and its folds (cells to a height, row of the table) for the shading."""
    line: Floats = np.zeros(canvas.width, np.float32)
    folds = []
    frequency = relief.peaks * canvas.between(0.8, 1.25)
    first = int(canvas.rng.integers(TABLE))
    weight = 1.0
    for k in range(7):
        row = first + k
        if frequency < canvas.height / 3:
            line += np.float32(weight) * _height(canvas, canvas.u, frequency, row, relief.rounded)
            folds.append((frequency, row))
        frequency *= 2.1
        weight *= relief.roughness
    if relief.plateau:
        line = np.clip(line * np.float32(1 + 3 * relief.plateau), -0.8, 0.75)
    return np.float32(base) - np.float32(height) * (line * np.float32(0.5) + np.float32(0.5)), folds


def _cells(canvas: Canvas, row: int) -> Floats:
    """The heights of one octave of a ridge: peaks and valleys take turns, so that a range has real summits."""
    turn = np.where((np.arange(TABLE) + row) % 2 == 0, np.float32(0.55), np.float32(-0.55))
    return np.asarray(turn + canvas.table[row % TABLE] * np.float32(0.45))


def _height(canvas: Canvas, at: Floats, frequency: float, row: int, rounded: bool) -> Floats:
    cells = _cells(canvas, row)
    place = at * np.float32(frequency)
    index = place.astype(np.int32)
    part = place - index
    if rounded:
        part = part * part * (3 - 2 * part)
    start = cells[index % TABLE]
    return start + (cells[(index + 1) % TABLE] - start) * part


def _steepness(canvas: Canvas, at: Floats, frequency: float, row: int, rounded: bool) -> Floats:
    cells = _cells(canvas, row)
    rise = np.roll(cells, -1) - cells
    place = at * np.float32(frequency) + np.float32(TABLE)
    index = place.astype(np.int32)
    steep: Floats = rise[index & (TABLE - 1)]
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
    lean = canvas.between(-0.5, 0.5)
    top = min(max(0, int(float(line.min()) * canvas.height) - 1), canvas.height - 1)
    warp = canvas.noise(5.0, 7.0, 2, rounded=relief.rounded, top=top)
    texture = canvas.noise(*relief.grain, 3, top=top)
    v = canvas.v[top:, None]
    depth = v - line[None, :]
    below = np.maximum(depth, 0)
    shifted = canvas.u[None, :] + (warp * np.float32(0.55) + np.float32(lean)) * below
    steep: Floats = np.zeros_like(depth)
    for k, (frequency, row) in enumerate(folds[:3]):
        steep += np.float32(relief.spurs**k) * _steepness(canvas, shifted, frequency, row, relief.rounded)
    facing = np.float32(0.5) - np.float32(0.5 * canvas.sun_side) * np.tanh(steep * np.float32(1.6 * relief.contrast))
    facing = np.clip(facing + np.float32(0.16) * texture, 0, 1)
    surface = _surface(relief, texture, warp, depth)
    if snow is not None:
        edge = (
            np.float32(snow) + np.float32(0.06) * warp + np.float32(0.07) * texture + np.float32(0.09) * (facing - 0.5)
        )
        white = smooth(-0.018, 0.018, edge - v)
        surface += white[:, :, None] * (np.array((0.97, 0.98, 1.0), np.float32) - surface)
    tint = rgb(light.shade) + facing[:, :, None] * (rgb(light.sunlit) - rgb(light.shade))
    surface *= tint
    air = np.clip(
        np.float32(haze) + np.float32(0.9 * haze) * below / np.float32(max(relief.height * scale, 0.05)), 0, 0.93
    )
    distance = rgb(light.horizon) * np.float32(0.72) + rgb(light.middle) * np.float32(0.28)
    surface += air[:, :, None] * (distance - surface)
    canvas.blend(np.clip(depth * np.float32(canvas.height) + np.float32(0.5), 0, 1), surface, top)
    return line


def _surface(relief: Relief, texture: Floats, warp: Floats, depth: Floats) -> Floats:
    """The colour of the ground [H, W, 3] before light and air."""
    amount = np.full_like(texture, 0.0)
    if relief.patches:
        amount = np.float32(relief.patches) * smooth(-0.45, 0.55, texture + np.float32(0.6) * warp)
    if relief.strata:
        bands = np.sin((depth + np.float32(0.03) * warp) * np.float32(70.0))
        amount = amount + np.float32(relief.strata) * (bands * np.float32(0.5) + np.float32(0.5))
    first = rgb(relief.colour)
    return first + np.clip(amount, 0, 1)[:, :, None] * (rgb(relief.second) - first)


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
    tint = rgb(colour) * rgb(light.sunlit)
    keep = np.clip(np.float32(0.22) + depth * np.float32(0.9), 0, 0.6)[:, None, None]
    image += keep * (tint - image)
    path = np.exp(-(((canvas.u - np.float32(canvas.sun[0])) / np.float32(0.07)) ** 2))[None, :]
    image += (path * np.clip(ripple, 0, 1) * np.float32(0.5 * light.glow))[:, :, None] * rgb(light.sun)
    image += (ripple * np.float32(0.025))[:, :, None]
    canvas.rgb[top:] = image
    bank = np.clip(1 - np.abs(canvas.v - np.float32(shore)) * np.float32(160), 0, 1)[:, None] * np.float32(0.35)
    canvas.blend(np.repeat(bank, canvas.width, 1), rgb(light.horizon))


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
    tint = rgb(colour) * (rgb(light.shade) * np.float32(0.7) + rgb(light.sunlit) * np.float32(0.3))
    canvas.blend(mask, tint)
