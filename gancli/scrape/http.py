"""One request, one answer: bounded in bytes, headers and wall-clock time, to a judged peer. No redirect is followed."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, LocationValueError, ReadTimeoutError, SSLError
from urllib3.response import BaseHTTPResponse

from gancli.scrape.guard import Guard, Refused, Unreachable, split_url

__all__ = ["Answer", "Clock", "FetchError", "Web"]

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 15.0
_CHUNK = 65_536
_DRAIN = 16_384  # an error page up to this size is read, so that its connection can serve again


class FetchError(Exception):
    """A request that gave no answer. The text is the reason in the manifest; `transient` ones may be tried again."""

    def __init__(self, reason: str, *, transient: bool, skip: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.transient = transient
        self.skip = skip


@dataclass(frozen=True)
class Answer:
    """Status, headers (names in lower case, values of repeated ones as a list) and the body, unless it was not read."""

    status: int
    url: str
    headers: Mapping[str, tuple[str, ...]]
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
        self._pool = _make_pool(self, per_host)
        self._watch = threading.Thread(target=self._watch_clocks, name="watchdog", daemon=True)
        self._watch.start()

    def get(
        self,
        url: str,
        *,
        clock: Clock,
        max_bytes: int,
        headers: Mapping[str, str] | None = None,
        admit: Callable[[Mapping[str, tuple[str, ...]]], None] | None = None,
        wants: Callable[[bytes], str | None] | None = None,
        sink: Callable[[bytes], None] | None = None,
        trusted: bool = False,
    ) -> Answer:
        """Asks for `url`. Raises `FetchError`. A body is read only of a 2xx answer (of any with `trusted`).

        `admit` sees the headers of a 2xx answer and may raise; `wants` sees the first bytes of the body and may give
        a reason to stop; `sink` takes the body in pieces instead of the answer.
        """
        try:
            split_url(url, any_port=self._any_port or trusted)
        except Refused as error:
            raise FetchError(str(error), transient=False, skip=True) from None
        if self._closed.is_set():
            raise FetchError("interrupted", transient=True)
        with self._timed(clock):
            try:
                return self._ask(url, clock, max_bytes, headers or {}, admit, wants, sink, trusted)
            except (FetchError, Refused, Unreachable, HTTPError, OSError, ValueError) as error:
                raise self._explain(error, clock) from error

    def _ask(
        self,
        url: str,
        clock: Clock,
        max_bytes: int,
        headers: Mapping[str, str],
        admit: Callable[[Mapping[str, tuple[str, ...]]], None] | None,
        wants: Callable[[bytes], str | None] | None,
        sink: Callable[[bytes], None] | None,
        read_all: bool,
    ) -> Answer:
        self.requests += 1
        limit = urllib3.Timeout(
            connect=min(CONNECT_TIMEOUT_S, clock.left_s), read=max(0.05, min(READ_TIMEOUT_S, clock.left_s))
        )
        response = self._pool.urlopen(
            "GET",
            url,
            headers={"User-Agent": self.user_agent, "Accept-Encoding": "identity", **headers},
            redirect=False,
            retries=False,
            preload_content=False,
            decode_content=False,
            timeout=limit,
        )
        try:
            got = {name.lower(): tuple(response.headers.getlist(name)) for name in response.headers}
            is_good = 200 <= response.status < 300
            if not is_good and not read_all:
                _drain(response)
                return Answer(response.status, url, got, b"", 0)
            if admit is not None:
                admit(got)
            pieces: list[bytes] = []
            size = 0
            for piece in _body(response, got, max_bytes, wants):
                size += len(piece)
                (sink or pieces.append)(piece)
            self.bytes += size
            return Answer(response.status, url, got, b"".join(pieces), size)
        finally:
            response.close()
            response.release_conn()

    def _explain(self, error: Exception, clock: Clock) -> FetchError:
        if isinstance(error, FetchError):
            return error
        if self._closed.is_set():
            return FetchError("interrupted", transient=True)
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

    def note_socket(self, sock: socket.socket | None) -> None:
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


def _make_pool(web: Web, per_host: int) -> urllib3.PoolManager:
    """A pool whose connections go through the guard. Proxies of the environment are not used: they hide the peer."""

    def open_socket(connection: HTTPConnection) -> socket.socket:
        timeout = connection.timeout
        seconds = float(timeout) if isinstance(timeout, int | float) else CONNECT_TIMEOUT_S
        sock = web.guard.connect(connection.host, connection.port or 80, min(seconds, CONNECT_TIMEOUT_S))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        web.note_socket(sock)
        return sock

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return open_socket(self)

        def request(self, *args: Any, **options: Any) -> None:
            web.note_socket(self.sock)
            super().request(*args, **options)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return open_socket(self)

        def request(self, *args: Any, **options: Any) -> None:
            web.note_socket(self.sock)
            super().request(*args, **options)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or certifi.where()
    context = ssl.create_default_context(cafile=bundle if os.path.isfile(bundle) else None)
    pool = urllib3.PoolManager(num_pools=64, maxsize=per_host, block=False, ssl_context=context)
    pool.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    return pool


def _body(
    response: BaseHTTPResponse,
    headers: Mapping[str, tuple[str, ...]],
    max_bytes: int,
    wants: Callable[[bytes], str | None] | None,
) -> Iterator[bytes]:
    """The decoded body in pieces; raises `FetchError` as soon as it is too large or `wants` says no."""
    announced = headers.get("content-length", ("",))[0].strip()
    if announced.isascii() and announced.isdigit() and int(announced[:18]) > max_bytes:
        raise TooLarge(int(announced[:18]))
    size, head, judged = 0, b"", wants is None
    for piece in _decoded(response, ",".join(headers.get("content-encoding", ())).strip().lower(), max_bytes):
        size += len(piece)
        if size > max_bytes:
            raise TooLarge(size)
        if not judged and wants is not None:
            head += piece[:1024]
            if len(head) >= 512:
                judged = True
                _judge(wants(head))
        yield piece
    if not judged and wants is not None and size:
        _judge(wants(head))


class TooLarge(FetchError):
    """More bytes than allowed; `size` is what was announced or seen."""

    def __init__(self, size: int) -> None:
        super().__init__("too many bytes", transient=False, skip=True)
        self.size = size


def _judge(reason: str | None) -> None:
    if reason is not None:
        raise FetchError(reason, transient=False)


def _decoded(response: BaseHTTPResponse, encoding: str, max_bytes: int) -> Iterator[bytes]:
    if encoding in ("", "identity"):
        yield from _raw(response)
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise FetchError("unknown content encoding", transient=False)
    unpack = zlib.decompressobj(47 if "gzip" in encoding else 15)
    try:
        for piece in _raw(response):
            yield unpack.decompress(piece, max_bytes + 1)  # a bomb grows to one byte too many, and no further
            if unpack.unconsumed_tail:
                raise TooLarge(max_bytes + 1)
    except zlib.error:
        raise FetchError("broken content encoding", transient=False) from None


def _raw(response: BaseHTTPResponse) -> Iterator[bytes]:
    while True:
        piece = response.read(_CHUNK)
        if not piece:
            return
        yield piece


def _drain(response: BaseHTTPResponse) -> None:
    length = response.headers.get("content-length", "")
    if length.isdigit() and int(length) <= _DRAIN:
        with contextlib.suppress(HTTPError, OSError):
            response.read(_DRAIN)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        one = todo.pop()
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            todo += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
