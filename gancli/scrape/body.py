"""The body of an answer, bounded while it arrives: in bytes, in decoded bytes, and in what it may be."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

__all__ = ["FetchError", "Headers", "TooLarge", "Wish", "drain", "read_body"]

Headers = Mapping[str, tuple[str, ...]]
"""Header names in lower case, and the values of each."""

_CHUNK = 65_536
_DRAIN = 16_384  # an error page up to this size is read, so that its connection can serve again


class FetchError(Exception):
    """A request that gave no answer. The text is the reason in the manifest; `transient` ones may be tried again."""

    def __init__(self, reason: str, *, transient: bool, skip: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.transient = transient
        self.skip = skip


class TooLarge(FetchError):
    """More bytes than allowed; `size` is what was announced or seen."""

    def __init__(self, size: int) -> None:
        super().__init__("too many bytes", transient=False, skip=True)
        self.size = size


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is wanted of an answer.

    `admit` sees the status and headers of a 2xx answer and may raise; `wants` sees the first bytes of the body and may
    give a reason to stop; `sink` takes the body in pieces instead of the answer. A body of more than `max_bytes` raises
    `TooLarge`, or is cut there with `cut`. With `trusted` any port is asked, and the bodies of errors are read.
    `read_s` is the longest silence.
    """

    max_bytes: int
    headers: Mapping[str, str] = field(default_factory=dict)
    admit: Callable[[int, Headers], None] | None = None
    wants: Callable[[bytes], str | None] | None = None
    sink: Callable[[bytes], None] | None = None
    cut: bool = False
    trusted: bool = False
    read_s: float = 15.0


def read_body(response: BaseHTTPResponse, headers: Headers, wish: Wish) -> Iterator[bytes]:
    """The decoded body in pieces; raises `FetchError` as soon as it is too large or `wants` says no."""
    announced = headers.get("content-length", ("",))[0].strip()
    if not wish.cut and announced.isascii() and announced.isdigit() and int(announced[:18]) > wish.max_bytes:
        raise TooLarge(int(announced[:18]))
    size, head, judged = 0, b"", wish.wants is None
    encoding = ",".join(headers.get("content-encoding", ())).strip().lower()
    for piece in _decoded(response, encoding, wish.max_bytes):
        size += len(piece)
        if size > wish.max_bytes:
            if not wish.cut:
                raise TooLarge(size)
            yield piece[: len(piece) - (size - wish.max_bytes)]
            return
        if not judged and wish.wants is not None:
            head += piece[:1024]
            if len(head) >= 512:
                judged = True
                _judge(wish.wants(head))
        yield piece
    if not judged and wish.wants is not None and size:
        _judge(wish.wants(head))


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


def drain(response: BaseHTTPResponse) -> None:
    """Reads the rest of an answer that is not wanted, if it is short."""
    length = response.headers.get("content-length", "")
    if length.isdigit() and int(length) <= _DRAIN:
        with contextlib.suppress(HTTPError, OSError):
            response.read(_DRAIN)
