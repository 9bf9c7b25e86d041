"""The robots.txt of each origin, asked for once in a start and kept to."""

from __future__ import annotations

import threading
from collections import Counter
from urllib.parse import urljoin

from gancli.scrape.body import FetchError, Wish
from gancli.scrape.guard import UNKNOWN_NAME, split_url
from gancli.scrape.http import MAX_HOPS, Clock, Web
from gancli.scrape.optout import MAX_ROBOTS_BYTES, Robots
from gancli.scrape.settled import OPT_OUT

__all__ = ["RobotsBook"]

_ROBOTS_S = 15.0
_MAX_FAILURES = 3  # then what it says, or that it says nothing, holds for this start


class RobotsBook:
    """What robots.txt says, for many threads; the first that needs an origin's asks for it, the others wait."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._known: dict[str, Robots] = {}
        self._failures: Counter[str] = Counter()
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def refusal(self, url: str) -> FetchError | None:
        """Why robots.txt keeps us from `url`, or None."""
        parts = split_url(url, any_port=True)
        origin = f"{parts.scheme}://{parts.netloc}".lower()
        with self._lock:
            lock = self._locks.setdefault(origin, threading.Lock())
        with lock:
            robots = self._known.get(origin)
            if robots is None:
                robots = self._read(origin)
                if robots.refusal is not None:
                    self._failures[origin] += 1
                if robots.refusal in (None, UNKNOWN_NAME) or self._failures[origin] >= _MAX_FAILURES:
                    self._known[origin] = robots
        if robots.refusal is not None:
            return FetchError(robots.refusal, transient=True)
        if not robots.allows(url):
            return FetchError(f"{OPT_OUT}: robots.txt", transient=False, skip=True)
        return None

    def _read(self, origin: str) -> Robots:
        url = f"{origin}/robots.txt"
        for _ in range(MAX_HOPS + 1):
            try:
                wish = Wish(max_bytes=MAX_ROBOTS_BYTES, cut=True)
                answer = self._web.get(url, Clock(_ROBOTS_S), wish)
            except FetchError as error:
                if error.skip:
                    return Robots()  # the picture itself meets the same refusal
                return Robots(refusal=error.reason)
            if answer.location is None:
                return Robots.from_answer(answer.status, answer.body)
            url = urljoin(url, answer.location)
        return Robots()
