"""What `curate` yields while it works: plain facts, in the order in which they come about."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gancli.curate.duplicates import Lookalike

__all__ = ["Done", "Finding", "Note", "Planned", "Read", "Searched", "Written"]


@dataclass(frozen=True, kw_only=True)
class Planned:
    """Before anything is read: how many files there are and where the set will be."""

    num_files: int
    out: Path
    is_update: bool


@dataclass(frozen=True, kw_only=True)
class Note:
    """Something a person should know: broken lines, decisions about pictures that are not here …"""

    text: str


@dataclass(frozen=True, kw_only=True)
class Read:
    """One file was read; `reason` says why it cannot be used, '' when it can."""

    source: str
    reason: str = ""
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Searched:
    """Duplicates were looked for: how many pictures stay, and how many pictures have to be written."""

    num_kept: int
    num_to_write: int


@dataclass(frozen=True, kw_only=True)
class Written:
    """One picture of the set lies on the disk."""

    file: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Done:
    """The end: the set, its rows as in manifest.jsonl, why pictures were left out, and what the set is like.

    `files` are the input files by their `number` (from 1) in `rows`; `lookalikes` name them by number - 1.
    """

    path: Path
    rows: list[dict[str, Any]]
    reasons: dict[str, int]
    flags: dict[str, int]
    counts: dict[str, int]
    files: list[Path] = field(default_factory=list)
    lookalikes: list[Lookalike] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    advice: list[str] = field(default_factory=list)


Finding = Planned | Note | Read | Searched | Written | Done
