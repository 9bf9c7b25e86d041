"""Decoded once, mapped for ever: a training set as one uint8 array in a file of the user's cache folder.

The key is the list of files with their sizes and times; the fingerprint is of the pixels, so that a moved or copied
set is recognised and a changed one noticed. The folder is ours, capped in size, oldest out first. No set is ever in
the memory as a whole.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gancli.errors import DiskError
from gancli.pool import num_cpus

__all__ = ["Digests", "cache_folder", "cached_array", "digests_of", "fingerprint_of"]

_CAP_BYTES = 20 << 30
_LAYOUT = 5  # raised when what is cached changes its meaning
_PIXELS, _DIGESTS, _FACTS = "images.u8", "digests.npy", "facts.json"
_HASHED_AT_ONCE = 8 << 20
_ABANDONED_S = 86400

Pixels = npt.NDArray[np.uint8]
Digests = npt.NDArray[np.uint64]


def cache_folder() -> Path:
    """`$GAN_CACHE`, or the user's cache folder of this system."""
    if os.environ.get("GAN_CACHE"):
        return Path(os.environ["GAN_CACHE"])
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "gan"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")) / "gan" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME", home / ".cache")) / "gan"


def digests_of(images: npt.NDArray[Any]) -> Digests:
    """A short hash of each picture (or point): uint64 [N]. Equal pixels have equal ones."""
    found = np.empty(len(images), np.uint64)
    for row, picture in enumerate(images):
        digest = hashlib.blake2b(np.ascontiguousarray(picture).tobytes(), digest_size=8).digest()
        found[row] = int.from_bytes(digest, "little")
    return found


def fingerprint_of(images: npt.NDArray[Any], digests: Digests, labels: npt.NDArray[np.int64]) -> str:
    """A short hash of pixels (by their `digests`) and labels: what a run remembers of its data."""
    digest = hashlib.blake2b(digest_size=12)
    digest.update(f"{images.shape} {images.dtype}".encode())
    digest.update(digests.astype("<u8").tobytes())
    digest.update(labels.astype("<i8").tobytes())
    return digest.hexdigest()


def cached_array(
    key: dict[str, Any], build: Callable[[Path], tuple[tuple[int, ...], dict[str, Any]]]
) -> tuple[Pixels, Digests, dict[str, Any]]:
    """The array, its digests and its facts for `key`.

    When they are not there yet, `build` writes the array's bytes to the file it is given, and returns its shape and
    facts. The array comes back memory-mapped, private and writable; a second start reads no picture of it. A cache that
    cannot be written costs a second decoding. Raises `DiskError`.
    """
    name = hashlib.blake2b(json.dumps([_LAYOUT, key], sort_keys=True).encode(), digest_size=12).hexdigest()
    folder = cache_folder() / name
    found = _load(folder)
    if found is not None:
        return found
    try:
        return _made(folder.parent, build, keep_as=folder)
    except DiskError:
        return _made(Path(tempfile.gettempdir()), build, keep_as=None)


def _made(
    parent: Path, build: Callable[[Path], tuple[tuple[int, ...], dict[str, Any]]], keep_as: Path | None
) -> tuple[Pixels, Digests, dict[str, Any]]:
    """What `build` builds below `parent`; it stays there as `keep_as`, or as long as it is mapped."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=parent, ignore_cleanup_errors=True) as place:
            folder = Path(place)
            shape, facts = build(folder / _PIXELS)
            if not shape[0]:
                return np.zeros(shape, np.uint8), np.zeros(0, np.uint64), facts
            np.save(folder / _DIGESTS, _digests_in(folder / _PIXELS, shape))
            (folder / _FACTS).write_text(json.dumps(facts | {"shape": shape}))
            if keep_as is not None:
                _keep(folder, keep_as)
            found = _load(keep_as or folder)
            if found is None:
                raise FileNotFoundError(errno.ENOENT, "somebody has deleted it")
            return found
    except OSError as error:
        raise DiskError.from_os(error, parent, "decode the images into") from error


def _digests_in(file: Path, shape: tuple[int, ...]) -> Digests:
    """`digests_of` the array in `file`, by as many threads as there are processors: hashing lets them run."""
    row = math.prod(shape[1:])
    step = max(1, _HASHED_AT_ONCE // row)

    def digests_from(start: int) -> Digests:
        count = min(step, shape[0] - start)
        pixels = np.fromfile(file, np.uint8, count * row, offset=start * row)
        return digests_of(pixels.reshape(count, row))

    with ThreadPoolExecutor(num_cpus()) as threads:
        return np.concatenate(list(threads.map(digests_from, range(0, shape[0], step))))


def _load(folder: Path) -> tuple[Pixels, Digests, dict[str, Any]] | None:
    try:
        facts = json.loads((folder / _FACTS).read_text())
        shape = tuple(facts["shape"])
        images = np.memmap(folder / _PIXELS, np.uint8, "c", shape=shape)
        digests = np.load(folder / _DIGESTS)
    except (OSError, ValueError, EOFError, KeyError, TypeError):
        return None
    if (folder / _PIXELS).stat().st_size != images.nbytes:
        return None
    if digests.dtype != np.uint64 or digests.shape != images.shape[:1]:
        return None
    with contextlib.suppress(OSError):
        os.utime(folder)
    return images, digests, facts


def _keep(made: Path, folder: Path) -> None:
    """Moves what was made into the cache, where another process may have put the same a moment ago."""
    _make_room(folder.parent, _size(made))
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        os.replace(made, folder)


def _make_room(parent: Path, needed: int) -> None:
    """Deletes the oldest sets beyond the cap, and what was being built when a process was killed."""
    now = time.time()
    sets = {}
    for path in parent.iterdir():
        if path.name.startswith(".building-"):
            if now - max((p.stat().st_mtime for p in path.iterdir()), default=now) > _ABANDONED_S:
                shutil.rmtree(path, ignore_errors=True)
        elif (path / _FACTS).is_file():
            sets[path] = _size(path)
    total = sum(sets.values()) + needed
    for path in sorted(sets, key=lambda p: p.stat().st_mtime):
        if total <= _CAP_BYTES:
            return
        total -= sets[path]
        shutil.rmtree(path, ignore_errors=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
