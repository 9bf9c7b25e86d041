"""The images in a folder or zip: their names, what tells that they changed, and how to get at them."""

from __future__ import annotations

import functools
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gancli.errors import DataError
from gancli.images import IMAGE_SUFFIXES, ImageError, list_images
from gancli.text import clean

__all__ = ["Entry", "folder_entries", "zip_entries"]

_MAX_ENTRY_BYTES = 256 << 20


@dataclass(frozen=True)
class Entry:
    """One image to be: its name within the set, what tells that it changed, and how a worker process gets at it."""

    name: str  # relative, with forward slashes
    stamp: tuple[int, ...]
    source: Path | Callable[[], bytes]  # one that can be pickled


def folder_entries(folder: Path, files: list[Path] | None = None) -> list[Entry]:
    """The images below `folder` in the order of their names. Raises `DataError` when there are none."""
    found = list_images(folder) if files is None else files
    entries, depth = [], len(folder.parts)
    for path in found:
        try:
            stat = path.stat()
        except OSError:
            stamp: tuple[int, ...] = ()
        else:
            stamp = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        entries.append(Entry("/".join(path.parts[depth:]), stamp, path))
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
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
        stat = path.stat()
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise DataError(f"'{clean(path)}' cannot be read as a zip ({clean(error, 120)}).") from error
    stamp, entries = (stat.st_mtime_ns, stat.st_size), []
    for number, info in sorted(enumerate(infos), key=lambda pair: pair[1].filename):
        if info.is_dir() or Path(info.filename).suffix.lower() not in IMAGE_SUFFIXES:
            continue
        source = functools.partial(_unzip, path, stamp, number)
        entries.append(Entry(info.filename, (info.file_size, info.CRC), source))
    if not entries:
        raise DataError(f"No images found in the zip '{clean(path)}'.")
    return entries


@functools.lru_cache(maxsize=1)
def _archive(path: Path, stamp: tuple[int, int]) -> zipfile.ZipFile:
    """Its list of files is read once by each worker; `stamp` tells a zip from another that takes its place."""
    return zipfile.ZipFile(path)


def _unzip(path: Path, stamp: tuple[int, int], number: int) -> bytes:
    archive = _archive(path, stamp)
    info = archive.infolist()[number]
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
