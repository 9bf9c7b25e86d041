"""Asking a provider for a page: its gap, its key, its cookies, its retries. One request at a time for each provider."""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping
from urllib.parse import SplitResult, urlencode, urljoin, urlsplit

from gancli.scrape.allowance import wait_for_allowance
from gancli.scrape.body import FetchError, Wish
from gancli.scrape.guard import UNKNOWN_NAME
from gancli.scrape.hosts import MAX_PARK_S
from gancli.scrape.http import MAX_HOPS, Answer, Clock, Web
from gancli.scrape.pagecache import cached_page, keep_page
from gancli.scrape.providers.base import (
    Page,
    Provider,
    ProviderBlocked,
    ProviderChanged,
    ProviderError,
    ProviderNoKey,
    ProviderQuota,
    Request,
    Search,
    State,
)
from gancli.scrape.retry import retry_after_s

__all__ = ["Asker", "Interrupted", "key_of", "missing_key", "near_endpoints"]

_PAGE_S = 30.0
_READ_S = 25.0  # openverse may take 20
_PAGE_BYTES = 16_000_000
_TRIES = 3
_SECOND_LOOK_S = 5.0
_BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


class Interrupted(Exception):
    """The search was ended from outside."""


def key_of(provider: Provider) -> str | None:
    """The key in the environment (GAN_<NAME>_KEY), None when there is none."""
    if provider.key_name is None:
        return None
    key = os.environ.get(provider.key_name, "").strip()
    return key if key and key.isascii() and key.isprintable() else None


def near_endpoints(endpoints: Mapping[str, str]) -> frozenset[tuple[str, int]]:
    """The (host, port) pairs that a person named as endpoints."""
    return frozenset((p.hostname or "", _port(p)) for p in (urlsplit(url) for url in endpoints.values()))


class Asker:
    """Asks providers for pages. `stop` ends every wait."""

    def __init__(self, web: Web, endpoints: Mapping[str, str], stop: threading.Event) -> None:
        self._web = web
        self._endpoints = endpoints
        self._stop = stop
        self._locks: dict[str, threading.Lock] = {}
        self._last: dict[str, float] = {}
        self._cookies: dict[str, dict[str, str]] = {}
        self._refusals: dict[str, ProviderError] = {}
        self._pages: Counter[str] = Counter()
        self._lock = threading.Lock()

    def page(self, provider: Provider, search: Search, state: State) -> Page:
        """The next page. Raises `ProviderError`s, or `Interrupted`."""
        if provider.is_local:
            return provider.parse(b"", search, state)
        with self._lock:
            lock = self._locks.setdefault(provider.name, threading.Lock())
        with lock:
            try:
                return self._page(provider, search, state)
            except ProviderError as error:
                if not error.may_pass:
                    raise
                pause_s = max(_SECOND_LOOK_S, error.wait_s) * self._patience(provider)
            self._wait(pause_s)  # an empty or busy page: once more, then it counts
            return self._page(provider, search, state)

    def _page(self, provider: Provider, search: Search, state: State) -> Page:
        """One page, from the cache where the provider asks for one; a page that cannot be read is not kept."""
        if provider.name in self._refusals:
            raise self._refusals[provider.name]
        request, endpoint = provider.build_request(search, state), self._endpoint(provider)
        body = cached_page(endpoint, request, provider.cache_s) if provider.cache_s else None
        if body is not None:
            return provider.parse(body, search, state)
        try:
            answer = self._ask(provider, request)
            page = self._parse(provider, answer, search, state)
        except (ProviderBlocked, ProviderNoKey, ProviderQuota) as error:
            if not error.may_pass:  # it said no to us, not to this query: nothing more is asked of it in this start
                self._refusals[provider.name] = error
            raise
        if provider.cache_s:
            keep_page(endpoint, request, answer.body, provider.cache_s)
        return page

    def _parse(self, provider: Provider, answer: Answer, search: Search, state: State) -> Page:
        try:
            page = provider.parse(answer.body, search, state)
        except ProviderError as error:
            error.wait_s = min(retry_after_s(answer.header("retry-after")) or 0.0, MAX_PARK_S)
            raise
        self._pages[provider.name] += bool(page.results)
        if provider.pages_a_start is not None and self._pages[provider.name] >= provider.pages_a_start:
            words = f"{provider.name} is asked for {provider.pages_a_start} pages in one start, and no more."
            self._refusals[provider.name] = ProviderQuota(words)
        return page

    def _endpoint(self, provider: Provider) -> str:
        return self._endpoints.get(provider.name, provider.endpoint).rstrip("/")

    def _patience(self, provider: Provider) -> float:
        """How much of a pause is kept: none of it before a server on this machine or network."""
        parts = urlsplit(self._endpoints.get(provider.name, ""))
        is_near = bool(parts.hostname) and self._web.guard.is_near(parts.hostname or "", _port(parts))
        return 0.0 if is_near else 1.0

    def _ask(self, provider: Provider, request: Request) -> Answer:
        for attempt in range(1, _TRIES + 1):
            wait_s = random.uniform(0.5, 1.0) * 2**attempt * self._patience(provider)
            try:
                answer = self._send(provider, request)
            except FetchError as error:
                if not error.transient or attempt == _TRIES or error.reason == UNKNOWN_NAME:
                    raise ProviderError(f"{provider.name} could not be reached ({error.reason}).") from error
            else:
                if answer.status < 400:
                    return answer
                explained = provider.explain(answer.status, answer.body)
                asked_s = retry_after_s(answer.header("retry-after"))
                may_pass = answer.status in (408, 425, 500, 502, 503, 504) or (
                    answer.status == 429 and asked_s is not None and asked_s <= MAX_PARK_S
                )
                if not may_pass or attempt == _TRIES:
                    raise explained
                wait_s = max(wait_s, min(asked_s or 0.0, MAX_PARK_S))
            self._wait(wait_s)
        raise ProviderError(f"{provider.name} could not be reached.")

    def _send(self, provider: Provider, request: Request) -> Answer:
        """One request with its redirects, which are followed only on the provider's own site: they carry the key."""
        self._keep_gap(provider)
        endpoint = self._endpoint(provider)
        url = f"{endpoint}{request.path}"
        if request.params:
            url += "?" + urlencode(request.params, encoding="utf-8", errors="replace")
        headers = {"Accept-Encoding": "gzip", **request.headers}
        if request.browser:
            headers["User-Agent"] = _BROWSER
        for _ in range(MAX_HOPS + 1):
            cookies = self._cookies.setdefault(provider.name, {})
            if request.cookies or cookies:
                both = {**request.cookies, **cookies}
                headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in both.items())
            wish = Wish(max_bytes=_PAGE_BYTES, headers=headers, trusted=True, read_s=_READ_S)
            answer = self._web.get(url, Clock(_PAGE_S), wish)
            _take_cookies(answer, cookies)
            if answer.location is None:
                return answer
            if not _same_site(endpoint, answer.location):
                raise ProviderChanged(f"{provider.name} leads to another site.")
            url = urljoin(url, answer.location)
        raise ProviderChanged(f"{provider.name} leads in a circle.")

    def _keep_gap(self, provider: Provider) -> None:
        gap_s = provider.min_gap_s * random.uniform(1.0, 1.3) * self._patience(provider)
        wait_s = self._last.get(provider.name, 0.0) + gap_s - time.monotonic()
        if wait_s > 0:
            self._wait(wait_s)
        if self._stop.is_set():
            raise Interrupted
        if provider.requests_a_day is not None and gap_s:
            left_s = wait_for_allowance(self._endpoint(provider), provider.requests_a_day)
            if left_s > 0:
                raise ProviderQuota(
                    f"{provider.name}: the {provider.requests_a_day} requests that a day allows are used up; "
                    f"the next is free in {left_s // 3600:.0f} h {left_s % 3600 // 60:.0f} min."
                )
        self._last[provider.name] = time.monotonic()

    def _wait(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Interrupted


def _take_cookies(answer: Answer, cookies: dict[str, str]) -> None:
    for line in answer.headers.get("set-cookie", ()):
        found = re.match(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100})=([\x21\x23-\x3a\x3c-\x7e]{0,1000})", line)
        if found and len(cookies) < 30:
            cookies[found[1]] = found[2]


def _same_site(endpoint: str, location: str) -> bool:
    """Does `location` stay at the endpoint's host and port, or lead from http to https there?"""
    here, there = urlsplit(endpoint), urlsplit(location)
    try:
        if there.hostname != here.hostname:
            return False
        return _port(there) == _port(here) or (here.scheme, there.scheme, there.port) == ("http", "https", None)
    except ValueError:
        return False


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def missing_key(provider: Provider) -> ProviderNoKey | None:
    """What to say when a provider needs a key that is not there."""
    if provider.key_name is None or key_of(provider) is not None:
        return None
    return ProviderNoKey(f"{provider.name} needs a key: set {provider.key_name} to yours.")
