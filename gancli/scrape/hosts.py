"""Who may be asked when: a queue of jobs that keeps to each host's limit, gap, and wish to be left alone."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["Hosts", "host_key"]

_T = TypeVar("_T")

MAX_PARK_S = 120.0
_GIVE_UP_AFTER = 8  # refusals in a row
_SHARED = ("wikimedia.org", "staticflickr.com")
_MANNERS = {"wikimedia.org": (2, 25e6 / 8)}  # requests at a time and bytes a second, as the site asks of programs


def host_key(host: str) -> str:
    """The name under which a host is counted: sites that limit all their media hosts together count as one."""
    host = host.lower().rstrip(".")
    for site in _SHARED:
        if host == site or host.endswith("." + site):
            return site
    return host


@dataclass
class _Host(Generic[_T]):
    jobs: deque[_T] = field(default_factory=deque)
    active: int = 0
    next_start: float = 0.0
    in_heap: bool = False
    refusals: int = 0
    gap_s: float = 0.0
    limit: int = 1
    given_up: str | None = None


class Hosts(Generic[_T]):
    """Jobs by host. `take` gives the next one that may start, `done` frees its place. Safe for many threads."""

    def __init__(self, *, per_host: int) -> None:
        self._per_host = per_host
        self._hosts: dict[str, _Host[_T]] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._later: list[tuple[float, int, str, _T]] = []
        self._count = itertools.count()
        self._ready = threading.Condition()
        self._closed = False

    def add(self, key: str, job: _T, *, gap_s: float, wait_s: float = 0.0, first: bool = False) -> None:
        """Queues a job for host `key`, not before `wait_s` have passed; `first` puts it before the host's others."""
        with self._ready:
            limit = min(self._per_host, _MANNERS[key][0]) if key in _MANNERS else self._per_host
            host = self._hosts.setdefault(key, _Host(limit=limit))
            host.gap_s = 0.0 if host.given_up else gap_s
            if wait_s > 0:
                heapq.heappush(self._later, (time.monotonic() + wait_s, next(self._count), key, job))
            else:
                (host.jobs.appendleft if first else host.jobs.append)(job)
                self._offer(key, host)
            self._ready.notify()

    def take(self) -> tuple[str, _T] | None:
        """Waits for the next job that may start; None once closed."""
        with self._ready:
            while not self._closed:
                now = time.monotonic()
                self._wake(now)
                while self._heap and self._heap[0][0] <= now:
                    _, _, key = heapq.heappop(self._heap)
                    host = self._hosts[key]
                    host.in_heap = False
                    if not host.jobs or host.active >= host.limit:  # served by an earlier entry
                        continue
                    if host.next_start > now:  # parked after it was offered
                        self._offer(key, host)
                        continue
                    job = host.jobs.popleft()
                    host.active += 1
                    host.next_start = now + host.gap_s
                    self._offer(key, host)
                    if self._heap:
                        self._ready.notify()  # what may start besides needs no thread to end first
                    return key, job
                self._ready.wait(self._until_next(now))
            return None

    def done(self, key: str) -> None:
        """A job of host `key` has ended."""
        with self._ready:
            host = self._hosts[key]
            host.active -= 1
            self._offer(key, host)
            self._ready.notify()

    def park(self, key: str, seconds: float) -> None:
        """Nothing is asked of `key` for that long (at most `MAX_PARK_S`)."""
        with self._ready:
            host = self._hosts[key]
            host.next_start = max(host.next_start, time.monotonic() + min(seconds, MAX_PARK_S))

    def refused(self, key: str, reason: str, *, for_good: bool = False) -> None:
        """Host `key` said no (429, 503 …). After a row of these, or `for_good`, it is left alone in this run."""
        with self._ready:
            host = self._hosts[key]
            host.refusals += 1
            if for_good or host.refusals >= _GIVE_UP_AFTER:
                host.given_up = reason
                host.next_start = 0.0  # what still waits for it ends now
                heapq.heappush(self._heap, (time.monotonic(), next(self._count), key))
                self._ready.notify()

    def answered(self, key: str, size: int) -> None:
        """Host `key` served `size` bytes: the row of refusals is over, and some sites have earned a pause."""
        self._hosts[key].refusals = 0
        if key in _MANNERS:
            self.park(key, size / _MANNERS[key][1])

    def given_up(self, key: str) -> str | None:
        """Why host `key` is left alone in this run, or None."""
        host = self._hosts.get(key)
        return host.given_up if host else None

    def close(self) -> None:
        """Every waiting `take` returns None."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    def _offer(self, key: str, host: _Host[_T]) -> None:
        if host.jobs and not host.in_heap and host.active < host.limit:
            host.in_heap = True
            heapq.heappush(self._heap, (max(host.next_start, time.monotonic()), next(self._count), key))

    def _wake(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            _, _, key, job = heapq.heappop(self._later)
            host = self._hosts[key]
            host.jobs.appendleft(job)
            self._offer(key, host)

    def _until_next(self, now: float) -> float | None:
        times = [heap[0][0] for heap in (self._heap, self._later) if heap]
        return max(0.0, min(times) - now) if times else None
