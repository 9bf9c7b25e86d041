"""What a provider is: two pure functions and a few numbers. Everything that touches the network lives elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from gancli.errors import ScrapeError, UsageError
from gancli.scrape.results import Result

__all__ = [
    "PROVIDERS",
    "Page",
    "Provider",
    "ProviderBlocked",
    "ProviderChanged",
    "ProviderError",
    "ProviderNoKey",
    "ProviderQuota",
    "Request",
    "Search",
    "State",
    "choose",
    "integer",
    "is_challenge",
    "json_object",
    "provider",
    "text_or_none",
    "web_address",
]

_CHALLENGE = re.compile(rb"captcha|challenge|turnstile|unusual traffic", re.IGNORECASE)

State = Mapping[str, Any]
"""Where a search stands between two pages, in the provider's own words; the first page has an empty one."""


class ProviderError(ScrapeError):
    """A provider gave no page. `kind` is the outcome's name in the end table.

    `may_pass`: it is worth a second try, after `wait_s` at least.
    """

    kind: ClassVar[str] = "failed"

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass
        self.wait_s = 0.0


class ProviderBlocked(ProviderError):
    """The site refuses automatic requests for now (403, 429, a captcha, no token)."""

    kind = "blocked"


class ProviderChanged(ProviderError):
    """The site answered with something that is not the page we know."""

    kind = "changed"


class ProviderNoKey(ProviderError):
    """The site wants a key that is missing or wrong."""

    kind = "no key"


class ProviderQuota(ProviderError):
    """The site's allowance for this key or address is used up."""

    kind = "quota"


@dataclass(frozen=True, kw_only=True)
class Search:
    """One query with its filters, the same for every provider. `near_px`: the side that pictures are wanted at."""

    query: str
    label: str = ""
    size: str | None = None
    colour: str | None = None
    type: str | None = None
    safe: str = "moderate"
    rule: str = "modify"
    min_side_px: int = 160
    near_px: int = 480
    seed: int = 0
    key: str | None = None
    variant: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to ask: a path at the provider's endpoint, parameters in order, headers, cookies. Always GET.

    `browser`: the site answers only those that show themselves as one.
    """

    path: str
    params: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    browser: bool = False


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of results in the site's order, and the state to ask for the next one (None: there is none).

    `total` is how many the site says it has and will give, None if it does not say.
    """

    results: tuple[Result, ...]
    next: State | None
    total: int | None = None
    note: str = ""


class Provider:
    """A site that can be searched. Subclasses set the numbers and write `build_request` and `parse`, both pure."""

    name: ClassVar[str]
    endpoint: ClassVar[str] = ""
    key_name: ClassVar[str | None] = None
    states_licence: ClassVar[bool] = True
    min_gap_s: ClassVar[float] = 1.0
    max_results: ClassVar[int] = 1000
    max_query: ClassVar[int] = 400
    max_pages: ClassVar[int] = 400
    terms: ClassVar[str] = ""
    is_local: ClassVar[bool] = False
    requests_a_day: ClassVar[int | None] = None
    pages_a_start: ClassVar[int | None] = None
    cache_s: ClassVar[float] = 0.0

    def build_request(self, search: Search, state: State) -> Request:
        """The request for the page after `state` ({} for the first)."""
        raise NotImplementedError

    def parse(self, body: bytes, search: Search, state: State) -> Page:
        """The page in `body`. Raises `ProviderError`s and nothing else, whatever the bytes are."""
        raise NotImplementedError

    def explain(self, status: int, body: bytes) -> ProviderError:
        """What an answer with an HTTP status of 400 or more means here."""
        if status in (403, 418, 429):
            return ProviderBlocked(f"{self.name} refuses automatic requests for now (HTTP {status}).")
        if status == 401:
            return ProviderNoKey(f"{self.name} wants a valid key (HTTP 401).")
        return ProviderError(f"{self.name} answered with HTTP {status}.")

    def fan_out(self, search: Search) -> tuple[Search, ...]:
        """Searches that together reach further than `search` alone; by default itself only."""
        return (search,)


PROVIDERS: dict[str, Provider] = {}

_P = TypeVar("_P", bound=type[Provider])


def provider(kind: _P) -> _P:
    """Registers a provider under its name; a clash is an error."""
    if kind.name in PROVIDERS:
        raise ValueError(f"two providers are named '{kind.name}'")
    PROVIDERS[kind.name] = kind()
    return kind


def choose(names: tuple[str, ...]) -> list[Provider]:
    """The providers of those names. Raises `UsageError` for one that is not known."""
    for name in names:
        if name not in PROVIDERS:
            raise UsageError(f"--from '{name}' is unknown; choose auto or one of {', '.join(sorted(PROVIDERS))}.")
    return [PROVIDERS[name] for name in dict.fromkeys(names)]


def json_object(body: bytes, name: str) -> dict[str, Any]:
    """The JSON object in `body`; raises `ProviderBlocked` for a captcha, `ProviderChanged` for anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        if is_challenge(body):
            raise ProviderBlocked(f"{name} wants to know who asks: it refuses automatic requests for now.") from None
        raise ProviderChanged(f"{name} answered with something that is not JSON.") from None
    if not isinstance(value, dict):
        raise ProviderChanged(f"{name} answered with JSON of another shape.")
    return value


def is_challenge(body: bytes) -> bool:
    """Is this the page that asks whether a person is there?"""
    return _CHALLENGE.search(body) is not None


def integer(value: object) -> int | None:
    """A number of pixels or results: a whole number from 0 to 10^9, else None. Digits in a text count."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    if isinstance(value, float) and value == value and 0 <= value <= 1e9:
        return int(value)
    return value if isinstance(value, int) and 0 <= value <= 10**9 else None


def text_or_none(value: object) -> str | None:
    """`value` if it is a text with something in it, else None."""
    return value if isinstance(value, str) and value.strip() else None


def web_address(value: object) -> str | None:
    """`value` if it is an http(s) address, else None. ('//host/path' is taken as https.)"""
    if not isinstance(value, str):
        return None
    text = value.strip()
    if text.startswith("//"):
        text = "https:" + text
    return text if text[:8].lower().startswith(("http://", "https://")) else None
