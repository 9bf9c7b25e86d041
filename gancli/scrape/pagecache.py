"""Pages that a provider asks to be kept for a while, in the user's cache folder. Keys are no part of it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from pathlib import Path

from gancli.errors import DiskError
from gancli.files import atomic_file
from gancli.scrape.providers.base import Request

__all__ = ["cache_folder", "cached_page", "keep_page"]

_SECRET = ("key", "api_key")


def cached_page(endpoint: str, request: Request, seconds: float) -> bytes | None:
    """The body kept for this request, if it is younger than `seconds`."""
    path = _path(endpoint, request)
    try:
        if time.time() - path.stat().st_mtime < seconds:
            return path.read_bytes()
    except OSError:
        pass
    return None


def keep_page(endpoint: str, request: Request, body: bytes, seconds: float) -> None:
    """Keeps a body, and drops those older than `seconds`. A cache that cannot be written is no harm."""
    path = _path(endpoint, request)
    with contextlib.suppress(OSError, DiskError):
        path.parent.mkdir(parents=True, exist_ok=True)
        for old in path.parent.glob("*.page"):
            if time.time() - old.stat().st_mtime >= seconds:
                old.unlink(missing_ok=True)
        with atomic_file(path) as file:
            file.write(body)


def _path(endpoint: str, request: Request) -> Path:
    params = [(name, value) for name, value in request.params if name not in _SECRET]
    name = hashlib.sha256(repr((endpoint, request.path, params)).encode("utf-8", "replace")).hexdigest()
    return cache_folder() / "scrape" / f"{name}.page"


def cache_folder() -> Path:
    """`$GAN_CACHE`, or the user's cache folder of this system."""
    home = Path.home()
    if os.environ.get("GAN_CACHE"):
        return Path(os.environ["GAN_CACHE"])
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "gan"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")) / "gan" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME", home / ".cache")) / "gan"
