"""Copies of one picture found and the best one kept.

Groups are stars around their best picture: best first, each takes its unassigned neighbours, so that whatever is left
out is like what is kept, and chains (A like B, B like C) never remove a C unlike A. Two pictures are the same when
their hashes lie within the threshold and nothing contradicts, or within twice that and a second look confirms it;
what stays in doubt is for a person to compare.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gancli.curate.facts import COLOUR_PX, Facts
from gancli.curate.hashes import HASH_PX, bit_count, difference_hashes
from gancli.curate.neighbours import DenseScan, Pairs, find_dense, near_pairs
from gancli.curate.second_look import agreement, colour_difference

__all__ = ["Copy", "Lookalike", "find_copies"]

_CONFIRM_BITS, _REVIEW_BITS, _BARRED_BITS = 12, 14, 4
_MANY = 200_000  # beyond this, pairs are looked for up to _CONFIRM_BITS only
_SAME, _NOT_CONTRADICTED, _ALIKE = 0.85, 0.75, 0.70
_OTHER_COLOUR = 12.0
_FEW, _AT_ONCE = 16, 1 << 14
_LOOK, _COLOURS = (HASH_PX, HASH_PX), (COLOUR_PX, COLOUR_PX, 3)


@dataclass(frozen=True, kw_only=True)
class Copy:
    """Why one picture is left out: it is `of` (an index) again, at `distance` bits, perhaps mirrored."""

    of: int
    distance: int
    mirrored: bool
    kind: str  # exact | near | confirmed


@dataclass(frozen=True, kw_only=True)
class Lookalike:
    """Two kept pictures that a person should compare; `agreement` is what the second look found, -1..1."""

    first: int
    second: int
    distance: int
    mirrored: bool
    agreement: float


def find_copies(
    facts: Sequence[Facts], threshold: int, kept_by_hand: Set[int] = frozenset()
) -> tuple[dict[int, Copy], list[Lookalike]]:
    """index -> the picture it repeats, and pairs in doubt. `facts` come best copy first; a person's keeps stay."""
    copies: dict[int, Copy] = {}
    nodes: list[int] = []
    by_bytes: dict[str, int] = {}
    for index, fact in enumerate(facts):
        best = by_bytes.setdefault(fact.pixels or fact.sha256, index)
        if best == index:
            nodes.append(index)
        else:
            copies[index] = Copy(of=best, distance=0, mirrored=False, kind="exact")
    doubtful: list[Lookalike] = []
    if threshold == 0:
        _mirrored_pixels(facts, nodes, copies)
    else:
        doubtful = _stars(facts, nodes, threshold, copies, kept_by_hand)
    for index, copy in copies.items():
        center = copies.get(copy.of)
        if center is not None:
            copies[index] = center
    return copies, [pair for pair in doubtful if pair.first not in copies and pair.second not in copies]


def _mirrored_pixels(facts: Sequence[Facts], nodes: list[int], copies: dict[int, Copy]) -> None:
    seen: dict[str, int] = {}
    for index in nodes:
        of = seen.get(facts[index].pixels_mirrored)
        if of is None:
            seen[facts[index].pixels] = index
        else:
            copies[index] = Copy(of=of, distance=0, mirrored=True, kind="exact")


def _stars(
    facts: Sequence[Facts], nodes: list[int], threshold: int, copies: dict[int, Copy], kept: Set[int]
) -> list[Lookalike]:
    """Fills `copies`; flat pictures all look alike to a hash and stay out of it."""
    shaped = [index for index in nodes if not facts[index].flat]
    hashes = np.array([facts[index].phash for index in shaped], dtype=np.uint64)
    mirrored = np.array([facts[index].phash_mirrored for index in shaped], dtype=np.uint64)
    reach = max(threshold, _REVIEW_BITS if len(shaped) <= _MANY else _CONFIRM_BITS)
    dense = find_dense(hashes, mirrored, reach)
    known = [facts[index] for index in shaped]
    pairs = near_pairs(hashes, mirrored, reach, dense)
    if len(shaped) <= _MANY:
        pairs = _with_barred(pairs, known, hashes, mirrored)
    fine, same, alike = _judge(known, pairs, threshold)
    neighbours: dict[int, list[int]] = {}
    for number in np.nonzero(same)[0].tolist():
        neighbours.setdefault(int(pairs.first[number]), []).append(number)
    scan, crowd = DenseScan(hashes, mirrored, dense, reach), _Crowd(known, dense)
    taken: set[int] = set()

    def take(center: int, other: int, distance: int, flipped: bool) -> None:
        if other not in taken and shaped[other] not in kept:
            taken.add(other)
            kind = "near" if distance <= threshold else "confirmed"
            copies[shaped[other]] = Copy(of=shaped[center], distance=distance, mirrored=flipped, kind=kind)

    for center in sorted({*neighbours, *np.nonzero(dense)[0].tolist()}):
        if center in taken:
            continue
        for number in neighbours.get(center, ()):
            take(center, int(pairs.second[number]), int(pairs.distance[number]), bool(pairs.mirrored[number]))
        if dense[center]:
            others = scan.neighbours(center)
            scan.take([center])
            for near in crowd.nearest(center, *others):
                _, copies_of_center, _ = _judge(known, near, threshold)
                found = np.nonzero(copies_of_center)[0].tolist()
                for number in found:
                    take(center, int(near.second[number]), int(near.distance[number]), bool(near.mirrored[number]))
                scan.take([other for other in near.second[found].tolist() if other in taken])
                if not found:
                    break
    return [
        Lookalike(
            first=shaped[int(pairs.first[number])],
            second=shaped[int(pairs.second[number])],
            distance=int(pairs.distance[number]),
            mirrored=bool(pairs.mirrored[number]),
            agreement=round(float(fine[number]), 3),
        )
        for number in np.nonzero(alike)[0].tolist()
    ]


class _Crowd:
    """The pictures whose hashes have very many neighbours, most of them other pictures: likely copies come first."""

    def __init__(self, facts: Sequence[Facts], dense: npt.NDArray[np.bool_]) -> None:
        names = np.nonzero(dense)[0]
        self._place = np.cumsum(dense) - 1
        self._plain, self._turned = np.empty(len(names), np.uint64), np.empty(len(names), np.uint64)
        for start in range(0, len(names), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            looks = _stacked([facts[index] for index in names[part].tolist()], "look", _LOOK)
            self._plain[part], self._turned[part] = difference_hashes(looks), difference_hashes(looks[:, :, ::-1])

    def nearest(
        self,
        center: int,
        others: npt.NDArray[np.int64],
        distance: npt.NDArray[np.uint8],
        flipped: npt.NDArray[np.bool_],
    ) -> Iterator[Pairs]:
        """The pairs of `center` with `others` by both hashes, nearest first, some at a time: who takes no more when
        some hold no copy compares each picture of a crowd with few others, not with all."""
        places = self._place[others]
        details = np.where(flipped, self._turned[places], self._plain[places])
        apart = bit_count(details ^ self._plain[self._place[center]]) + distance
        order = np.argsort(apart, kind="stable")
        for start in range(0, len(order), _FEW):
            some = order[start : start + _FEW]
            yield Pairs(np.full(len(some), center), others[some], distance[some], flipped[some])


def _with_barred(
    pairs: Pairs, facts: Sequence[Facts], hashes: npt.NDArray[np.uint64], mirrored: npt.NDArray[np.uint64]
) -> Pairs:
    """`pairs`, and those too far apart by phash whose difference hashes are near: a caption bar was laid over one."""
    looks = _stacked(facts, "look", _LOOK)
    plain, turned = difference_hashes(looks), difference_hashes(looks[:, :, ::-1])
    more = near_pairs(plain, turned, _BARRED_BITS, find_dense(plain, turned, _BARRED_BITS))
    width = len(facts) + 1
    fresh = ~np.isin(more.first * width + more.second, pairs.first * width + pairs.second)
    first, second, flipped = more.first[fresh], more.second[fresh], more.mirrored[fresh]
    distance = bit_count(hashes[first] ^ np.where(flipped, mirrored[second], hashes[second])).astype(np.uint8)
    return Pairs(
        np.concatenate((pairs.first, first)),
        np.concatenate((pairs.second, second)),
        np.concatenate((pairs.distance, distance)),
        np.concatenate((pairs.mirrored, flipped)),
    )


_Bools = npt.NDArray[np.bool_]


def _judge(facts: Sequence[Facts], pairs: Pairs, threshold: int) -> tuple[npt.NDArray[np.float32], _Bools, _Bools]:
    """(fine agreement, is the same picture, should be compared by a person) of each pair."""
    fine, coarse = np.empty(len(pairs), np.float32), np.empty(len(pairs), np.float32)
    difference = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        first, second, turned = pairs.first[part], pairs.second[part], pairs.mirrored[part]
        a, b = [facts[index] for index in first.tolist()], [facts[index] for index in second.tolist()]
        look, colour = _stacked(a, "look", _LOOK), _stacked(a, "colours", _COLOURS)
        look[turned], colour[turned] = look[turned][:, :, ::-1], colour[turned][:, :, ::-1]
        fine[part], coarse[part] = agreement(look, _stacked(b, "look", _LOOK))
        difference[part] = colour_difference(colour, _stacked(b, "colours", _COLOURS))
        difference[part][[one.grey or other.grey for one, other in zip(a, b, strict=True)]] = 0
    near = (pairs.distance <= threshold) & (fine >= _NOT_CONTRADICTED)
    confirmed = (pairs.distance <= min(2 * threshold, _CONFIRM_BITS)) & (fine >= _SAME) & (coarse >= _SAME)
    same = (near | confirmed) & (difference < _OTHER_COLOUR)
    in_band = (pairs.distance <= _REVIEW_BITS) & (fine >= _ALIKE)
    alike = ~same & ((pairs.distance <= threshold) | in_band | ((fine >= _SAME) & (coarse >= _SAME)))
    return fine, same, alike


def _stacked(facts: Sequence[Facts], name: str, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    joined = b"".join(getattr(fact, name) for fact in facts)
    return np.frombuffer(joined, dtype=np.uint8).reshape(len(facts), *shape).copy()
