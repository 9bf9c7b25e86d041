"""All pairs of 64-bit hashes within a distance, exactly, for a million of them.

The bits are cut into bands; two hashes within `t` bits agree up to `r` bits in at least one band when the sum of
(r + 1) over the bands exceeds `t` (Norouzi, Punjani and Fleet, Fast Search in Hamming Space with Multi-Index Hashing,
CVPR 2012). Small sets are compared as a whole, which is faster there.

Where very many hashes lie close together (flat skies, a camera that never moved) their pairs cannot be listed: such
hashes are told apart as `dense`, pairs of two of them are left out, and `DenseScan` finds the neighbours of one at a
time, which is little work because a group takes most of them at once.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt

from gancli.curate.hashes import bit_count

__all__ = ["DenseScan", "Pairs", "find_dense", "near_pairs"]

_U64 = npt.NDArray[np.uint64]
_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]
_Found = tuple[_Ints, _Ints, npt.NDArray[np.uint8]]
_CHUNK = 1 << 19
_BLOCK = 1 << 18
_MANY_NEIGHBOURS, _MANY_CANDIDATES = 256, 2_000


@dataclass(frozen=True)
class Pairs:
    """Unordered pairs, each once: `first` < `second`, the smaller distance of direct and mirrored, and which it was."""

    first: _Ints
    second: _Ints
    distance: npt.NDArray[np.uint8]
    mirrored: _Bools

    def __len__(self) -> int:
        return len(self.first)


def find_dense(hashes: _U64, mirrored: _U64, threshold: int) -> _Bools:
    """Which hashes have so many others near them (or in the buckets where they would be) that pairs are no way."""
    plan = _plan(len(hashes), threshold)
    if plan is None:
        counts = np.zeros(len(hashes), np.int64)
        rows = max(1, _BLOCK // max(1, len(hashes)))
        for start in range(0, len(hashes), rows):
            part = hashes[start : start + rows, None]
            counts[start : start + rows] = (bit_count(part ^ hashes[None, :]) <= threshold).sum(axis=1)
        return counts > _MANY_NEIGHBOURS
    work = np.zeros(len(hashes), np.int64)
    expected = 0.0
    for band in plan:
        sizes = np.bincount(_keys(hashes, band), minlength=1 << band.width)
        sizes += np.bincount(_keys(mirrored, band), minlength=1 << band.width)
        keys = np.arange(1 << band.width)
        near = sum((sizes[keys ^ mask] for mask in band.masks), np.zeros(1 << band.width, np.int64))
        work += np.maximum(near[_keys(hashes, band)], near[_keys(mirrored, band)])
        expected += 2 * len(hashes) * len(band.masks) / (1 << band.width)
    return work > _MANY_CANDIDATES + 8 * expected


def near_pairs(hashes: _U64, mirrored: _U64, threshold: int, dense: _Bools | None = None) -> Pairs:
    """Every pair i < j whose hashes lie within `threshold` bits, or one's hash and the other's mirrored hash do.

    Pairs of two `dense` hashes are left out.
    """
    everything = np.arange(len(hashes))
    if dense is None or not dense.any():
        parts = [
            _collect(hashes, hashes, everything, everything, threshold, False),
            _collect(hashes, mirrored, everything, everything, threshold, True),
        ]
    else:
        sparse, crowd = np.nonzero(~dense)[0], np.nonzero(dense)[0]
        parts = [
            _collect(hashes[sparse], hashes, sparse, everything, threshold, False),
            _collect(hashes[sparse], mirrored, sparse, everything, threshold, True),
            _collect(mirrored[sparse], hashes[crowd], sparse, crowd, threshold, True),
        ]
    first, second, distance, flipped = (np.concatenate(column) for column in zip(*parts, strict=True))
    low, high = np.minimum(first, second), np.maximum(first, second)
    order = np.lexsort((flipped, distance, high, low))
    low, high, distance, flipped = low[order], high[order], distance[order], flipped[order]
    fresh = np.ones(len(low), dtype=np.bool_)
    fresh[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    return Pairs(low[fresh], high[fresh], distance[fresh], flipped[fresh])


def _collect(
    hashes: _U64, others: _U64, names: _Ints, other_names: _Ints, threshold: int, mirrored: bool
) -> tuple[_Ints, _Ints, npt.NDArray[Any], _Bools]:
    """All (name, other name) within the threshold, in either order, never one with itself."""
    plan = _plan(max(len(hashes), len(others)), threshold)
    found = _compare_all(hashes, others, threshold) if plan is None else _join(hashes, others, threshold, plan)
    empty: _Found = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint8))
    columns = list(zip(empty, *_named(found, names, other_names), strict=True))
    first, second, distance = (np.concatenate(column) for column in columns)
    return first, second, distance, np.full(len(first), mirrored)


def _named(found: Iterator[_Found], names: _Ints, other_names: _Ints) -> Iterator[_Found]:
    for a, b, distance in found:
        first, second = names[a], other_names[b]
        keep = first != second
        yield first[keep], second[keep], distance[keep]


def _compare_all(hashes: _U64, others: _U64, threshold: int) -> Iterator[_Found]:
    rows = max(1, _BLOCK // max(1, len(others)))
    for start in range(0, len(hashes), rows):
        distance = bit_count(hashes[start : start + rows, None] ^ others[None, :])
        near = np.flatnonzero(distance <= threshold)  # in one dimension: several times as fast
        first, second = np.divmod(near, len(others))
        yield first + start, second, distance.reshape(-1)[near]


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
        spare = threshold + 1
        radii = [spare // num_bands - 1 + (1 if i < spare % num_bands else 0) for i in range(num_bands)]
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
    """Band by band; the masks of a band are probed by a few threads, since numpy lets go of the interpreter."""
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as threads:
        for band in plan:
            yield from threads.map(_band_prober(hashes, others, threshold, band), band.masks)


def _band_prober(hashes: _U64, others: _U64, threshold: int, band: _Band) -> Callable[[int], _Found]:
    keys, other_keys = _keys(hashes, band), _keys(others, band)
    order, other_order = np.argsort(keys, kind="stable"), np.argsort(other_keys, kind="stable")
    sizes = np.bincount(other_keys, minlength=1 << band.width)
    starts = np.concatenate(([0], np.cumsum(sizes)))[:-1]
    sorted_hashes, sorted_others, sorted_keys = hashes[order], others[other_order], keys[order]
    twins = hashes is others

    def probe(mask: int) -> _Found:
        rows = np.arange(len(sorted_keys))
        if twins and mask:  # each pair of buckets once
            rows = rows[(sorted_keys & (1 << (mask.bit_length() - 1))) == 0]
        wanted = sorted_keys[rows] ^ mask
        rows, wanted = rows[sizes[wanted] > 0], wanted[sizes[wanted] > 0]
        parts = list(_probe(sorted_hashes[rows], sorted_others, starts[wanted], sizes[wanted], threshold))
        if not parts:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint8)
        a, b, distance = (np.concatenate(column) for column in zip(*parts, strict=True))
        return order[rows[a]], other_order[b], distance

    return probe


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
        places = np.arange(int(ends[end - 1]) - done)
        places += np.repeat(starts[begin:end] - (ends[begin:end] - counts - done), counts)
        apart = np.repeat(hashes[begin:end], counts)
        apart ^= others[places]
        distance = bit_count(apart)
        near = np.nonzero(distance <= threshold)[0]
        if len(near):
            rows = begin + np.searchsorted(ends[begin:end] - done, near, side="right")
            yield rows, places[near], distance[near]
        begin = end


# ---- crowds ---------------------------------------------------------------------------------------------------------


class DenseScan:
    """The dense hashes that no group has taken yet; neighbours of one of them are found by comparing with all."""

    def __init__(self, hashes: _U64, mirrored: _U64, dense: _Bools, threshold: int) -> None:
        self._names = np.nonzero(dense)[0]
        self._hashes, self._mirrored = hashes[self._names], mirrored[self._names]
        self._free = np.ones(len(self._names), np.bool_)
        self._place = {int(name): place for place, name in enumerate(self._names.tolist())}
        self._threshold = threshold

    def neighbours(self, name: int) -> tuple[_Ints, npt.NDArray[np.uint8], _Bools]:
        """(later names, distance, mirrored) of the free ones within the threshold of `name`."""
        place = self._place[name]
        hash_, flipped = self._hashes[place], self._mirrored[place]
        later_hashes, later_mirrored = self._hashes[place + 1 :], self._mirrored[place + 1 :]
        direct = bit_count(later_hashes ^ hash_)
        turned = np.minimum(bit_count(later_mirrored ^ hash_), bit_count(later_hashes ^ flipped))
        near = np.nonzero((np.minimum(direct, turned) <= self._threshold) & self._free[place + 1 :])[0]
        mirrored = turned[near] < direct[near]
        return self._names[place + 1 + near], np.minimum(direct, turned)[near], mirrored

    def take(self, names: Iterable[int]) -> None:
        """These belong to a group; half of all taken, the rest moves together."""
        for name in names:
            if name in self._place:
                self._free[self._place[name]] = False
        if self._free.sum() < len(self._free) // 2:
            keep = self._free
            self._names, self._hashes, self._mirrored = self._names[keep], self._hashes[keep], self._mirrored[keep]
            self._free = np.ones(len(self._names), np.bool_)
            self._place = {int(name): place for place, name in enumerate(self._names.tolist())}
