"""Perceptual hashes of a picture and of its mirror image, from one cosine transform.

phash as in imagehash 4 (64 bits): grey, Lanczos to 32x32, DCT-II, the 8x8 lowest frequencies with the constant one,
a bit for each above their median. Mirroring a picture negates the odd horizontal frequencies: its hash is free.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["HASH_PX", "bit_count", "difference_hashes", "grey_square", "hash_pair", "hash_text"]

HASH_PX = 32
_LOW = 8
_CHUNK = 4096
_BASIS = 2 * np.cos(np.pi * np.arange(_LOW)[:, None] * (2 * np.arange(HASH_PX)[None, :] + 1) / (2 * HASH_PX))
_MIRROR = np.where(np.arange(_LOW) % 2 == 0, 1.0, -1.0)[None, :]
_PLACES = 1 << np.arange(63, -1, -1, dtype=np.uint64)


def hash_pair(grey: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """(phash, phash of the mirror image) of a grey picture `[32, 32]`, as 64-bit integers, highest bit first."""
    low = _BASIS @ grey.astype(np.float64) @ _BASIS.T
    return _pack(low), _pack(low * _MIRROR)


def _pack(low: npt.NDArray[np.float64]) -> int:
    ordered = np.sort(low, axis=None)
    bits = (low > (ordered[31] + ordered[32]) / 2).reshape(-1)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def grey_square(image: Image.Image) -> npt.NDArray[np.uint8]:
    """The grey `[32, 32]` that the hash is taken from."""
    return np.asarray(image.convert("L").resize((HASH_PX, HASH_PX), Image.Resampling.LANCZOS))


def difference_hashes(squares: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """dHash of grey pictures `[N, 32, 32]`: is each of 8x9 patches brighter than the one to its left? A caption bar
    changes few of these bits, and many of a phash."""
    rows, columns = _patches(8), _patches(9)
    hashes = np.empty(len(squares), np.uint64)
    for start in range(0, len(squares), _CHUNK):
        part = slice(start, start + _CHUNK)
        patches = rows @ squares[part].astype(np.float32) @ columns.T
        bits = (patches[:, :, 1:] > patches[:, :, :-1]).reshape(len(patches), 64)
        hashes[part] = (bits * _PLACES[None, :]).sum(axis=1, dtype=np.uint64)
    return hashes


def _patches(count: int) -> npt.NDArray[np.float32]:
    """`[count, 32]`: the mean over each of `count` equal parts of 32 pixels."""
    edges = np.linspace(0, HASH_PX, count + 1)
    pixels = np.arange(HASH_PX)
    inside = np.minimum(pixels[None, :] + 1, edges[1:, None]) - np.maximum(pixels[None, :], edges[:-1, None])
    return np.asarray(np.maximum(inside, 0) * count / HASH_PX, dtype=np.float32)


def hash_text(value: int) -> str:
    """The hash as imagehash writes it: 16 hexadecimal digits."""
    return f"{value:016x}"


def bit_count(values: npt.NDArray[np.uint64]) -> npt.NDArray[Any]:
    """How many bits are set in each 64-bit value."""
    if hasattr(np, "bitwise_count"):
        return np.asarray(np.bitwise_count(values))
    parts = np.ascontiguousarray(values).view(np.uint16).reshape(*values.shape, 4)
    return np.asarray(_counts_of_16()[parts].sum(axis=-1, dtype=np.uint8))


@functools.cache
def _counts_of_16() -> npt.NDArray[np.uint8]:
    return np.array([value.bit_count() for value in range(1 << 16)], dtype=np.uint8)
