"""What a search gives, and what became of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gancli.manifest import new_row
from gancli.text import clean

__all__ = [
    "DUP",
    "FAIL",
    "MAX_URL",
    "OK",
    "SKIP",
    "Finished",
    "Forecast",
    "Notice",
    "Outcome",
    "Result",
    "Started",
    "plain_url",
]

OK, DUP, SKIP, FAIL = "ok", "dup", "skip", "fail"

MAX_URL = 4000


def plain_url(url: str) -> str:
    """`url` with what cannot be shown (spaces, control and format characters) percent-encoded, cut at `MAX_URL`."""
    text = url.strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        text = "".join(c if c.isprintable() and c != " " else quote(c, errors="replace") for c in text)
    return text[:MAX_URL]


@dataclass(frozen=True, kw_only=True)
class Result:
    """One picture as a provider describes it. Text is as it came; it is cleaned where it is written.

    `url` names the picture; `addresses` are where it is tried, in order (a smaller copy near the wanted size first);
    none means `url` alone.
    `same` holds keys (`sha1:…`, `md5:…`) under which two results are known to be one picture before download.
    """

    url: str
    provider: str = ""
    query: str = ""
    rank: int = 0
    addresses: tuple[str, ...] = ()
    page_url: str | None = None
    title: str | None = None
    creator: str | None = None
    license: str | None = None
    license_url: str | None = None
    license_source: str = "none"
    attribution: str | None = None
    width: int | None = None
    height: int | None = None
    same: tuple[str, ...] = ()
    no_ai: bool = False
    is_generated: bool = False
    referer: str | None = None
    variant: str | None = None

    @property
    def key(self) -> str:
        """The name of this picture in the manifest."""
        return plain_url(self.url)

    def fields(self) -> dict[str, Any]:
        """The part of a manifest row that is known before the download; control characters are gone."""

        def text(value: str | None, limit: int = 500) -> str | None:
            return None if value is None else clean(value, limit)

        return {
            "url": self.key,
            "page_url": text(self.page_url, MAX_URL),
            "provider": self.provider,
            "query": self.query,
            "rank": self.rank,
            "title": text(self.title),
            "creator": text(self.creator),
            "license": text(self.license, 200),
            "license_url": text(self.license_url, MAX_URL),
            "license_source": self.license_source,
            "attribution": text(self.attribution, 1000),
            "width": self.width,
            "height": self.height,
        }

    def replaced(self, **changes: Any) -> Result:
        """A copy with `changes`."""
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one result: `ok` (kept), `dup`, `skip` (a rule left it out) or `fail`; `reason` in plain words."""

    status: str
    reason: str
    result: Result
    final_url: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    file: str | None = None
    http_status: int | None = None
    attempts: int = 0
    more: dict[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """The manifest row, every field of CLI.md present."""
        values = self.result.fields()
        values.update(
            status=self.status,
            reason=clean(self.reason),
            final_url=None if self.final_url is None else clean(self.final_url, MAX_URL),
            sha256=self.sha256,
            bytes=self.bytes,
            format=self.format,
            file=self.file,
            http_status=self.http_status,
            attempts=self.attempts,
            ts=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
        if self.width is not None:
            values.update(width=self.width, height=self.height)
        if self.result.variant:
            values["variant"] = clean(self.result.variant)
        if self.result.same:
            values["same"] = list(self.result.same)
        return new_row(**values, **self.more)


@dataclass(frozen=True, kw_only=True)
class Started:
    """The set is open: `kept` pictures of what was asked are there already, `asked` are wanted in all."""

    folder: Path
    asked: int
    kept: int


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A provider has something to say: `kind` is end, empty, blocked, changed, no key, quota or failed."""

    provider: str
    query: str
    kind: str
    message: str
    found: int = 0


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """After the first pages: how many pictures `query` itself can yield, likely and at most, and what to ask besides.

    Of the providers in `unsaid` nobody knows how many they have; the numbers are without them.
    """

    query: str
    about: int
    at_most: int
    unsaid: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The end table: `asked`, `kept` of it, `added` by this start, `left_out` by reason.

    `untried` addresses of a list were not needed.
    """

    folder: Path
    asked: int
    kept: int
    added: int
    left_out: dict[str, int]
    untried: int = 0
    notices: tuple[Notice, ...] = ()
    requests: int = 0
    bytes: int = 0
