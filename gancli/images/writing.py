"""Writing a picture, whole or not at all."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from gancli.files import atomic_file
from gancli.images.colour import Pixels

__all__ = ["encode_png", "write_png"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}
_LEFT = 1  # the filter that stores each pixel less the one to its left


def write_png(path: Path | str, array: Pixels) -> None:
    """Writes uint8 `[H, W, C]` (C 1, 3 or 4) as PNG, whole or not at all, without metadata. Raises `DiskError`."""
    with atomic_file(path) as file:
        file.write(encode_png(array))


def encode_png(array: Pixels) -> bytes:
    """The bytes of uint8 `[H, W, C]` (C 1, 3 or 4) as PNG without metadata.

    With one filter for all rows and nothing but runs looked for, photographs are written more than twice as fast as by
    Pillow, which tries every filter on every row, and take 2 to 7 % more room.
    """
    height, width, channels = array.shape
    pixels = array.reshape(height, width * channels)
    rows = np.empty((height, 1 + width * channels), np.uint8)
    rows[:, 0] = _LEFT
    rows[:, 1 : 1 + channels] = pixels[:, :channels]
    np.subtract(pixels[:, channels:], pixels[:, :-channels], out=rows[:, 1 + channels :])
    deflate = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    data = deflate.compress(rows.data) + deflate.flush()
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(data, zlib.crc32(kind))
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", check)))
