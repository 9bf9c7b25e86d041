"""Writing GIFs: one global palette, only what changed in each frame, exact timing and frame count.

Pillow compresses each frame; the blocks around it are written here, because Pillow merges equal frames, may give a
frame its own palette, and rounds every delay the same way. Format: GIF89a specification (CompuServe 1990).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from gancli.render.frames import Frames
from gancli.render.palette import Palette, make_palette

__all__ = ["gif_delays", "write_gif"]

Bytes = npt.NDArray[np.uint8]


def gif_delays(seconds: Sequence[float]) -> list[int]:
    """The frames' times in whole hundredths of a second, rounded so that the sum drifts by no more than one half."""
    delays, told, true = [], 0, 0.0
    for length in seconds:
        true += length * 100
        delay = max(2, round(true) - told)
        told += delay
        delays.append(delay)
    return delays


def write_gif(file: BinaryIO, frames: Frames, seconds: Sequence[float], *, loop: bool, num_colours: int = 255) -> None:
    """Writes `frames` (3 channels, or 4: alpha below one half is see-through), each shown for its `seconds`.

    `num_colours` 2 to 255; one more entry of the palette is see-through. With `loop` it repeats for ever.
    """
    palette = make_palette(frames, num_colours)
    clear = len(palette.colours)
    bits = max(2, int(clear).bit_length())
    table = np.zeros((1 << bits, 3), np.uint8)
    table[:clear] = palette.colours
    file.write(b"GIF89a" + struct.pack("<HHBBB", frames.width, frames.height, 0xF0 | (bits - 1), clear, 0))
    file.write(table.tobytes())
    if loop:
        file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")
    see_through = frames.channels == 4
    before: Bytes | None = None
    for frame, delay in zip(frames, gif_delays(seconds), strict=True):
        indices = _indices(frame, palette, clear)
        shown = indices if before is None or see_through else np.where(indices == before, np.uint8(clear), indices)
        top, bottom, left, right = _box(shown, clear)
        file.write(struct.pack("<BBBBHBB", 0x21, 0xF9, 4, (0x09 if see_through else 0x05), delay, clear, 0))
        file.write(struct.pack("<BHHHHB", 0x2C, left, top, right - left, bottom - top, 0))
        file.write(_compressed(shown[top:bottom, left:right], bits))
        before = indices
    file.write(b"\x3b")


def _indices(frame: Bytes, palette: Palette, clear: int) -> Bytes:
    indices = palette.indices(frame[..., :3])
    if frame.shape[2] == 4:
        indices = np.where(frame[..., 3] < 128, np.uint8(clear), indices)
    return indices


def _box(shown: Bytes, clear: int) -> tuple[int, int, int, int]:
    """The rectangle that holds all that is not `clear`; one pixel where nothing is."""
    rows, columns = np.flatnonzero((shown != clear).any(1)), np.flatnonzero((shown != clear).any(0))
    if not len(rows):
        return 0, 1, 0, 1
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _compressed(indices: Bytes, bits: int) -> bytes:
    """The LZW code size and data blocks of one frame, as Pillow's encoder makes them."""
    buffer = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(indices), "P")
    image.putpalette(bytes(768))
    image.encoderinfo = {}
    image.save(buffer, "GIF", interlace=False, optimize=False)
    data = buffer.getvalue()
    assert data[10] & 0x80, "Pillow wrote no global palette"
    start = 13 + 3 * (2 << (data[10] & 7))
    while data[start] == 0x21:  # an extension: label, then blocks up to an empty one
        start += 2
        while data[start]:
            start += data[start] + 1
        start += 1
    assert data[start] == 0x2C
    assert not data[start + 9] & 0x80, "Pillow wrote a local palette"
    return data[start + 10 : -1]
