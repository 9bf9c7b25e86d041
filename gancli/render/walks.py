"""Walks through the latent space: key seeds, legs between them, loops that close, steps of equal change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gancli.errors import UsageError

__all__ = [
    "Leg",
    "Mode",
    "along",
    "even_positions",
    "image_steps",
    "legs",
    "lerp",
    "positions",
    "slerp",
    "weights_along",
]

Mode = Literal["slerp", "lerp"]
Easing = Literal["linear", "smooth"]
Floats = npt.NDArray[np.float64]


def lerp(first: Tensor, second: Tensor, t: Tensor) -> Tensor:
    """The straight line: `first` at t = 0, `second` at t = 1. Latents [N, D], t [N]."""
    weight = t[:, None]
    return (1 - weight) * first + weight * second


def slerp(first: Tensor, second: Tensor, t: Tensor) -> Tensor:
    """The great circle between the directions, with the length changing evenly (Shoemake 1985; White 2016).

    Gaussian latents of many dimensions lie near a shell; a straight line cuts through its empty inside, this stays on
    it. Latents [N, D], t [N] in [0, 1]. Nearly parallel or opposite directions fall back to the straight line.
    """
    long_a, long_b = first.norm(dim=1, keepdim=True), second.norm(dim=1, keepdim=True)
    unit_a, unit_b = first / long_a.clamp_min(1e-12), second / long_b.clamp_min(1e-12)
    cosine = (unit_a * unit_b).sum(1, keepdim=True).clamp(-1, 1)
    angle, weight = torch.acos(cosine), t[:, None]
    sine = torch.sin(angle)
    direction = (torch.sin((1 - weight) * angle) * unit_a + torch.sin(weight * angle) * unit_b) / sine.clamp_min(1e-12)
    curved = direction * ((1 - weight) * long_a + weight * long_b)
    return torch.where(sine < 1e-4, lerp(first, second, t), curved)


def positions(num_keys: int, frames: int, *, loop: bool, easing: Easing = "linear") -> Floats:
    """Where each frame stands: leg number + place in the leg, [F].

    With `loop` k keys give k·frames positions in [0, k), the last one step before the first key comes again; without,
    (k - 1)·frames + 1 in [0, k - 1]. 'smooth' rests at each key (3t² - 2t³). Raises `UsageError`.
    """
    if num_keys < 2:
        raise UsageError("A walk needs at least two seeds, e.g. --seeds 3,14,15. For one picture use 'gan sample'.")
    if frames < 1:
        raise UsageError(f"--frames {frames}: a leg has at least 1 frame.")
    num_legs = num_keys if loop else num_keys - 1
    steps = np.arange(num_legs * frames + (not loop))
    leg, place = steps // frames, (steps % frames) / frames
    if easing == "smooth":
        place = place * place * (3 - 2 * place)
    result: Floats = leg + place
    return result


def along(keys: Tensor, where: Floats, mode: Mode = "slerp") -> Tensor:
    """The latents [F, D] at positions `where` [F] of the closed path through `keys` [K, D]."""
    first, second, t = _neighbours(len(keys), where)
    path = (slerp if mode == "slerp" else lerp)(keys[first].double(), keys[second].double(), t)
    exact = (t == 0)[:, None]
    return torch.where(exact, keys[first].double(), path).float()


def weights_along(labels: Tensor, num_classes: int, where: Floats) -> Tensor:
    """The weights of the classes fp32 [F, K] at positions `where`, blended between the keys' `labels` int64."""
    one_hot = torch.nn.functional.one_hot(labels, num_classes).double()
    first, second, t = _neighbours(len(labels), where)
    return lerp(one_hot[first], one_hot[second], t).float()


def _neighbours(count: int, where: Floats) -> tuple[Tensor, Tensor, Tensor]:
    leg = np.floor(where).astype(np.int64)
    first, second = torch.from_numpy(leg % count), torch.from_numpy((leg + 1) % count)
    return first, second, torch.from_numpy(where - leg)


def image_steps(frames: Iterable[npt.NDArray[np.uint8]], *, loop: bool) -> Floats:
    """The change from each frame to the next: root mean square over pixels and channels, in grey levels of 255.

    `frames` are uint8 [H, W, C]; with `loop` the step from the last to the first is counted too.
    """
    steps: list[float] = []
    opening: npt.NDArray[np.uint8] | None = None
    before: npt.NDArray[np.uint8] | None = None
    for frame in frames:
        if before is None:
            opening = frame
        else:
            steps.append(_distance(before, frame))
        before = frame
    if loop and before is not None and opening is not None:
        steps.append(_distance(before, opening))
    return np.array(steps)


def _distance(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    difference = one.astype(np.float32) - other.astype(np.float32)
    return float(np.sqrt(np.mean(np.square(difference), dtype=np.float64)))


def even_positions(
    where: Floats, num_keys: int, steps_at: Callable[[Floats], Floats], *, loop: bool, rounds: int = 5
) -> Floats:
    """Positions moved along the path until every step changes the picture equally.

    `steps_at(positions)` renders and measures; each round spreads the measured change evenly again, and the best round
    is kept. `where` must grow.
    """
    end = float(num_keys if loop else num_keys - 1)
    dense = np.linspace(0, end, max(2 * len(where), 2 * num_keys), endpoint=not loop)
    best = _spread(dense, steps_at(dense), end, len(where), loop)
    found, smallest = best, np.inf
    for _ in range(rounds):
        steps = steps_at(best)
        roughness = _variation(steps)
        if roughness < smallest:
            found, smallest = best, roughness
        if roughness < 0.02:
            break
        best = _spread(best, steps, end, len(where), loop)
    return found


def _spread(where: Floats, steps: Floats, end: float, count: int, loop: bool) -> Floats:
    knots = np.append(where, end) if loop else where
    travelled = np.concatenate([[0.0], np.cumsum(np.maximum(steps, 1e-9))])
    targets = np.linspace(0, travelled[-1], count, endpoint=not loop)
    moved: Floats = np.minimum(np.interp(targets, travelled, knots), end - (1e-9 if loop else 0.0))
    return moved


@dataclass(frozen=True, kw_only=True)
class Leg:
    """How a leg of a walk flows. `mean` change per frame in grey levels; `variation` is its coefficient of variation
    (0: perfectly smooth); `largest` the biggest step over the mean one."""

    first: int
    second: int
    num_steps: int
    mean: float
    variation: float
    largest: float


def legs(seeds: list[int], where: Floats, steps: Floats) -> list[Leg]:
    """The figures of each leg of a walk: `steps[i]` leads from position `where[i]` onwards."""
    result = []
    for index in range(int(np.floor(where[: len(steps)].max())) + 1):
        own = steps[np.floor(where[: len(steps)]) == index]
        if len(own):
            mean = float(own.mean())
            pair = seeds[index % len(seeds)], seeds[(index + 1) % len(seeds)]
            largest = float(own.max()) / mean if mean > 0 else 1.0
            result.append(
                Leg(
                    first=pair[0],
                    second=pair[1],
                    num_steps=len(own),
                    mean=mean,
                    variation=_variation(own),
                    largest=largest,
                )
            )
    return result


def _variation(steps: Floats) -> float:
    mean = float(steps.mean())
    return float(steps.std()) / mean if mean > 0 else 0.0
