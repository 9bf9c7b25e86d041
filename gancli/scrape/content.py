"""What arrived: is it a picture, whole? Large ones are decoded one at a time, so that memory stays bounded."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gancli.images import ImageError, measure_image, sniff
from gancli.scrape.body import FetchError

__all__ = ["Inspector", "not_an_image"]

MAX_PIXELS = 40_000_000
_SMALL_BYTES = 6_000_000  # of pixels, which any number of threads may hold
_LARGE_BYTES = 100_000_000  # of pixels, which the one thread may hold


class Inspector:
    """Looks at files for many threads.

    One thread decodes everything large, one after another: what an allocator keeps for each thread is kept once.
    """

    def __init__(self, *, decode: bool) -> None:
        self._decode = decode
        self._one = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode")

    def look(self, source: bytes | Path) -> tuple[str, int, int]:
        """Format, width and height (0 when not decoding). Raises `FetchError` for what is no whole picture."""
        kind = sniff(source if isinstance(source, bytes) else _head(source))
        if not self._decode and kind is not None:
            return kind, 0, 0
        try:
            width, height = self._measure(source)
        except ImageError as error:
            raise FetchError(_in_words(error.reason), transient=False) from None
        return kind or "bin", width, height

    def close(self) -> None:
        """Ends the decoding thread."""
        self._one.shutdown(wait=True, cancel_futures=True)

    def _measure(self, source: bytes | Path) -> tuple[int, int]:
        if isinstance(source, bytes):
            try:
                return measure_image(source, max_pixels=MAX_PIXELS, max_memory=_SMALL_BYTES)
            except MemoryError:
                pass
        large = self._one.submit(measure_image, source, max_pixels=MAX_PIXELS, max_memory=_LARGE_BYTES)
        try:
            return large.result()
        except MemoryError:
            raise FetchError("too many pixels", transient=False) from None


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
