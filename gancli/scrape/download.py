"""The downloader: from a result to a file and an outcome, by a pool of threads that keeps to every limit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from gancli.scrape.body import FetchError, Headers, TooLarge
from gancli.scrape.config import ScrapeConfig
from gancli.scrape.content import Inspector
from gancli.scrape.guard import UNKNOWN_NAME, Refused, split_url
from gancli.scrape.hosts import MAX_PARK_S, Hosts, host_key
from gancli.scrape.http import MAX_HOPS, Answer, Clock, Web
from gancli.scrape.optout import header_opt_out
from gancli.scrape.piece import Piece
from gancli.scrape.rawset import RawSet
from gancli.scrape.results import DUP, FAIL, MAX_URL, OK, SKIP, Outcome, Result, plain_url
from gancli.scrape.retry import MAX_TRIES, RETRY_STATUSES, backoff_s, retry_after_s
from gancli.scrape.robots import RobotsBook
from gancli.scrape.settled import TOO_MANY_BYTES, TOO_SMALL, is_final_status
from gancli.scrape.transfer import transfer

__all__ = ["Downloader"]


@dataclass(eq=False)
class _Job:
    """One result on its way: where it is tried, how often, how long."""

    result: Result
    addresses: tuple[str, ...]
    clock: Clock
    url: str = ""
    at: int = 0
    hops: int = 0
    tries: int = 0
    requests: int = 0
    http_status: int | None = None
    visited: set[str] = field(default_factory=set)


class Downloader:
    """`submit` results; each ends in one call of `finish`, from any thread, its outcome already in the journal."""

    def __init__(
        self,
        config: ScrapeConfig,
        raw_set: RawSet,
        web: Web,
        finish: Callable[[Outcome], None],
        paint: Callable[[str], bytes],
        broken: Callable[[BaseException], None],
    ) -> None:
        self._config = config
        self._set = raw_set
        self._web = web
        self._finish = finish
        self._paint = paint
        self._broken = broken
        self._hosts: Hosts[_Job] = Hosts(per_host=config.per_host)
        self._inspector = Inspector(decode=config.check_images)
        self._robots = RobotsBook(web)
        self._threads = [
            threading.Thread(target=self._work, name=f"download-{i}", daemon=True) for i in range(config.workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, result: Result) -> None:
        """Queues a result."""
        addresses = result.addresses or (result.url,)
        job = _Job(result, addresses, Clock(self._config.timeout_s), url=addresses[0])
        self._queue(job)

    def close(self) -> None:
        """Ends all threads; what is under way is given up."""
        self._hosts.close()
        self._web.interrupt()
        for thread in self._threads:
            thread.join(timeout=10)
        self._inspector.close()

    # ---- the queue ------------------------------------------------------------------------------------------------

    def _queue(self, job: _Job, *, wait_s: float = 0.0, first: bool = False) -> None:
        if job.url.startswith("demo:"):
            self._hosts.add(f"demo:{id(job) % self._config.workers}", job, gap_s=0.0)
            return
        try:
            job.url = plain_url(job.url) if len(job.url) <= MAX_URL else job.url
            if len(job.url) > MAX_URL:
                raise Refused("address too long")
            parts = split_url(job.url, any_port=self._config.allow_private)
        except Refused as error:
            self._end(job, SKIP, str(error))
            return
        host = parts.hostname or ""
        gap_s = self._config.gap_s
        if gap_s and self._config.allow_private and self._web.guard.is_near(host, _port(parts)):
            gap_s = 0.0
        self._hosts.add(host_key(host), job, gap_s=gap_s, wait_s=wait_s, first=first)

    def _work(self) -> None:
        while (taken := self._hosts.take()) is not None:
            key, job = taken
            try:
                try:
                    again = self._attempt(key, job)
                finally:
                    self._hosts.done(key)
                if again is not None:
                    again()
            except BaseException as error:  # noqa: BLE001 - a thread has nobody above it: the main one raises it
                self._broken(error)
                return

    def _attempt(self, key: str, job: _Job) -> Callable[[], None] | None:
        """One request for `job`; returns what is to be done once the host's place is free again."""
        if job.url.startswith("demo:"):
            return self._take_painting(job)
        given_up = self._hosts.given_up(key)
        if given_up is not None:
            return self._next_address(job, FetchError(given_up, transient=True))
        with self._set.piece(job.url) as piece:
            try:
                refusal = None if self._config.ignore_optout else self._robots.refusal(job.url)
                if refusal is not None:
                    raise refusal
                job.requests += 1
                answer = self._fetch(job, piece)
                job.http_status = answer.status
                return self._judge(key, job, answer, piece)
            except FetchError as error:
                piece.stays = error.transient
                if error.reason == UNKNOWN_NAME and key == (urlsplit(job.url).hostname or "").rstrip("."):
                    self._hosts.refused(key, UNKNOWN_NAME, for_good=True)  # and no gap is kept to what is not there
                return self._failed(job, error)

    def _fetch(self, job: _Job, piece: Piece) -> Answer:
        headers = {"Accept": "image/*,*/*;q=0.5"}
        if job.result.referer:
            headers["Referer"] = job.result.referer
        max_bytes = int(self._config.max_mb * 1e6)
        return transfer(
            self._web, job.url, job.clock, piece, headers=headers, max_bytes=max_bytes, check=self._check_opt_out
        )

    def _check_opt_out(self, headers: Headers) -> None:
        reason = None if self._config.ignore_optout else header_opt_out(headers)
        if reason is not None:
            raise FetchError(reason, transient=False, skip=True)

    # ---- answers --------------------------------------------------------------------------------------------------

    def _judge(self, key: str, job: _Job, answer: Answer, piece: Piece) -> Callable[[], None] | None:
        status = answer.status
        if answer.location is not None:
            return self._redirect(job, answer.location)
        if 200 <= status < 300:
            self._hosts.answered(key, answer.bytes)
            return self._keep(job, piece)
        if status == 416 and piece.size:  # the piece is longer than the file is now
            piece.begin_again()
            return lambda: self._queue(job, first=True)
        error = FetchError(f"HTTP {status}", transient=not is_final_status(status))
        piece.stays = error.transient
        if status in (429, 503):
            wait_s = retry_after_s(answer.header("retry-after"))
            self._hosts.refused(key, f"HTTP {status}", for_good=wait_s is not None and wait_s > MAX_PARK_S)
            if wait_s is not None and wait_s <= MAX_PARK_S:
                self._hosts.park(key, wait_s)
        if status in RETRY_STATUSES:
            return self._failed(job, error)
        return self._next_address(job, error)

    def _redirect(self, job: _Job, location: str) -> Callable[[], None] | None:
        job.hops += 1
        job.visited.add(job.url)
        if job.hops > MAX_HOPS or location in job.visited:
            return self._next_address(job, FetchError("too many redirects", transient=False))
        job.url = location
        return lambda: self._queue(job, first=True)

    def _failed(self, job: _Job, error: FetchError) -> Callable[[], None] | None:
        """A request that gave nothing: again after a pause, at another address, or the end."""
        if error.skip:
            if not isinstance(error, TooLarge):
                self._end(job, SKIP, error.reason)
                return None
            if job.at + 1 < len(job.addresses):
                return self._next_address(job, error)
            self._end(job, SKIP, TOO_MANY_BYTES, bytes=error.size)
            return None
        if not error.transient or job.clock.left_s < 1 or error.reason == UNKNOWN_NAME:
            return self._next_address(job, error)
        job.tries += 1
        if job.tries >= MAX_TRIES:
            return self._next_address(job, error)
        return lambda: self._queue(job, wait_s=backoff_s(job.tries))

    def _next_address(self, job: _Job, error: FetchError) -> Callable[[], None] | None:
        if job.at + 1 < len(job.addresses) and job.clock.left_s > 0:
            job.at += 1
            job.url = job.addresses[job.at]
            job.hops, job.tries = 0, 0
            return lambda: self._queue(job)
        self._end(job, FAIL, error.reason, final=not error.transient)
        return None

    # ---- content --------------------------------------------------------------------------------------------------

    def _keep(self, job: _Job, piece: Piece) -> Callable[[], None] | None:
        if piece.size == 0:
            return self._next_address(job, FetchError("empty file", transient=False))
        try:
            kind, width, height = self._inspector.look(piece.source())
        except FetchError as error:
            return self._next_address(job, error)
        if width and min(width, height) < self._config.min_side_px:
            if job.at + 1 < len(job.addresses):
                return self._next_address(job, FetchError(TOO_SMALL, transient=False))
            self._end(job, SKIP, f"{TOO_SMALL} (under {self._config.min_side_px})", size=(width, height))
            return None
        file, is_new = self._set.keep(piece, kind)
        more: dict[str, object] = {} if is_new else {"duplicate_of": file}
        if job.addresses[job.at] != job.result.url:
            more["used_thumbnail"] = True
        outcome = self._outcome(
            job,
            OK if is_new else DUP,
            "" if is_new else "same bytes as another picture",
            sha256=piece.sha256,
            bytes=piece.size,
            width=width or None,
            height=height or None,
            format=kind,
            file=file if is_new else None,
            more=more,
        )
        self._report(outcome)
        return None

    def _take_painting(self, job: _Job) -> Callable[[], None] | None:
        job.requests += 1
        with self._set.piece(job.url) as piece:
            piece.write(self._paint(job.url))
            return self._keep(job, piece)

    # ---- outcomes -------------------------------------------------------------------------------------------------

    def _end(
        self,
        job: _Job,
        status: str,
        reason: str,
        *,
        final: bool | None = None,
        size: tuple[int, int] | None = None,
        bytes: int | None = None,
    ) -> None:
        more = {} if final is None else {"final": final}
        width, height = size or (None, None)
        self._report(self._outcome(job, status, reason, bytes=bytes, width=width, height=height, more=more))

    def _outcome(self, job: _Job, status: str, reason: str, **values: object) -> Outcome:
        return Outcome(
            status=status,
            reason=reason,
            result=job.result,
            final_url=job.url if job.requests and not job.url.startswith("demo:") else None,
            http_status=job.http_status,
            attempts=job.requests,
            **values,  # type: ignore[arg-type]
        )

    def _report(self, outcome: Outcome) -> None:
        if outcome.reason == "interrupted":
            return
        self._set.record(outcome)
        self._finish(outcome)


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)
