"""Decoded once, mapped for ever: a training set as one uint8 array in a file of the user's cache folder.

The key is the list of files with their sizes and times; the fingerprint is of the pixels, so that a moved or copied
set is recognised and a changed one noticed. The folder is ours, capped in size, oldest out first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gancli.errors import DiskError

__all__ = ["cache_folder", "cached_array", "digests_of", "fingerprint_of", "scratch_array"]

_CAP_BYTES = 20 << 30
_LAYOUT = 3  # raised when what is cached changes its meaning

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
    key: dict[str, Any], build: Callable[[], tuple[Pixels, dict[str, Any]]]
) -> tuple[Pixels, Digests, dict[str, Any]]:
    """The array, its digests and its facts for `key`; `build` decodes them when they are not there yet.

    The array comes back memory-mapped, private and writable; a second start reads no picture of it. A cache that cannot
    be written costs a second decoding.
    """
    name = hashlib.blake2b(json.dumps([_LAYOUT, key], sort_keys=True).encode(), digest_size=12).hexdigest()
    folder = cache_folder() / name
    found = _load(folder)
    if found is not None:
        return found
    images, facts = build()
    digests = digests_of(images)
    try:
        _store(folder, images, digests, facts)
    except OSError:
        return images, digests, facts
    return _load(folder) or (images, digests, facts)


def scratch_array(shape: tuple[int, ...]) -> Pixels:
    """A zeroed uint8 array to decode into; in a file when it is large, so that a set may exceed the memory."""
    if int(np.prod(shape)) < 1 << 30:
        return np.zeros(shape, np.uint8)
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 — lives as long as the map
        return np.memmap(file, np.uint8, "w+", shape=shape)
    except OSError as error:
        raise DiskError.from_os(error, folder, "decode the images into") from error


def _load(folder: Path) -> tuple[Pixels, Digests, dict[str, Any]] | None:
    try:
        facts = json.loads((folder / "facts.json").read_text())
        images = np.load(folder / "images.npy", mmap_mode="c")
        digests = np.load(folder / "digests.npy")
    except (OSError, ValueError, EOFError):
        return None
    if images.dtype != np.uint8 or list(images.shape) != facts.get("shape"):
        return None
    if digests.dtype != np.uint64 or digests.shape != images.shape[:1]:
        return None
    with contextlib.suppress(OSError):
        os.utime(folder)
    return images, digests, facts


def _store(folder: Path, images: Pixels, digests: Digests, facts: dict[str, Any]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    _make_room(folder.parent, images.nbytes)
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    try:
        np.save(building / "images.npy", images)
        np.save(building / "digests.npy", digests)
        facts["shape"] = list(images.shape)
        (building / "facts.json").write_text(json.dumps(facts))
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(building, folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _make_room(folder: Path, needed: int) -> None:
    sets = [path for path in folder.iterdir() if (path / "facts.json").is_file() and (path / "images.npy").is_file()]
    sizes = {path: (path / "images.npy").stat().st_size for path in sets}
    total = sum(sizes.values()) + needed
    for path in sorted(sets, key=lambda p: p.stat().st_mtime):
        if total <= _CAP_BYTES:
            return
        total -= sizes[path]
        shutil.rmtree(path, ignore_errors=True)
