"""Is this enough to train? How many distinct pictures there really are, how they differ, and what follows from it."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gancli.curate.facts import COLOUR_PX, Facts
from gancli.curate.hashes import bit_count
from gancli.text import plural

__all__ = ["advise", "summarise"]

_SAMPLE = 1000
_FEW, _SOME, _ENOUGH, _MANY = 200, 1000, 5000, 20_000
_HUES = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")


def summarise(kept: Sequence[Facts]) -> dict[str, Any]:
    """Figures about the kept pictures, all of them independent of their order.

    effective_images   exp of the entropy of the pictures over clusters of like layout and colour: each of n distinct
                       pictures counts 1, a hundred views of one scene about 1 together
    diversity          mean distance of two pictures' hashes over 32, the value of unrelated ones; 0 all the same
    sides_px           quantiles of the shorter side
    palette            shares of the eight hues, of grey, black and white among the 8x8 colours of all pictures
    """
    if not kept:
        return {}
    ordered = sorted(kept, key=lambda fact: fact.sha256)
    step = max(1, len(ordered) // _SAMPLE)
    sample = ordered[::step][:_SAMPLE]
    hashes = np.array([fact.phash for fact in sample], dtype=np.uint64)
    sides = np.array([min(fact.width, fact.height) for fact in ordered])
    return {
        "effective_images": round(_effective(sample) * len(ordered) / len(sample)),
        "diversity": round(_diversity(hashes), 3),
        "hash_distances": _histogram(hashes),
        "sides_px": {name: int(np.quantile(sides, q)) for name, q in _QUANTILES.items()},
        "sizes": _sizes(sides),
        "palette": _palette(sample),
        "brightness": round(float(_colours(sample)[..., 0].mean()) / 255, 3),
        "formats": dict(sorted(Counter(fact.format for fact in ordered).items())),
    }


_QUANTILES = {"least": 0.0, "quarter": 0.25, "median": 0.5, "most": 1.0}


def _effective(sample: Sequence[Facts]) -> float:
    """exp(entropy of the spectrum) of the pictures' similarity: the Vendi score (Friedman and Dieng, 2023).

    Two pictures are alike as exp(-(d/s)²) of their 8x8 colours' distance d, with s such that the same scene a moment
    later counts as one and another scene as another.
    """
    points = _colours(sample).reshape(len(sample), -1).astype(np.float64)
    squares = (points**2).sum(axis=1)
    distance = np.maximum(squares[:, None] + squares[None, :] - 2 * points @ points.T, 0) / points.shape[1]
    likeness = np.exp(-distance / _SCALE**2) / len(sample)
    values = np.linalg.eigvalsh(likeness)
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


_SCALE = 12.0  # grey levels, root mean square


def _colours(sample: Sequence[Facts]) -> npt.NDArray[np.uint8]:
    joined = b"".join(fact.colours for fact in sample)
    return np.frombuffer(joined, np.uint8).reshape(len(sample), COLOUR_PX, COLOUR_PX, 3)


def _distances(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[Any]:
    apart = bit_count(hashes[:, None] ^ hashes[None, :])
    return np.asarray(apart[np.triu_indices(len(hashes), 1)])


def _diversity(hashes: npt.NDArray[np.uint64]) -> float:
    return float(_distances(hashes).mean()) / 32 if len(hashes) > 1 else 0.0


def _histogram(hashes: npt.NDArray[np.uint64]) -> list[int]:
    """How many pairs of the sample lie 0-7, 8-15, … 56-64 bits apart."""
    counts = np.bincount(np.minimum(_distances(hashes) // 8, 7), minlength=8)
    return [int(count) for count in counts]


def _sizes(sides: npt.NDArray[Any]) -> dict[str, int]:
    edges = (64, 128, 256, 512, 1024, 2048)
    names = ["under 64", *(f"{low}-{high - 1}" for low, high in itertools.pairwise(edges)), "2048 and more"]
    counts = np.bincount(np.digitize(sides, edges), minlength=len(names))
    return {name: int(count) for name, count in zip(names, counts, strict=True) if count}


def _palette(sample: Sequence[Facts]) -> dict[str, float]:
    light, blue, red = (_colours(sample).reshape(-1, 3).astype(np.float64) - (0, 128, 128)).T
    chroma = np.hypot(blue, red)
    angle = (np.degrees(np.arctan2(red, blue)) + 360) % 360
    centres = np.array([109, 145, 175, 232, 285, 352, 37, 72])  # of the hues' Cb, Cr directions, degrees
    nearest = np.abs((angle[:, None] - centres[None, :] + 180) % 360 - 180).argmin(axis=1)
    kind = np.where(chroma >= 10, nearest, np.where(light < 48, 8, np.where(light > 208, 9, 10)))
    shares = np.bincount(kind, minlength=11) / len(kind)
    names = (*_HUES, "black", "white", "grey")
    return {name: round(float(share), 3) for name, share in zip(names, shares, strict=True) if share >= 0.005}


def advise(figures: dict[str, Any], counts: dict[str, int], size: tuple[int, int], labels: Sequence[str]) -> list[str]:
    """Plain words: is it enough, for what resolution, how many more; small pictures; sameness; uneven classes."""
    if not figures:
        return []
    kept, effective = counts["kept"], figures["effective_images"]
    advice = [_enough(min(kept, 4 * effective), kept, max(size))]
    if figures["diversity"] < 0.75 or effective < kept / 20:
        advice.append(
            f"The pictures are much alike ({effective:,} clearly different scenes among {kept:,}): "
            "a generator will learn them quickly and repeat them. More variety helps more than more pictures."
        )
    if figures["sides_px"]["quarter"] < min(size):
        small = figures["sides_px"]["quarter"]
        step = 2 ** int(math.log2(max(small, 8)))
        advice.append(
            f"A quarter of the pictures have a side of {small} px or less and were enlarged to {min(size)}: "
            f"--size {step} would suit them, or --min-side {min(size)} leaves them out."
        )
    uneven = Counter(labels)
    if len(uneven) > 1 and max(uneven.values()) > 10 * min(uneven.values()):
        least = min(uneven, key=lambda label: (uneven[label], label))
        advice.append(f"The classes are uneven: '{least}' has {plural(uneven[least], 'picture')} of {kept:,}.")
    return advice


def _enough(useful: int, kept: int, size: int) -> str:
    if useful < _FEW:
        words = f"Too few to train on ({useful:,} useful of {kept:,}): a generator would copy them."
        return f"{words} Aim for {_SOME:,}: about {_SOME - useful:,} more."
    if useful < _SOME:
        return (
            f"Enough for a first try at 32-64 px with --augment ada or diffaugment ({kept:,} pictures); "
            f"{_SOME - useful:,} more would make it {_SOME:,}, where results get steadier."
        )
    if useful < _ENOUGH:
        fit = "64-128 px" if size > 64 else "64 px"
        return f"Enough for {fit} with augmentation ({kept:,} pictures); {_ENOUGH - useful:,} more for 256 px."
    if useful < _MANY:
        return f"Enough for 128-256 px ({kept:,} pictures); augmentation still helps below {_MANY:,}."
    return f"Plenty for any size up to 256 px and more ({kept:,} pictures)."
