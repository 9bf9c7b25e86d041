"""One transfer into a piece: from its first byte, or from where the last one ended (RFC 9110, 13.1.5 and 14).

It is continued only where the server has named exactly what it was sending, and only if it answers with the rest of
that; a server that ignores the wish begins again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from gancli.scrape.body import FetchError, Headers, TooLarge, Wish
from gancli.scrape.content import not_an_image
from gancli.scrape.http import Answer, Clock, Web
from gancli.scrape.piece import Piece

__all__ = ["missing_bytes", "strong_validator", "transfer"]

_STRONG_TAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]{1,200}"')
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)")


def transfer(
    web: Web,
    url: str,
    clock: Clock,
    piece: Piece,
    *,
    headers: Mapping[str, str],
    max_bytes: int,
    check: Callable[[Headers], None],
) -> Answer:
    """Asks for `url` and writes its body into `piece`. `check` sees the headers first and may raise.

    Raises `FetchError`; what has come until then is in `piece`.
    """
    start, validator = piece.size, piece.validator or ""
    if start:
        headers = {**headers, "Range": f"bytes={start}-", "If-Range": validator}
    whole: int | None = None  # bytes, once the rest is on its way

    def admit(status: int, got: Headers) -> None:
        nonlocal whole
        check(got)
        missing = missing_bytes(got, start, validator) if status == 206 and start else None
        if missing is not None:
            whole = start + missing
            return
        piece.begin_again()
        if status == 206 and missing_bytes(got, 0, "") is None:
            raise FetchError("only a part of the file", transient=start > 0)
        piece.validator = strong_validator(got)

    def take(data: bytes) -> None:
        if piece.size + len(data) > max_bytes:
            raise TooLarge(piece.size + len(data))
        piece.write(data)

    def wants(head: bytes) -> str | None:
        return None if whole is not None else not_an_image(head)

    answer = web.get(url, clock, Wish(max_bytes=max_bytes, headers=headers, admit=admit, wants=wants, sink=take))
    if whole is not None and piece.size != whole:
        if piece.size > whole:
            piece.begin_again()
        raise FetchError("ended before its length", transient=True)
    return answer


def strong_validator(headers: Headers) -> str | None:
    """What names exactly the bytes of this answer: its ETag unless weak, or a date of change before it was sent."""
    if _is_encoded(headers) or _one(headers, "accept-ranges") == "none":
        return None
    tag = _one(headers, "etag")
    if tag is not None:
        return tag if _STRONG_TAG.fullmatch(tag) else None
    changed, sent = _date(_one(headers, "last-modified")), _date(_one(headers, "date"))
    if changed is None or sent is None or (sent - changed).total_seconds() < 1:
        return None
    return _one(headers, "last-modified")


def missing_bytes(headers: Headers, start: int, validator: str) -> int | None:
    """How many bytes a 206 answer says are missing from `start` to the end; None when it is not the rest."""
    found = _RANGE.fullmatch(_one(headers, "content-range") or "")
    if found is None or _is_encoded(headers) or int(found[1]) != start or int(found[2]) < start:
        return None
    missing = int(found[2]) - start + 1
    if found[3] != "*" and int(found[3]) != start + missing:
        return None  # it ends before the file does
    tag = _one(headers, "etag")
    if validator.startswith('"') and tag is not None and tag != validator:
        return None
    return missing


def _is_encoded(headers: Headers) -> bool:
    return any(value.strip().lower() != "identity" for value in headers.get("content-encoding", ()))


def _one(headers: Headers, name: str) -> str | None:
    values = headers.get(name, ())
    return values[0].strip() if len(values) == 1 else None


def _date(text: str | None) -> datetime | None:
    try:
        when = parsedate_to_datetime(text or "")
    except (ValueError, TypeError, IndexError):
        return None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)
