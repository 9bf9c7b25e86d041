"""2-D distributions whose modes are known, so that a claim about coverage can be counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gancli.errors import DataError
from gancli.text import clean

__all__ = ["TOYS", "arc_shares", "toy_modes", "toy_points"]

Points = NDArray[np.float32]

TOYS = {"ring": 100_000, "grid": 100_000, "arcs": 10_000}
_RING_SIGMA, _GRID_SIGMA = 0.01, 0.05
_ARC_RADIUS, _ARC_OFFSET = 10.0, 10.0


def toy_points(name: str, seed: int, num: int | None = None) -> Points:
    """The training points of `toy:name`: float32 [N, 2], in the toy's own units, fixed by `seed`.

    ring: 8 centres at radius 1, sigma .01; grid: 25 centres {-4, -2, 0, 2, 4}², sigma .05 (both as in Lin et al. 2018,
    PacGAN, section 4.1); arcs: two half circles of radius 10 + N(0, 1), the left one 10 up, the right one 10 down.
    `num` points, by default 100,000, 100,000 and 10,000. Raises `DataError` on another name.
    """
    _check_name(name)
    num = TOYS[name] if num is None else num
    if num < 1:
        raise DataError(f"toy:{name} needs at least one point, not {num}.")
    rng = np.random.default_rng([seed, list(TOYS).index(name)])
    if name == "arcs":
        return _arcs(rng, num)
    centres, sigma = toy_modes(name)
    chosen = centres[rng.integers(0, len(centres), num)]
    return (chosen + sigma * rng.standard_normal((num, 2))).astype(np.float32)


def toy_modes(name: str) -> tuple[NDArray[np.float64], float]:
    """The centres [K, 2] of the modes of `toy:name`, and their common sigma. Raises `DataError` for a toy without."""
    _check_name(name)
    if name == "ring":
        # i/8 of a turn: both ends of linspace(0, 2 pi, 8) would be one mode twice, and seven modes in all
        angles = 2 * np.pi * np.arange(8) / 8
        return np.stack([np.cos(angles), np.sin(angles)], axis=1), _RING_SIGMA
    if name == "grid":
        side = np.arange(-4.0, 5.0, 2.0)
        return np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2), _GRID_SIGMA
    raise DataError(
        "toy:arcs is two curves and has no separate modes (ring and grid have). "
        "'gan evaluate' without --protocol counts its arcs."
    )


def arc_shares(points: NDArray[np.floating]) -> dict[str, float]:
    """How well `points` [N, 2] lie on the arcs: the share on each (by the nearer curve), and within 3 of radius 10."""
    distances = np.stack([_distance_to_arc(points, left) for left in (True, False)])
    nearer = distances.argmin(0)
    return {
        "left": float((nearer == 0).mean()),
        "right": float((nearer == 1).mean()),
        "near": float((distances.min(0) <= 3.0).mean()),
    }


def _arcs(rng: np.random.Generator, num: int) -> Points:
    theta = rng.uniform(0, 2 * np.pi, num)
    radius = _ARC_RADIUS + rng.standard_normal(num)
    left = (theta >= np.pi / 2) & (theta <= 3 * np.pi / 2)
    points = np.stack([radius * np.cos(theta), radius * np.sin(theta)], axis=1)
    points[:, 1] += np.where(left, _ARC_OFFSET, -_ARC_OFFSET)
    return points.astype(np.float32)


def _distance_to_arc(points: NDArray[np.floating], left: bool) -> NDArray[np.float64]:
    """Distance of each point to one half circle, its two ends included."""
    x = points[:, 0].astype(np.float64)
    y = points[:, 1].astype(np.float64) - (_ARC_OFFSET if left else -_ARC_OFFSET)
    on_side = x <= 0 if left else x >= 0
    to_circle = np.abs(np.hypot(x, y) - _ARC_RADIUS)
    to_ends = np.hypot(x, np.abs(y) - _ARC_RADIUS)
    return np.where(on_side, to_circle, to_ends)


def _check_name(name: str) -> None:
    if name not in TOYS:
        raise DataError(f"There is no 'toy:{clean(name, 40)}'. There are: {', '.join('toy:' + t for t in TOYS)}.")
