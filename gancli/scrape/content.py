"""What arrived: is it a picture, whole, and large enough? Memory for decoding is shared and bounded."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from gancli.images import ImageError, measure_image, sniff
from gancli.scrape.body import FetchError

__all__ = ["Inspector", "not_an_image"]

MAX_PIXELS = 40_000_000
_DECODE_BYTES = 128_000_000
_FILE_BYTES = 32_000_000


class Inspector:
    """Looks at files for many threads, which together decode no more than a bounded memory holds."""

    def __init__(self, *, decode: bool) -> None:
        self._decode = decode
        self._pixels = _Room(_DECODE_BYTES)
        self._files = _Room(_FILE_BYTES)

    def look(self, source: bytes | Path) -> tuple[str, int, int]:
        """Format, width and height (0 when not decoding). Raises `FetchError` for what is no whole picture."""
        kind = sniff(source if isinstance(source, bytes) else _head(source))
        if not self._decode and kind is not None:
            return kind, 0, 0
        size = 0 if isinstance(source, bytes) else source.stat().st_size
        try:
            with self._files.hold(size):  # always taken before pixels, so that nobody waits in a circle
                width, height = measure_image(source, max_pixels=MAX_PIXELS, room=self._pixels.hold)
        except ImageError as error:
            raise FetchError(_in_words(error.reason), transient=False) from None
        return kind or "bin", width, height


def not_an_image(head: bytes) -> str | None:
    """Why the first bytes of a body are not those of a picture, or None."""
    if sniff(head) is not None:
        return None
    try:
        measure_image(head)
    except ImageError as error:
        return _in_words(error.reason)
    return None


def _in_words(reason: str) -> str:
    if reason == "too large":
        return "too many pixels"
    return reason if reason in ("not an image", "empty file") else f"not an image ({reason})"


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64)


class _Room:
    """A bounded memory that threads share: `hold(n)` waits until n bytes are free; one too large waits to be alone."""

    def __init__(self, total: int) -> None:
        self._total, self._free = total, total
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def hold(self, count: int) -> Iterator[None]:
        count = min(count, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= count)
            self._free -= count
        try:
            yield
        finally:
            with self._changed:
                self._free += count
                self._changed.notify_all()
