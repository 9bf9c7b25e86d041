"""IDX files (MNIST and its like): `idx:FOLDER` holds *images-idx3-ubyte and *labels-idx1-ubyte, gzipped or not."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gancli.errors import DataError
from gancli.text import clean

__all__ = ["read_idx_folder"]

_MAX_BYTES = 8 << 30


def read_idx_folder(folder: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64] | None, list[Path]]:
    """The training images of `folder`: uint8 [N, 1, H, W], labels int64 [N] or None, and the files read.

    Files whose names begin with 'train' win over the others ('t10k'). Raises `DataError`.
    """
    if not folder.is_dir():
        raise DataError(f"idx: '{clean(folder)}' is not a folder. Name the folder that holds the *-idx3-ubyte files.")
    images = _pick(folder, "idx3")
    if images is None:
        raise DataError(f"idx: no *images-idx3-ubyte file in '{clean(folder)}' (gzipped or not).")
    labels = _pick(folder, "idx1", like=images.name)
    pixels = _read(images, 3)
    if labels is None:
        return pixels[:, None], None, [images]
    values = _read(labels, 1).astype(np.int64)
    if len(values) != len(pixels):
        raise DataError(f"idx: {len(pixels)} images but {len(values)} labels in '{clean(folder)}'.")
    return pixels[:, None], values, [images, labels]


def _pick(folder: Path, kind: str, like: str = "") -> Path | None:
    found = [p for p in sorted(folder.iterdir()) if kind in p.name and p.suffix in ("", ".gz", f".{kind}-ubyte")]
    first = like.split("-")[0].split(".")[0]
    found.sort(key=lambda p: (bool(first) and not p.name.startswith(first), not p.name.startswith("train"), p.name))
    return found[0] if found else None


def _read(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """One IDX file of unsigned bytes: 0, 0, 8, dimensions, then each size as big-endian uint32, then the bytes."""
    name = clean(path)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4 + 4 * dimensions)
            if len(head) < 4 + 4 * dimensions or head[:4] != bytes([0, 0, 8, dimensions]):
                raise DataError(f"'{name}' is no IDX file of unsigned bytes with {dimensions} dimensions.")
            shape = struct.unpack(f">{dimensions}I", head[4:])
            count = int(np.prod(shape, dtype=np.float64))
            if not 0 < count <= _MAX_BYTES:
                raise DataError(f"'{name}' claims the impossible size {shape}.")
            data = file.read(count + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"'{name}' cannot be read ({clean(error, 120)}).") from error
    if len(data) != count:
        raise DataError(f"'{name}' is truncated or too long: {shape} needs {count:,} bytes.")
    return np.frombuffer(data, np.uint8).reshape(shape)
