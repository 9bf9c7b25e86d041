"""What a person decided, picture by picture: an append-only journal, `review.jsonl`, in which the last word counts.

A line names a picture by its content, so that decisions survive a top-up and a renamed file:
{"sha256": …, "set": {"decision": "keep" | "reject" | null, "flip": bool, "crop": [l, t, r, b] | null,
"label": text | null}, "ts": …}. A line sets only the fields it names.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gancli.curate.sources import REVIEW, Source, is_raw_set
from gancli.curate.training_set import TrainingSet
from gancli.errors import DiskError, UsageError
from gancli.files import append_json_line, read_json_lines
from gancli.text import clean

__all__ = ["Decision", "append_decision", "decide_by_number", "journal_of", "parse_change", "read_decisions"]

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Everything decided about one picture. `crop` is (left, top, right, bottom), each 0..1 of the upright picture."""

    decision: str | None = None
    flip: bool = False
    crop: tuple[float, float, float, float] | None = None
    label: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The fields as a line of the journal sets them."""
        return {
            "decision": self.decision,
            "flip": self.flip,
            "crop": list(self.crop) if self.crop else None,
            "label": self.label,
        }


def journal_of(root: Path, out: Path) -> Path:
    """Where decisions about the files of an input are kept: in the raw set, or in the training set when the folder is
    not ours."""
    return (root if is_raw_set(root) else out) / REVIEW


def append_decision(journal: Path, sha256: str, change: dict[str, Any]) -> None:
    """Writes one decision to the disk at once. Raises `DiskError`."""
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    append_json_line(journal, {"sha256": sha256, "set": change, "ts": stamp})
    with contextlib.suppress(OSError), open(journal, "rb") as file:
        os.fsync(file.fileno())


def decide_by_number(
    target: TrainingSet, sources: Sequence[Source], numbers: Sequence[int], change: dict[str, Any]
) -> None:
    """Decides about pictures by their numbers on the contact sheet of `target`. Raises `UsageError`, `DiskError`."""
    if not numbers:
        return
    if target.curation is None:
        raise UsageError(
            f"There is no training set '{clean(str(target.folder), 200)}' yet, so its pictures have no numbers. "
            "Run gan curate without --reject and --flip-images first, and look at its contact-sheet.jpg."
        )
    rows = {row.get("number"): row for row in target.rows if isinstance(row.get("sha256"), str)}
    by_name = {source.name: source for source in sources}
    found = [(rows.get(number), number) for number in dict.fromkeys(numbers)]
    strange = [number for row, number in found if row is None or row.get("source") not in by_name]
    if strange:
        raise UsageError(f"The contact sheet has no picture with the number {strange[0]}.")
    for row, _ in found:
        if row is not None:
            append_decision(journal_of(by_name[row["source"]].root, target.folder), row["sha256"], change)


def read_decisions(journals: Sequence[Path]) -> tuple[dict[str, Decision], int]:
    """sha256 -> what was decided, and how many lines were broken. Raises `DiskError`."""
    decisions: dict[str, Decision] = {}
    broken = 0
    for journal in journals:
        try:
            rows, torn = read_json_lines(journal)
        except OSError as error:
            raise DiskError.from_os(error, journal, "read") from error
        broken += torn
        for row in rows:
            change = parse_change(row.get("set"))
            sha256 = row.get("sha256")
            if change is None or not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
                broken += 1
                continue
            decisions[sha256] = replace(decisions.get(sha256, Decision()), **change)
    return decisions, broken


def parse_change(value: object) -> dict[str, Any] | None:
    """The fields that a journal line or a page may set, checked; None when anything in it is not one."""
    if not isinstance(value, dict) or not value:
        return None
    change: dict[str, Any] = {}
    for name, given in value.items():
        if (name == "decision" and given in ("keep", "reject", None)) or (name == "flip" and isinstance(given, bool)):
            change[name] = given
        elif name == "label" and (given is None or (isinstance(given, str) and 0 < len(given) <= 100)):
            change[name] = clean(given, 100) or None if given else None
        elif name == "crop" and (given is None or _is_box(given)):
            change[name] = None if given is None else tuple(float(edge) for edge in given)
        else:
            return None
    return change


def _is_box(value: object) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 4:
        return False
    if not all(isinstance(edge, int | float) and not isinstance(edge, bool) for edge in value):
        return False
    left, top, right, bottom = value
    return bool(left >= 0 and right <= 1 and right - left >= 0.01 and top >= 0 and bottom <= 1 and bottom - top >= 0.01)
