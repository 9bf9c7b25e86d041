"""Writing a picture, whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from gancli.files import atomic_file
from gancli.images.colour import Pixels

__all__ = ["encode_png", "write_png"]


def write_png(path: Path | str, array: Pixels, compress_level: int = 1) -> None:
    """Writes uint8 `[H, W, C]` (C 1, 3 or 4) as PNG, whole or not at all, without metadata. Raises `DiskError`."""
    with atomic_file(path) as file:
        file.write(encode_png(array, compress_level))


def encode_png(array: Pixels, compress_level: int = 1) -> memoryview:
    """The bytes of uint8 `[H, W, C]` (C 1, 3 or 4) as PNG without metadata."""
    pixels = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=compress_level)
    return buffer.getbuffer()
