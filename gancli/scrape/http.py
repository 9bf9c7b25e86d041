"""One request, one answer: bounded in bytes, headers and wall-clock time, to a judged peer. No redirect is followed."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urljoin

import urllib3
from urllib3.exceptions import HTTPError, LocationValueError, ReadTimeoutError, SSLError

from gancli.scrape.body import FetchError, Headers, Wish, drain, read_body
from gancli.scrape.guard import Guard, Refused, Unreachable, split_url
from gancli.scrape.transport import CONNECT_TIMEOUT_S, make_pool

__all__ = ["MAX_HOPS", "Answer", "Clock", "Web"]

MAX_HOPS = 5


@dataclass(frozen=True)
class Answer:
    """Status, headers (names in lower case, values of repeated ones as a list) and the body, unless it was not read."""

    status: int
    url: str
    headers: Headers
    body: bytes
    bytes: int

    def header(self, name: str) -> str:
        """The values of a header joined by a comma; '' when it is absent."""
        return ", ".join(self.headers.get(name.lower(), ()))

    @property
    def location(self) -> str | None:
        """Where a redirect leads, made whole."""
        if self.status not in (301, 302, 303, 307, 308) or not self.headers.get("location"):
            return None
        target = self.headers["location"][0]
        with contextlib.suppress(UnicodeError):  # http.client reads headers as Latin-1; sites send UTF-8
            target = target.encode("latin-1").decode("utf-8")
        try:
            return urljoin(self.url, target)
        except ValueError:
            return "invalid:"


class Clock:
    """The wall-clock time that one file may take. It runs only while a request runs."""

    def __init__(self, seconds: float) -> None:
        self.left_s = seconds
        self.ends = 0.0
        self.sock: socket.socket | None = None
        self.cut = False

    def cut_now(self) -> None:
        """Ends the request at once, whatever it is waiting for. From any thread."""
        self.cut = True
        sock = self.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class Web:
    """Makes requests for many threads. `close` ends all of them."""

    def __init__(self, guard: Guard, *, user_agent: str, per_host: int = 2, any_port: bool = False) -> None:
        self.guard = guard
        self.user_agent = user_agent
        self.requests = 0
        self.bytes = 0
        self._any_port = any_port
        self._local = threading.local()
        self._running: set[Clock] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._pool = make_pool(guard, self._note_socket, per_host)
        self._watch = threading.Thread(target=self._watch_clocks, name="watchdog", daemon=True)
        self._watch.start()

    def get(self, url: str, clock: Clock, wish: Wish) -> Answer:
        """Asks for `url` as `wish` says, for as long as `clock` has left. Raises `FetchError`."""
        try:
            split_url(url, any_port=self._any_port or wish.trusted)
        except Refused as error:
            raise FetchError(str(error), transient=False, skip=True) from None
        if self._closed.is_set():
            raise FetchError("interrupted", transient=True)
        with self._timed(clock):
            try:
                answer = self._ask(url, clock, wish)
            except (FetchError, Refused, Unreachable, HTTPError, OSError, ValueError) as error:
                raise self._explain(error, clock) from error
            if clock.cut:  # a body or header that ends where the watchdog cut it looks whole
                raise self._explain(FetchError("timed out", transient=True), clock)
            return answer

    def _ask(self, url: str, clock: Clock, wish: Wish) -> Answer:
        self.requests += 1
        limit = urllib3.Timeout(
            connect=min(CONNECT_TIMEOUT_S, clock.left_s), read=max(0.05, min(wish.read_s, clock.left_s))
        )
        response = self._pool.urlopen(
            "GET",
            url,
            headers={"User-Agent": self.user_agent, "Accept-Encoding": "identity", **wish.headers},
            redirect=False,
            retries=False,
            preload_content=False,
            decode_content=False,
            timeout=limit,
        )
        try:
            got = {name.lower(): tuple(response.headers.getlist(name)) for name in response.headers}
            is_good = 200 <= response.status < 300
            if not is_good and not wish.trusted:
                drain(response)
                return Answer(response.status, url, got, b"", 0)
            if wish.admit is not None:
                wish.admit(response.status, got)
            pieces: list[bytes] = []
            size = 0
            for piece in read_body(response, got, wish):
                size += len(piece)
                (wish.sink or pieces.append)(piece)
            self.bytes += size
            return Answer(response.status, url, got, b"".join(pieces), size)
        finally:
            response.close()
            response.release_conn()

    def _explain(self, error: Exception, clock: Clock) -> FetchError:
        if self._closed.is_set():
            return FetchError("interrupted", transient=True)
        if isinstance(error, FetchError):
            return error
        if clock.cut:
            return FetchError("timed out", transient=True)
        for cause in _causes(error):
            if isinstance(cause, Refused):
                return FetchError(str(cause), transient=False, skip=True)
            if isinstance(cause, Unreachable):
                return FetchError(str(cause), transient=True)
        if isinstance(error, LocationValueError):
            return FetchError("not a usable address", transient=False, skip=True)
        if isinstance(error, SSLError) or any(isinstance(c, ssl.SSLError) for c in _causes(error)):
            return FetchError("no secure connection", transient=True)
        if isinstance(error, ReadTimeoutError | TimeoutError) or "timed out" in str(error).lower():
            return FetchError("timed out", transient=True)
        if "IncompleteRead" in repr(error):
            return FetchError("ended before its length", transient=True)
        return FetchError("connection failed", transient=True)

    # ---- time -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _timed(self, clock: Clock) -> Iterator[None]:
        began = time.monotonic()
        clock.ends = began + clock.left_s
        clock.cut, clock.sock = False, None
        self._local.clock = clock
        with self._lock:
            self._running.add(clock)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(clock)
            self._local.clock = None
            clock.sock = None
            clock.left_s -= time.monotonic() - began

    def _note_socket(self, sock: socket.socket | None) -> None:
        """Tells the watchdog which socket the request of this thread uses."""
        clock: Clock | None = getattr(self._local, "clock", None)
        if clock is not None:
            clock.sock = sock
            if clock.cut or self._closed.is_set():
                clock.cut_now()

    def _watch_clocks(self) -> None:
        while not self._closed.wait(0.2):
            now = time.monotonic()
            with self._lock:
                late = [clock for clock in self._running if clock.ends <= now]
            for clock in late:
                clock.cut_now()

    def interrupt(self) -> None:
        """Ends every request now; those that come later end at once."""
        self._closed.set()
        with self._lock:
            running = list(self._running)
        for clock in running:
            clock.cut_now()

    def close(self) -> None:
        """Ends everything and closes every connection."""
        self.interrupt()
        self._watch.join(timeout=2)
        self._pool.clear()


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        one = todo.pop()
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            todo += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
