"""Which pictures make the set, and a row of the manifest for each file: kept, or left out and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gancli.curate.decisions import Decision
from gancli.curate.duplicates import Copy, Lookalike, find_copies
from gancli.curate.facts import Facts
from gancli.curate.hashes import hash_text
from gancli.curate.options import FLAGS, CurateOptions
from gancli.curate.quality import odd_sizes
from gancli.curate.rendering import RenderItem
from gancli.curate.sources import UNLABELLED, Source
from gancli.curate.summary import summarise
from gancli.manifest import new_row
from gancli.pool import Failure

__all__ = ["Selection", "select"]

_MIN_SET_FOR_HELD_OUT = 100


@dataclass(frozen=True, kw_only=True)
class Selection:
    """`rows` in the order of the inputs (a mirrored copy after its picture), `items` what has to lie on the disk,
    `lookalikes` pairs of kept pictures (indices of the inputs) that a person should compare, `figures` the summary of
    the pictures that stay."""

    rows: list[dict[str, Any]]
    items: list[RenderItem]
    channels: int
    lookalikes: list[Lookalike]
    figures: dict[str, Any]


def select(
    sources: Sequence[Source],
    found: Sequence[Facts | Failure],
    decisions: Mapping[str, Decision],
    options: CurateOptions,
) -> Selection:
    """Decides about every file: unreadable, too small, dropped by a flag, rejected, a copy, or kept."""
    facts = {index: fact for index, fact in enumerate(found) if isinstance(fact, Facts)}
    facts = _with_set_flags(facts, options)
    decided = {index: decisions.get(fact.sha256, Decision()) for index, fact in facts.items()}
    left_out = {index: why for index, fact in facts.items() if (why := _dropped(fact, decided[index], options))}
    candidates = [index for index in facts if index not in left_out]
    ranking = sorted(candidates, key=lambda index: _rank(index, facts[index], decided[index], sources[index]))
    copies, lookalikes = _copies(facts, ranking, decided, options)
    rejected = {index for index in candidates if decided[index].decision == "reject"}
    kept = [index for index in candidates if index not in copies and index not in rejected]
    held_out = _held_out(kept, facts, lookalikes, options)
    rows: list[dict[str, Any]] = []
    items: list[RenderItem] = []
    taken: set[str] = set()
    for index, (source, fact) in enumerate(zip(sources, found, strict=True)):
        row = _base_row(index, source, facts.get(index), decided.get(index, Decision()))
        rows.append(row)
        if isinstance(fact, Failure):
            row.update(status="fail", reason=fact.reason)
        elif index in left_out:
            row.update(status="skip", reason=left_out[index])
        elif index in rejected:
            row.update(status="skip", reason="rejected by you")
        elif index in copies:
            row.update(_copy_fields(copies[index], sources, rejected))
        else:
            split = "held-out" if index in held_out else "train"
            row.update(status="ok", reason=None, split=split, file=_file_name(fact.sha256, taken))
            rows.extend(_add_items(row, source, decided[index], options, items))
    if any(row["label"] for row in rows if row["status"] == "ok"):
        for row in rows:
            row["label"] = row["label"] or UNLABELLED
    shown = [facts[index] for index in kept]
    return Selection(
        rows=rows, items=items, channels=_channels(shown, options), lookalikes=lookalikes, figures=summarise(shown)
    )


def _with_set_flags(facts: dict[int, Facts], options: CurateOptions) -> dict[int, Facts]:
    """The flags that only the whole set or the size asked for can tell."""
    odd = odd_sizes([(fact.width, fact.height) for fact in facts.values()])
    flagged: dict[int, Facts] = {}
    for (index, fact), is_odd in zip(facts.items(), odd, strict=True):
        flags = {*fact.flags, *(["odd-size"] if is_odd else [])}
        if min(fact.width, fact.height) < min(options.size):
            flags.add("small")
        ordered = tuple(flag for flag in FLAGS if flag in flags)
        flagged[index] = fact if ordered == fact.flags else replace(fact, flags=ordered)
    return flagged


def _dropped(fact: Facts, decision: Decision, options: CurateOptions) -> str | None:
    if decision.decision == "keep":
        return None
    if min(fact.width, fact.height) < options.min_side:
        return f"smaller than {options.min_side} px"
    return next((flag for flag in fact.flags if flag in options.drop), None)


def _rank(index: int, fact: Facts, decision: Decision, source: Source) -> tuple[bool, float, int]:
    merit = fact.merit - (1.0 if source.row.get("used_thumbnail") else 0.0) + 0.1 * _licence_rank(source.row)
    return decision.decision != "keep", -round(merit, 6), index


def _licence_rank(row: Mapping[str, Any]) -> int:
    """0 unknown, 1 with conditions, 2 share-alike, 3 attribution, 4 public."""
    name = str(row.get("license") or "").upper()
    if name.startswith(("CC0", "PDM", "PUBLIC")):
        return 4
    if not name or name == "NONE":
        return 0
    if "-NC" in name or "-ND" in name:
        return 1
    return 2 if "-SA" in name else 3


def _copies(
    facts: Mapping[int, Facts], ranking: Sequence[int], decided: Mapping[int, Decision], options: CurateOptions
) -> tuple[dict[int, Copy], list[Lookalike]]:
    kept = {place for place, index in enumerate(ranking) if decided[index].decision == "keep"}
    copies, doubtful = find_copies([facts[index] for index in ranking], options.threshold, kept)
    by_index = {ranking[place]: replace(copy, of=ranking[copy.of]) for place, copy in copies.items()}
    lookalikes = [
        replace(pair, first=min(indices), second=max(indices))
        for pair in doubtful
        for indices in [(ranking[pair.first], ranking[pair.second])]
    ]
    undecided = [
        pair
        for pair in lookalikes
        if any(decided[index].decision is None for index in (pair.first, pair.second))
        and all(decided[index].decision != "reject" for index in (pair.first, pair.second))
    ]
    return by_index, sorted(undecided, key=lambda pair: (pair.first, pair.second))


def _held_out(
    kept: Sequence[int], facts: Mapping[int, Facts], lookalikes: Sequence[Lookalike], options: CurateOptions
) -> set[int]:
    """A share of the pictures, by their content, so that a top-up moves none; what looks alike stays together."""
    if len(kept) < _MIN_SET_FOR_HELD_OUT:
        return set()
    key = {index: facts[index].sha256 for index in kept}
    changed = True
    while changed:
        changed = False
        for pair in lookalikes:
            if pair.first in key and pair.second in key and key[pair.first] != key[pair.second]:
                key[pair.first] = key[pair.second] = min(key[pair.first], key[pair.second])
                changed = True
    return {index for index in kept if int(key[index][-8:], 16) / 2**32 < options.held_out}


def _base_row(index: int, source: Source, fact: Facts | None, decision: Decision) -> dict[str, Any]:
    row = new_row(**source.row)
    row.update(
        file=None,
        source=source.name,
        number=index + 1,
        phash=None,
        duplicate_of=None,
        distance=None,
        mirrored=False,
        flags=[],
        label=decision.label or source.label,
        split=None,
        decision=decision.decision,
        flipped=decision.flip,
        crop=list(decision.crop) if decision.crop else None,
    )
    if fact is not None:
        row.update(
            sha256=fact.sha256,
            bytes=fact.num_bytes,
            width=fact.width,
            height=fact.height,
            format=fact.format,
            phash=hash_text(fact.phash),
            flags=list(fact.flags),
        )
    return row


def _copy_fields(copy: Copy, sources: Sequence[Source], rejected: set[int]) -> dict[str, Any]:
    words = {"exact": "the same picture", "near": "a copy", "confirmed": "a copy, cut or changed"}[copy.kind]
    if copy.mirrored:
        words = "a mirrored copy"
    if copy.of in rejected:
        words = "a copy of a rejected picture"
    return {
        "status": "dup",
        "reason": words,
        "duplicate_of": sources[copy.of].name,
        "distance": copy.distance,
        "mirrored": copy.mirrored,
    }


def _file_name(sha256: str, taken: set[str]) -> str:
    stem, number = sha256[:16], 2
    name = f"images/{stem}.png"
    while name in taken:
        name, number = f"images/{stem}-{number}.png", number + 1
    taken.add(name)
    return name


def _add_items(
    row: dict[str, Any], source: Source, decision: Decision, options: CurateOptions, items: list[RenderItem]
) -> list[dict[str, Any]]:
    """Adds the picture, and with --mirror its mirrored copy; returns the copy's row."""
    about: dict[str, Any] = {"path": str(source.path), "crop": decision.crop, "flagged": bool(row["flags"])}
    items.append(RenderItem(file=row["file"], mirrored=decision.flip, number=row["number"], **about))
    if not options.mirror:
        return []
    file = row["file"].removesuffix(".png") + "-m.png"
    items.append(RenderItem(file=file, mirrored=not decision.flip, **about))
    return [{**row, "file": file, "mirrored": True}]


def _channels(kept: Sequence[Facts], options: CurateOptions) -> int:
    if options.background == "keep" and any(fact.alpha for fact in kept):
        return 4
    return 1 if kept and all(fact.grey for fact in kept) else 3
