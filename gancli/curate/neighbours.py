"""All pairs of 64-bit hashes within a distance, exactly, for a million of them.

The bits are cut into bands; two hashes within `t` bits agree up to `r` bits in at least one band when the sum of
(r + 1) over the bands exceeds `t` (Norouzi, Punjani and Fleet, Fast Search in Hamming Space with Multi-Index Hashing,
CVPR 2012). Small sets are compared as a whole, which is faster there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt

from gancli.curate.hashes import bit_count

__all__ = ["Pairs", "near_pairs"]

_U64 = npt.NDArray[np.uint64]
_Ints = npt.NDArray[np.int64]
_CHUNK = 1 << 21


@dataclass(frozen=True)
class Pairs:
    """Unordered pairs, each once: `first` < `second`, the smaller distance of direct and mirrored, and which it was."""

    first: _Ints
    second: _Ints
    distance: npt.NDArray[np.uint8]
    mirrored: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.first)


def near_pairs(hashes: _U64, mirrored: _U64 | None, threshold: int) -> Pairs:
    """Every pair i < j whose hashes lie within `threshold` bits, or one's hash and the other's mirrored hash do."""
    found = [_collect(_within(hashes, threshold), False)]
    if mirrored is not None:
        found.append(_collect(_between(hashes, mirrored, threshold), True))
    first, second, distance, flipped = (np.concatenate(parts) for parts in zip(*found, strict=True))
    low, high = np.minimum(first, second), np.maximum(first, second)
    order = np.lexsort((flipped, distance, high, low))
    low, high, distance, flipped = low[order], high[order], distance[order], flipped[order]
    fresh = np.ones(len(low), dtype=np.bool_)
    fresh[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    fresh &= low != high
    return Pairs(low[fresh], high[fresh], distance[fresh], flipped[fresh])


_Found = tuple[_Ints, _Ints, npt.NDArray[np.uint8]]


def _collect(parts: Iterator[_Found], mirrored: bool) -> tuple[_Ints, _Ints, npt.NDArray[Any], npt.NDArray[np.bool_]]:
    kept = list(parts)
    empty: _Found = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint8))
    first, second, distance = (np.concatenate(column) for column in zip(empty, *kept, strict=True))
    return first, second, distance, np.full(len(first), mirrored)


def _within(hashes: _U64, threshold: int) -> Iterator[_Found]:
    plan = _plan(len(hashes), threshold)
    yield from _compare_all(hashes, hashes, threshold) if plan is None else _join(hashes, hashes, threshold, plan)


def _between(hashes: _U64, others: _U64, threshold: int) -> Iterator[_Found]:
    plan = _plan(len(hashes), threshold)
    yield from _compare_all(hashes, others, threshold) if plan is None else _join(hashes, others, threshold, plan)


def _compare_all(hashes: _U64, others: _U64, threshold: int) -> Iterator[_Found]:
    rows = max(1, (1 << 18) // max(1, len(others)))
    for start in range(0, len(hashes), rows):
        distance = bit_count(hashes[start : start + rows, None] ^ others[None, :])
        first, second = np.nonzero(distance <= threshold)
        keep = first + start != second
        yield first[keep] + start, second[keep], distance[first[keep], second[keep]]


# ---- bands ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Band:
    shift: int
    width: int
    radius: int

    @property
    def masks(self) -> list[int]:
        return [
            sum(1 << bit for bit in bits)
            for count in range(self.radius + 1)
            for bits in itertools.combinations(range(self.width), count)
        ]


def _plan(count: int, threshold: int) -> list[_Band] | None:
    """The cheapest bands for `count` hashes, or None where comparing all is cheaper still."""
    best, cost_of_best = None, 0.25 * count * count + 1e5
    for num_bands in range(2, 9):
        widths = [64 // num_bands + (1 if i < 64 % num_bands else 0) for i in range(num_bands)]
        if widths[0] > 22:
            continue
        radii = [
            (threshold + 1) // num_bands - 1 + (1 if i < (threshold + 1) % num_bands else 0) for i in range(num_bands)
        ]
        bands = [
            _Band(sum(widths[:i]), width, radius)
            for i, (width, radius) in enumerate(zip(widths, radii, strict=True))
            if radius >= 0
        ]
        probes = [sum(comb(band.width, k) for k in range(band.radius + 1)) for band in bands]
        cost = sum(n * (5e3 + 4 * count + count * count / 2**band.width) for n, band in zip(probes, bands, strict=True))
        if cost < cost_of_best:
            best, cost_of_best = bands, cost
    return best


def _join(hashes: _U64, others: _U64, threshold: int, plan: list[_Band]) -> Iterator[_Found]:
    for band in plan:
        keys, other_keys = _keys(hashes, band), _keys(others, band)
        order, other_order = np.argsort(keys, kind="stable"), np.argsort(other_keys, kind="stable")
        sizes = np.bincount(other_keys, minlength=1 << band.width)
        starts = np.concatenate(([0], np.cumsum(sizes)))
        sorted_hashes, sorted_others, sorted_keys = hashes[order], others[other_order], keys[order]
        for mask in band.masks:
            probe = sorted_keys ^ mask
            for a, b, distance in _probe(sorted_hashes, sorted_others, starts[probe], sizes[probe], threshold):
                first, second = order[a], other_order[b]
                keep = first != second
                yield first[keep], second[keep], distance[keep]


def _keys(hashes: _U64, band: _Band) -> _Ints:
    return ((hashes >> np.uint64(band.shift)) & np.uint64((1 << band.width) - 1)).astype(np.int64)


def _probe(hashes: _U64, others: _U64, starts: _Ints, sizes: _Ints, threshold: int) -> Iterator[_Found]:
    """Compares hash i with others[starts[i] : starts[i] + sizes[i]], in chunks of bounded memory."""
    ends = np.cumsum(sizes)
    begin = 0
    while begin < len(hashes):
        done = int(ends[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, done + _CHUNK, side="right")))
        counts = sizes[begin:end]
        total = int(ends[end - 1]) - done
        if total:
            rows = np.repeat(np.arange(begin, end), counts)
            places = np.arange(total) + np.repeat(starts[begin:end] - (ends[begin:end] - counts - done), counts)
            distance = bit_count(hashes[rows] ^ others[places])
            near = np.nonzero(distance <= threshold)[0]
            if len(near):
                yield rows[near], places[near], distance[near]
        begin = end
