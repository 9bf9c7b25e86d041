"""What changes over a run. Every schedule reads the position, never the clock."""

from __future__ import annotations

import math

import torch

from gancli.data.streams import stream

__all__ = [
    "burn_in",
    "cosine",
    "ema_beta",
    "fade",
    "fish_nimg",
    "gamma_factor",
    "halflife_factor",
    "lr_factor",
]

# The fish project's epochs as fractions of a run, and its rates relative to the first (1e-4).
_FISH_EPOCHS = 2500
_FISH_NIMG = 4_000_000  # enough for a set with which so many epochs would take for ever
_FISH_STAGES = ((0.04, 1.0), (0.16, 0.5), (0.32, None), (0.44, 0.25), (1.0, 0.2))
_FISH_RANDOM = (0.6, 0.5, 0.4, 0.3, 0.2)
_FADE = 0.3  # Karras et al. 2018 give half of a stage to fading in
_BURN_IN = 0.2  # 20 of FFHQ-64's 100 million images
_ANNEALED = 0.4  # points get better by what is trained after it: with 80 %, two of five grids stayed below 93 %


def lr_factor(schedule: str, progress: float, seed: int, nimg: int, whole_nimg: int | None = None) -> float:
    """The learning rate relative to the recipe's at `progress` (0..1) of the planned run.

    constant; linear (to 0); cosine (to 0); burn-in (along a cosine to a quarter over the first fifth, Huang 2024);
    fish: staged, and for a while drawn anew for each batch; the stages are those of a run of `whole_nimg` images, of
    which shorter ones keep the first rates and longer ones stretch them all.
    """
    progress = min(max(progress, 0.0), 1.0)
    if schedule == "linear":
        return 1.0 - progress
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    if schedule == "burn-in":
        return cosine(1.0, 0.25, progress, _BURN_IN)
    if schedule == "fish":
        if whole_nimg is not None:
            progress = min(progress, nimg / whole_nimg)
        factor = next(value for end, value in _FISH_STAGES if progress <= end)
        if factor is None:
            pick = int(torch.randint(len(_FISH_RANDOM), (1,), generator=stream(seed, "lr", nimg)))
            return _FISH_RANDOM[pick]
        return factor
    assert schedule == "constant", schedule
    return 1.0


def fish_nimg(num_images: int) -> int:
    """How many images a whole run of the fish project has on a set of `num_images`."""
    return min(_FISH_NIMG, _FISH_EPOCHS * num_images)


def cosine(first: float, last: float, progress: float, until: float = 1.0) -> float:
    """From `first` to `last` along half a cosine over the first `until` of the run, then constant."""
    share = min(max(progress / until, 0.0), 1.0)
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * share))


def gamma_factor(schedule: str, progress: float) -> float:
    """The weight of the penalties relative to the recipe's at `progress` (0..1).

    constant; burn-in (to a tenth over the first fifth, Huang 2024); anneal (to a thousandth over the first 40 %: points
    have sharp modes and no noise of their own).
    """
    if schedule == "constant":
        return 1.0
    return cosine(1.0, 0.001 if schedule == "anneal" else 0.1, progress, burn_in(schedule))


def halflife_factor(schedule: str, progress: float) -> float:
    """The half-life of the running average relative to the recipe's; burn-in: from nothing (Huang 2024)."""
    return cosine(0.0, 1.0, progress, _BURN_IN) if schedule == "burn-in" else 1.0


def fade(progress: float) -> float:
    """How far the new layers of a grown run count at `progress` (0..1) of it."""
    return min(max(progress / _FADE, 0.0), 1.0)


def burn_in(schedule: str) -> float:
    """Over which share of the run the numbers of `schedule`, burn-in or anneal, move from the first to the last."""
    return _ANNEALED if schedule == "anneal" else _BURN_IN


def ema_beta(halflife_kimg: float, nimg: int, num_images: int) -> float:
    """How much of the running average stays after `num_images` more images.

    The half-life is the recipe's, at most 5 % of nimg, so that a short run shows what it learned.
    """
    halflife = min(halflife_kimg * 1000, 0.05 * nimg)
    return 0.0 if halflife <= 0 else float(0.5 ** (num_images / halflife))
