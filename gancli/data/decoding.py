"""A set's images decoded by worker processes, each row straight into one file; every odd image skipped with its reason.

The file is written where the rows belong and read by nobody meanwhile, so that a set may exceed the memory.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gancli.data.folder import Entry
from gancli.errors import DiskError
from gancli.images import ImageError, fit_image, has_alpha, is_grey, read_bytes, read_image, to_array
from gancli.pool import Failure, Pool, num_cpus

__all__ = ["Decoded", "decode"]

_TIME_LIMIT_S = 60.0
_SAMPLE = 32
_BATCH = 128  # small images take a third of a millisecond
_Source = Path | Callable[[], bytes]


@dataclass(frozen=True)
class _Setup:
    """What the rows of a set share; `asks_grey`: no colour was seen yet, so each image is asked."""

    file: Path
    size: tuple[int, int]
    channels: int
    asks_grey: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels, self.size[1], self.size[0]

    @property
    def row_bytes(self) -> int:
        return self.channels * self.size[1] * self.size[0]


@dataclass(frozen=True)
class Decoded:
    """What was written: its shape [N, C, H, W]; the entry of each row; (name, reason) of what was skipped; and a hash
    of each row's file, which is the same at every size."""

    shape: tuple[int, ...]
    kept: list[int]
    skipped: list[tuple[str, str]]
    origins: list[int]


def decode(entries: list[Entry], size: tuple[int, int], file: Path) -> Decoded:
    """Every image cropped to `size` (width, height) at the set's own channels: 1 if all are grey, 4 with alpha, else 3.

    Writes uint8 `[N, C, H, W]` to `file`. Raises `DiskError`.
    """
    with Pool(num_cpus(), _TIME_LIMIT_S) as pool:
        setup, failed = _look(pool, entries, size, file)
        any_color, any_alpha = not setup.asks_grey, False
        origins: dict[int, int] = {}
        try:
            with file.open("wb") as made:
                made.truncate(len(entries) * setup.row_bytes)
        except OSError as error:
            raise DiskError.from_os(error, file, "decode the images into") from error
        items = [(index, entry.source) for index, entry in enumerate(entries) if index not in failed]
        for place, outcome in pool.run(_decode_one, setup, items, batch=_BATCH):
            if isinstance(outcome, Failure):
                failed[items[place][0]] = outcome.reason
                continue
            grey, see_through, origins[items[place][0]] = outcome
            any_color |= not grey
            any_alpha |= see_through
    kept = [index for index in range(len(entries)) if index not in failed]
    channels = setup.channels if any_alpha else 3
    if kept and not any_color and channels == 3:
        channels = 1
    _close_up(setup, kept, channels)
    skipped = [(entries[index].name, failed[index]) for index in sorted(failed)]
    return Decoded((len(kept), channels, *setup.shape[1:]), kept, skipped, [origins[index] for index in kept])


def _look(pool: Pool, entries: list[Entry], size: tuple[int, int], file: Path) -> tuple[_Setup, dict[int, str]]:
    """What up to 32 images, spread over the set, say of the rest, and why some of them cannot be read.

    With alpha when at least a tenth have pixels that are not opaque.
    """
    sample = range(len(entries))[:: max(1, len(entries) // _SAMPLE)][:_SAMPLE]
    failed: dict[int, str] = {}
    with_alpha = looked = 0
    any_color = False
    for place, seen in pool.run(_look_at, size, [entries[index].source for index in sample]):
        if isinstance(seen, Failure):
            failed[sample[place]] = seen.reason
            continue
        looked += 1
        with_alpha += seen[0]
        any_color |= not seen[1]
    channels = 4 if looked > 0 and with_alpha * 10 >= looked else 3
    return _Setup(file, size, channels, asks_grey=not any_color), failed


def _look_at(size: tuple[int, int], source: _Source) -> tuple[bool, bool]:
    """Does anything show through, and is it grey?"""
    image = read_image(_bytes_of(source), near_px=max(size))
    return has_alpha(image), is_grey(image)


def _decode_one(setup: _Setup, item: tuple[int, _Source]) -> tuple[bool, bool, int]:
    """Writes one row. Is it grey (where that is asked), does anything show through, and what is its file's hash?"""
    index, source = item
    data = _bytes_of(source)
    image = read_image(data, near_px=max(setup.size))
    grey = setup.asks_grey and is_grey(image)
    background = "keep" if setup.channels == 4 else "white"
    fitted = fit_image(image, setup.size, fit="crop", background=background)
    pixels = to_array(fitted, setup.channels).transpose(2, 0, 1)
    origin = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
    try:
        file = _opened(setup.file)
        file.seek(index * setup.row_bytes)
        file.write(pixels.tobytes())
        file.flush()
    except OSError as error:
        raise DiskError.from_os(error, setup.file, "decode the images into") from error
    return grey, setup.channels == 4 and bool(pixels[3].min() < 255), origin


def _bytes_of(source: _Source) -> bytes:
    try:
        return read_bytes(source) if isinstance(source, Path) else source()
    except OSError as error:
        raise ImageError((error.strerror or "cannot be read").lower()) from error


@functools.lru_cache(maxsize=1)
def _opened(file: Path) -> BinaryIO:
    return file.open("r+b")  # as long as the worker lives


def _close_up(setup: _Setup, kept: list[int], channels: int) -> None:
    """Brings the first `channels` of the kept rows together; in place, since no row moves towards the end."""
    narrow = channels * setup.size[0] * setup.size[1]
    try:
        with setup.file.open("r+b") as file:
            for row, index in enumerate(kept):
                if row * narrow != index * setup.row_bytes:
                    file.seek(index * setup.row_bytes)
                    pixels = file.read(narrow)
                    file.seek(row * narrow)
                    file.write(pixels)
            file.truncate(len(kept) * narrow)
    except OSError as error:
        raise DiskError.from_os(error, setup.file, "decode the images into") from error
