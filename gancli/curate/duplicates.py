"""Copies of one picture found and the best one kept.

Groups are stars around their best picture: best first, each takes its unassigned neighbours, so that whatever is left
out lies within the threshold of what is kept, and chains (A like B, B like C) never remove a C unlike A.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np

from gancli.curate.facts import Facts
from gancli.curate.neighbours import near_pairs

__all__ = ["Copy", "Lookalike", "find_copies"]


@dataclass(frozen=True, kw_only=True)
class Copy:
    """Why one picture is left out: it is `of` (an index) again, at `distance` bits, perhaps `mirrored`."""

    of: int
    distance: int
    mirrored: bool
    kind: str  # exact | near


@dataclass(frozen=True, kw_only=True)
class Lookalike:
    """Two kept pictures that a person should compare."""

    first: int
    second: int
    distance: int
    mirrored: bool


def find_copies(
    facts: Sequence[Facts], ranking: Sequence[int], threshold: int, kept_by_hand: Set[int] = frozenset()
) -> dict[int, Copy]:
    """index -> the picture it repeats. `ranking` lists all indices, the best copy first; a person's keeps stay."""
    copies: dict[int, Copy] = {}
    nodes: list[int] = []
    by_bytes: dict[str, int] = {}
    for index in ranking:
        same = facts[index].pixels or facts[index].sha256
        best = by_bytes.setdefault(same, index)
        if best == index:
            nodes.append(index)
        else:
            copies[index] = Copy(of=best, distance=0, mirrored=False, kind="exact")
    if threshold == 0:
        _mirrored_pixels(facts, nodes, copies)
    else:
        _stars(facts, nodes, threshold, copies, kept_by_hand)
    for index, copy in copies.items():
        center = copies.get(copy.of)
        if center is not None:
            copies[index] = Copy(of=center.of, distance=center.distance, mirrored=center.mirrored, kind=center.kind)
    return copies


def _mirrored_pixels(facts: Sequence[Facts], nodes: list[int], copies: dict[int, Copy]) -> None:
    seen: dict[str, int] = {}
    for index in nodes:
        of = seen.get(facts[index].pixels_mirrored)
        if of is None:
            seen[facts[index].pixels] = index
        else:
            copies[index] = Copy(of=of, distance=0, mirrored=True, kind="exact")


def _stars(facts: Sequence[Facts], nodes: list[int], threshold: int, copies: dict[int, Copy], kept: Set[int]) -> None:
    """`nodes` best first; flat pictures all look alike to a hash and stay out of it."""
    shaped = [index for index in nodes if not facts[index].flat]
    hashes = np.array([facts[index].phash for index in shaped], dtype=np.uint64)
    mirrored = np.array([facts[index].phash_mirrored for index in shaped], dtype=np.uint64)
    pairs = near_pairs(hashes, mirrored, threshold)
    neighbours: dict[int, list[tuple[int, int, bool]]] = {}
    for first, second, distance, flipped in zip(
        pairs.first.tolist(), pairs.second.tolist(), pairs.distance.tolist(), pairs.mirrored.tolist(), strict=True
    ):
        neighbours.setdefault(first, []).append((second, distance, flipped))
    taken: set[int] = set()
    for center in sorted(neighbours):
        if center in taken:
            continue
        for other, distance, flipped in neighbours[center]:
            if other not in taken and shaped[other] not in kept:
                taken.add(other)
                copies[shaped[other]] = Copy(of=shaped[center], distance=distance, mirrored=flipped, kind="near")
