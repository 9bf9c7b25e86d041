"""Seeds as people write them, '0-15,40', and the random numbers that belong to each."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from gancli.errors import UsageError
from gancli.text import clean

__all__ = ["MAX_SEED", "format_seeds", "parse_seeds", "stream"]

MAX_SEED = 2**63 - 1
_MAX_COUNT = 10_000_000
STREAM_LATENT, STREAM_LABEL, STREAM_MEAN, STREAM_KEYS, STREAM_DIRECTIONS = (
    0x6C6174,
    0x6C6162,
    0x6D6561,
    0x6B6579,
    0x646972,
)


def parse_seeds(text: str, flag: str = "--seeds") -> list[int]:
    """'0-3,9' -> [0, 1, 2, 3, 9], in the order written, repeats kept; '7-5' counts down. Raises `UsageError`."""
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,19})\s*(?:-\s*(\d{1,19})\s*)?", part)
        if not match:
            raise UsageError(
                f"{flag} '{clean(text, 80)}': '{clean(part, 40)}' is no seed. "
                "Give whole numbers and ranges, e.g. 0-15,40."
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if max(first, last) > MAX_SEED:
            raise UsageError(f"{flag} '{clean(text, 80)}': a seed is at most {MAX_SEED}.")
        if len(seeds) + abs(last - first) + 1 > _MAX_COUNT:
            raise UsageError(f"{flag} '{clean(text, 80)}': more than {_MAX_COUNT:,} seeds at once. Take them in parts.")
        step = 1 if last >= first else -1
        seeds.extend(range(first, last + step, step))
    return seeds


def format_seeds(seeds: Iterable[int]) -> str:
    """[0, 1, 2, 9] -> '0-2,9', so that what was used can be given again."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][1] + 1:
            runs[-1][1] = seed
        else:
            runs.append([seed, seed])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def stream(seed: int, name: int) -> np.random.RandomState:
    """The numbers of `seed` in one of the named streams.

    numpy's legacy generator (MT19937) is frozen: the same on every platform, in every version.
    """
    return np.random.RandomState(np.array([seed & 0xFFFFFFFF, seed >> 32, name], dtype=np.uint32))
