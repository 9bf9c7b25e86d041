"""A folder or zip of images, decoded in parallel into one array; every odd file is skipped with its reason."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gancli.data.cache import scratch_array
from gancli.errors import DataError
from gancli.images import IMAGE_SUFFIXES, ImageError, fit_image, has_alpha, is_grey, list_images, read_image, to_array
from gancli.text import clean

__all__ = ["Entry", "decode", "folder_entries", "zip_entries"]

Pixels = npt.NDArray[np.uint8]
_MAX_ENTRY_BYTES = 256 << 20


@dataclass(frozen=True)
class Entry:
    """One image to be: its name within the set, what tells that it changed, and how to get at it."""

    name: str  # relative, with forward slashes
    stamp: tuple[int, ...]
    source: Callable[[], Path | bytes]


def folder_entries(folder: Path, files: list[Path] | None = None) -> list[Entry]:
    """The images below `folder` in the order of their names. Raises `DataError` when there are none."""
    found = list_images(folder) if files is None else files
    entries = []
    for path in found:
        try:
            stat = path.stat()
        except OSError:
            stamp: tuple[int, ...] = ()
        else:
            stamp = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        entries.append(Entry(path.relative_to(folder).as_posix(), stamp, lambda path=path: path))  # type: ignore[misc]
    if not entries:
        looked = " ".join(sorted(IMAGE_SUFFIXES))
        raise DataError(
            f"No images found in '{clean(folder)}' (looked for {looked}). "
            "Run 'gan scrape \"…\"' or point at another folder."
        )
    return entries


def zip_entries(path: Path) -> list[Entry]:
    """The images in a zip, in the order of their names. Raises `DataError` when it is none, or holds none."""
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise DataError(f"'{clean(path)}' cannot be read as a zip ({clean(error, 120)}).") from error
    entries = []
    for info in sorted(archive.infolist(), key=lambda i: i.filename):
        if info.is_dir() or Path(info.filename).suffix.lower() not in IMAGE_SUFFIXES:
            continue
        entries.append(Entry(info.filename, (info.file_size, info.CRC), lambda info=info: _unzip(archive, info)))  # type: ignore[misc]
    if not entries:
        raise DataError(f"No images found in the zip '{clean(path)}'.")
    return entries


def _unzip(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.file_size > _MAX_ENTRY_BYTES:
        raise ImageError("too large")
    try:
        with archive.open(info) as file:
            return file.read(_MAX_ENTRY_BYTES)
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise ImageError("cannot be unpacked") from error
    except Exception as error:  # zlib.error has no base of its own
        if type(error).__name__ == "error":
            raise ImageError("cannot be unpacked") from error
        raise


def decode(entries: list[Entry], size: tuple[int, int]) -> tuple[Pixels, list[int], list[tuple[str, str]]]:
    """Every image cropped to `size` (width, height) at the set's own channels: 1 if all are grey, 4 with alpha, else 3.

    Returns uint8 [N, C, H, W], the entry of each row, and (name, reason) of what was skipped.
    """
    width, height = size
    channels = 4 if _has_transparency(entries, size) else 3
    images = scratch_array((len(entries), channels, height, width))
    kept: list[int] = []
    skipped: list[tuple[str, str]] = []
    any_color = any_alpha = False
    for index, outcome in _in_order(entries, size, channels):
        if isinstance(outcome, str):
            skipped.append((entries[index].name, outcome))
            continue
        pixels, grey = outcome
        images[len(kept)] = pixels
        any_color |= not grey
        any_alpha |= channels == 4 and bool(pixels[3].min() < 255)
        kept.append(index)
    images = images[: len(kept)]
    if channels == 4 and not any_alpha:
        images = images[:, :3]
    if kept and not any_color and images.shape[1] == 3:
        images = images[:, :1]
    return np.ascontiguousarray(images), kept, skipped


def _in_order(
    entries: list[Entry], size: tuple[int, int], channels: int
) -> Iterator[tuple[int, str | tuple[Pixels, bool]]]:
    """Decoding releases the interpreter lock, so threads use all cores; a bounded window keeps the memory flat."""
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    window = workers * 16
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(entries), window):
            chunk = entries[start : start + window]
            yield from enumerate(pool.map(lambda e: _decode_one(e, size, channels), chunk), start)


def _decode_one(entry: Entry, size: tuple[int, int], channels: int) -> str | tuple[Pixels, bool]:
    try:
        image: Any = read_image(entry.source(), near_px=max(size))
        grey = is_grey(image)
        fitted = fit_image(image, size, fit="crop", background="keep" if channels == 4 else "white")
        return to_array(fitted, channels).transpose(2, 0, 1), grey
    except ImageError as error:
        return error.reason
    except OSError as error:
        return (error.strerror or "cannot be read").lower()


def _has_transparency(entries: list[Entry], size: tuple[int, int]) -> bool:
    """Do at least a tenth of up to 32 images, spread over the set, have pixels that are not opaque?"""
    step = max(1, len(entries) // 32)
    with_alpha = looked = 0
    for entry in entries[::step][:32]:
        try:
            image = read_image(entry.source(), near_px=max(size))
        except (ImageError, OSError):
            continue
        looked += 1
        with_alpha += has_alpha(image)
    return looked > 0 and with_alpha * 10 >= looked
