"""What an image is called and how it begins: names and content, before anything is decoded."""

from __future__ import annotations

import os
import re
from pathlib import Path

from gancli.errors import DataError

__all__ = ["DECODERS", "IMAGE_SUFFIXES", "list_images", "sniff", "what_instead"]

IMAGE_SUFFIXES = frozenset(
    (
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".webp",
        ".gif",
        ".bmp",
        ".tif",
        ".tiff",
        ".avif",
        ".ppm",
        ".pgm",
        ".pnm",
    )
)
DECODERS = {
    "jpeg": ("JPEG", "MPO"),
    "png": ("PNG",),
    "gif": ("GIF",),
    "webp": ("WEBP",),
    "bmp": ("BMP",),
    "tiff": ("TIFF",),
    "avif": ("AVIF",),
    "ppm": ("PPM",),
}
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}


def sniff(data: bytes) -> str | None:
    """The image format that `data` (at least its first 64 bytes) begins with, or None: 'jpeg', 'png', 'heic' …"""
    head = bytes(data[:64])
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "bmp"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if head[4:8] == b"ftyp":
        return _sniff_ftyp(head)
    if re.match(rb"P[1-6][\s#]", head):
        return "ppm"
    return None


def _sniff_ftyp(head: bytes) -> str | None:
    brands = {head[i : i + 4] for i in (8, *range(16, min(len(head), int.from_bytes(head[:4], "big")), 4))}
    if brands & {b"avif", b"avis"}:
        return "avif"
    return "heic" if brands & {b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"} else None


def what_instead(data: bytes, kind: str | None) -> str:
    """In words, what `data` is that is no readable image; `kind`: the format its first bytes say, None for none."""
    if not data:
        return "empty file"
    if kind is not None:
        return f"{kind}, which cannot be read here"
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if start.startswith(b"<svg") or b"<svg" in start:
        return "a drawing (svg)"
    return "not an image"


def list_images(folder: Path | str) -> list[Path]:
    """The files in `folder` and below whose names say image, sorted; hidden ones and symlink loops are skipped.

    Raises `DataError` when `folder` cannot be read; sub-folders that cannot are skipped.
    """
    top = Path(folder)
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    folders, links = [top], list[Path]()
    while folders or links:
        place = folders.pop() if folders else links.pop(0)
        try:
            status = place.stat()
            if (status.st_dev, status.st_ino) in seen and status.st_ino:
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            if place == top:
                reason = (error.strerror or str(error)).lower()
                raise DataError(f"Cannot read the folder '{top}': {reason}.") from error
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                (links if entry.is_symlink() else folders).append(Path(entry.path))
            elif os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES:
                found.append(Path(entry.path))
    return sorted(found, key=os.fsencode)
