"""What one start of a scrape was asked to do, checked before anything is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gancli.errors import UsageError
from gancli.scrape.licences import check_rule

__all__ = ["COLOURS", "DEFAULT_COUNT", "SAFE_LEVELS", "SIZES", "TYPES", "ScrapeConfig"]

DEFAULT_COUNT = 500
SAFE_LEVELS = ("off", "moderate", "strict")
SIZES = ("small", "medium", "large", "wallpaper")
TYPES = ("photo", "clipart", "line", "transparent", "animated")
COLOURS = (
    "colour", "grey", "red", "orange", "yellow", "green", "teal", "turquoise", "blue", "purple", "lilac", "pink",
    "white", "black", "brown",
)  # fmt: skip
_MAX_QUERY = 10_000


@dataclass(frozen=True, kw_only=True)
class ScrapeConfig:
    """Every setting of a scrape. Sizes in pixels, times in seconds, sizes of files in MB (10^6 bytes).

    `queries` may be empty only with a list of addresses (`urls`, `url_lines`). `count` None means 500, of a list that
    is shorter all of it.
    `license` None means `modify`; bing and duckduckgo, when named, and lists of addresses imply `any` for theirs.
    Raises `UsageError` for what cannot be meant.
    """

    queries: tuple[str, ...] = ()
    out: Path | None = None
    count: int | None = None
    sources: tuple[str, ...] = ("auto",)
    license: str | None = None
    min_side_px: int = 160
    size: str | None = None
    colour: str | None = None
    type: str | None = None
    also: tuple[str, ...] = ()
    urls: Path | None = None
    url_lines: tuple[str, ...] | None = None
    safe: str = "moderate"
    label_by_query: bool = False
    endpoints: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 60.0
    max_mb: float = 30.0
    per_host: int = 2
    gap_s: float = 0.5
    workers: int = 16
    ignore_optout: bool = False
    allow_private: bool = False
    watermark_hosts: bool = False
    seed: int = 0
    check_images: bool = True

    def __post_init__(self) -> None:
        self._check_queries()
        self._check_numbers()
        check_rule(self.rule)
        _one_of("--safe", self.safe, SAFE_LEVELS)
        _one_of("--size", self.size, SIZES)
        _one_of("--colour", self.colour, COLOURS)
        _one_of("--type", self.type, TYPES)
        for name, url in self.endpoints.items():
            _check_endpoint(name, url)

    @property
    def rule(self) -> str:
        """The licence rule where nothing else is implied."""
        return self.license or "modify"

    @property
    def has_list(self) -> bool:
        """Are the addresses given, instead of searched for?"""
        return self.urls is not None or self.url_lines is not None

    @property
    def list_source(self) -> Path | tuple[str, ...]:
        """Where the addresses stand: a file, or the lines themselves."""
        return self.urls if self.urls is not None else self.url_lines or ()

    def _check_queries(self) -> None:
        if self.has_list and self.queries:
            raise UsageError("Give either queries or --urls, not both.")
        if not self.has_list and not self.queries:
            raise UsageError('No query was given. Say what to look for: gan scrape "snowy mountains"')
        for query in (*self.queries, *self.also):
            if not query.strip():
                raise UsageError('A query is empty. Say what to look for: gan scrape "snowy mountains"')
            if len(query) > _MAX_QUERY:
                raise UsageError(f"A query has {len(query):,} characters; at most {_MAX_QUERY:,} are read.")

    def _check_numbers(self) -> None:
        if self.count is not None and self.count < 1:
            raise UsageError(f"--count {self.count} makes no sense; ask for at least 1.")
        if self.seed < 0:
            raise UsageError(f"--seed {self.seed} makes no sense; choose 0 or more.")
        _in_range("--workers", self.workers, 1, 256)
        _in_range("--per-host", self.per_host, 1, 256)
        _in_range("--gap", self.gap_s, 0, 3600)
        _in_range("--timeout", self.timeout_s, 0.001, 86_400)
        _in_range("--max-mb", self.max_mb, 0.001, 100_000)
        _in_range("--min-side", self.min_side_px, 0, 1_000_000)


def _in_range(flag: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise UsageError(f"{flag} {value:g} is out of range; choose {least:g} to {most:,.0f}.")


def _one_of(flag: str, value: str | None, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        raise UsageError(f"{flag} '{value}' is unknown; choose one of {', '.join(allowed)}.")


def _check_endpoint(name: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
        usable = usable and parts.port != 0 and parts.path in ("", "/") and not parts.query and not parts.fragment
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"--endpoint {name}={url} is not usable; give scheme://host or scheme://host:port.")
