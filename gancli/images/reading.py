"""From a file to a picture as a person sees it, with everything that can be wrong with the file on the way."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from PIL import Image

from gancli.errors import DataError
from gancli.images.colour import has_alpha, to_plain, to_srgb
from gancli.images.formats import DECODERS, sniff, what_instead

__all__ = ["MAX_PIXELS", "ImageError", "Picture", "measure_image", "read_bytes", "read_image", "read_picture"]

MAX_PIXELS = 89_478_485  # where Pillow begins to warn of a bomb: 256 MB of RGB
MAX_BYTES = 512_000_000
_T = TypeVar("_T")
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageError(DataError):
    """A file that is no image we can use. `reason` says why in a few words ('truncated', 'not an image' …)."""

    def __init__(self, reason: str, name: str = "") -> None:
        super().__init__(f"Cannot read the image '{name}': {reason}." if name else f"Cannot read the image: {reason}.")
        self.reason = reason


@dataclass(frozen=True)
class Picture:
    """A picture and what its file said: its upright size in pixels before any draft decoding, its format by content,
    and a JPEG's quantisation tables."""

    image: Image.Image
    width: int
    height: int
    format: str
    tables: dict[int, list[int]] | None


def read_image(source: Path | bytes, *, near_px: int | None = None) -> Image.Image:
    """The picture in a file (or its bytes) as a person sees it: upright, sRGB, 8 bits, the first frame.

    The mode is exactly L, RGB or RGBA (RGBA only where something shows through). With `near_px`, a JPEG is decoded at
    1/2, 1/4 or 1/8 of its size as long as the shorter side stays at least `near_px`. Raises `ImageError`.
    """
    return read_picture(source, near_px=near_px).image


def read_picture(source: Path | bytes, *, near_px: int | None = None) -> Picture:
    """`read_image`, and with it what the file said of itself."""
    return _guarded(source, lambda data, kind: _decode(data, kind, near_px))


def _decode(data: bytes, kind: str, near_px: int | None) -> Picture:
    with Image.open(io.BytesIO(data), formats=DECODERS[kind]) as opened:
        width, height = opened.size
        if width * height > MAX_PIXELS:
            raise ImageError("too large")
        if width < 1 or height < 1:
            raise ImageError("empty picture")
        if near_px is not None and kind == "jpeg" and min(width, height) >= 2 * near_px:
            opened.draft(None, (near_px, near_px))
        opened.decodermaxblock = len(data)  # all at once: a decoder fed by pieces starts over at each end
        opened.load()
        orientation = _orientation(opened)
        tables = getattr(opened, "quantization", None) if kind == "jpeg" else None
        profile = opened.info.get("icc_profile")
        image = to_srgb(to_plain(opened), profile if isinstance(profile, bytes) else None)
    if orientation in _TRANSPOSE:
        image = image.transpose(_TRANSPOSE[orientation])
    if image.mode == "RGBA" and not has_alpha(image):
        image = image.convert("RGB")
    image.info.clear()
    if orientation >= 5:
        width, height = height, width
    return Picture(image=image, width=width, height=height, format=kind, tables=tables)


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(0x0112)
    except Exception:  # noqa: BLE001 - a broken EXIF block says nothing about the pixels
        return 1
    return value if isinstance(value, int) else 1


def measure_image(
    source: Path | bytes, *, max_pixels: int = MAX_PIXELS, max_memory: int | None = None
) -> tuple[int, int]:
    """Width and height in pixels as stored, after a look at every byte: a picture cut short or broken raises.

    JPEGs are decoded at 1/8 of their size, which reads all of the file at a fraction of the memory. A picture whose
    pixels need more than `max_memory` bytes is not decoded: `MemoryError`. Safe for many threads. Raises `ImageError`.
    """
    size = _guarded(source, lambda data, kind: _measure(data, kind, max_pixels, max_memory))
    if size is None:
        raise MemoryError
    return size


def _measure(data: bytes, kind: str, max_pixels: int, max_memory: int | None) -> tuple[int, int] | None:
    with Image.open(io.BytesIO(data), formats=DECODERS[kind]) as opened:
        width, height = opened.size
        if width * height > max_pixels:
            raise ImageError("too large")
        if width < 1 or height < 1:
            raise ImageError("empty picture")
        if kind == "jpeg":
            opened.draft(None, (1, 1))
        # a progressive JPEG keeps its coefficients, two bytes each, whatever the size it is decoded at
        held = width * height * (3 if kind == "jpeg" and opened.info.get("progressive") else 0)
        if max_memory is not None and held + opened.size[0] * opened.size[1] * 4 > max_memory:
            return None
        opened.load()
    return width, height


def read_bytes(path: Path | str) -> bytes:
    """The bytes of a regular file of at most `MAX_BYTES`. Raises `ImageError`."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise ImageError("not a file", str(path))
        if status.st_size > MAX_BYTES:
            raise ImageError("too large", str(path))
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError as error:
        raise ImageError("not found", str(path)) from error
    except OSError as error:
        raise ImageError((error.strerror or "cannot be read").lower(), str(path)) from error


def _guarded(source: Path | bytes, decode: Callable[[bytes, str], _T]) -> _T:
    """What `decode` makes of a file's bytes and format; what Pillow raises or warns of becomes an `ImageError`."""
    name = "" if isinstance(source, bytes) else str(source)
    data = source if isinstance(source, bytes) else read_bytes(source)
    kind = sniff(data)
    if kind not in DECODERS:
        raise ImageError(what_instead(data, kind), name)
    try:
        with _quiet_pillow():
            return decode(data, kind)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError("too large", name) from error
    except ImageError as error:
        raise ImageError(error.reason, name) from error
    except Exception as error:
        raise ImageError(_why_broken(error, data), name) from error


def _why_broken(error: Exception, data: bytes) -> str:
    words = str(error).lower()
    if "truncated" in words or "not enough" in words or isinstance(error, EOFError) or len(data) < 64:
        return "truncated"
    if "too large" in words or "too much memory" in words or isinstance(error, MemoryError):
        return "too large"
    return "broken"


_quiet_lock = threading.Lock()
_quiet_depth = 0
_quiet_before = contextlib.ExitStack()


@contextlib.contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Pillow's warnings silenced, bombs made errors. The filters are the process's, so threads share one change."""
    global _quiet_depth
    with _quiet_lock:
        if _quiet_depth == 0:
            _quiet_before.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
        _quiet_depth += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_depth -= 1
            if _quiet_depth == 0:
                _quiet_before.close()
