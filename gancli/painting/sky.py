"""What hangs above the land: the gradient of the hour, sun and moon, stars, clouds, northern light, mist."""

from __future__ import annotations

import numpy as np

from gancli.painting.canvas import Canvas, Light, rgb, smooth

__all__ = ["aurora", "clouds", "mist", "sky"]


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
    canvas.blend(np.clip(halo, 0, 0.9), rgb(light.sun))
    disc = np.clip((np.float32(radius) - far) * np.float32(canvas.height) * np.float32(0.5) + np.float32(0.5), 0, 1)
    canvas.blend(disc * np.float32(min(1.0, 0.3 + 2 * light.glow)), np.clip(rgb(light.sun) * np.float32(1.12), 0, 1))


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
    lit = np.float32(0.55) * rgb(light.horizon) + np.float32(0.45) * rgb(light.sun)
    canvas.blend(mask * np.float32(0.8), lit)


def aurora(canvas: Canvas, horizon: float) -> None:
    """A curtain of northern light, green below and violet above."""
    fold = canvas.noise(1.1, 0.5, 2)[0] * np.float32(0.20) + canvas.noise(5.0, 0.5, 1)[0] * np.float32(0.03)
    rays = canvas.noise(14.0, 0.6, 2) * np.float32(0.45) + np.float32(0.75)
    rise = np.float32(horizon * canvas.between(0.45, 0.75)) + fold[None, :] - canvas.v[:, None]
    strength = np.where(rise > 0, np.exp(-rise * np.float32(5.5)), np.exp(rise * np.float32(40))) * rays
    upper = np.clip(rise * np.float32(3.2), 0, 1)[:, :, None]
    tint = rgb((0.30, 0.95, 0.62)) * (1 - upper) + rgb((0.55, 0.35, 0.85)) * upper
    canvas.blend(np.clip(strength * np.float32(0.75), 0, 1), tint)


def mist(canvas: Canvas, light: Light, height: float, thickness: float, *, billow: float = 0.0) -> None:
    """Mist that lies below `height` and thins above it; with `billow` it has a shape of its own: a sea of clouds."""
    field = canvas.noise(2.2, 5.0, 4) if billow else canvas.noise(1.2, 3.0, 2)
    depth = canvas.v[:, None] - np.float32(height) + field * np.float32(0.05 + 0.10 * billow)
    mask = smooth(-0.03 - 0.07 * (1 - billow), 0.05 + 0.07 * (1 - billow), depth) * np.float32(thickness)
    if not billow:
        mask = mask * np.exp(np.minimum(0, np.float32(0.06) - depth) * np.float32(7))
    white = rgb(light.horizon) * np.float32(0.6) + rgb(light.sunlit) * np.float32(0.4)
    relief = np.float32(1.0) + np.float32(0.16 * billow) * field
    shaded = np.clip(white, 0, 1) * relief[:, :, None]
    if billow:
        fade = np.clip((depth - np.float32(0.1)) * np.float32(1.6), 0, 0.5)
        shaded = shaded + fade[:, :, None] * (rgb(light.shade) * np.float32(0.95) - shaded)
    canvas.blend(mask, shaded)
