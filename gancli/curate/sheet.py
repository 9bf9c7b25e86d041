"""The contact sheet: every kept picture with its number, for a person without a browser."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from gancli.files import atomic_file

__all__ = ["PER_SHEET", "Sheets", "draw_tile", "tile_px"]

PER_SHEET = 1500
_STRIP_PX, _GAP_PX = 14, 4
_GROUND, _PLAIN, _FLAGGED = (32, 32, 32), (200, 200, 200), (255, 160, 60)


def tile_px(count: int) -> int:
    """The longer side of a picture on a sheet of `count` pictures."""
    return 96 if count <= 300 else 64


def draw_tile(pixels: npt.NDArray[np.uint8], number: int, flagged: bool, side: int) -> bytes:
    """The picture `[H, W, C]` above its number, orange when `flagged`, as the RGB bytes of a tile."""
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    picture.thumbnail((side, side), Image.Resampling.HAMMING)
    tile = Image.new("RGB", (side, side + _STRIP_PX), _GROUND)
    tile.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    digits = [_digit(digit, flagged) for digit in str(number)]
    x = (side - sum(digit.width for digit in digits)) // 2
    for digit in digits:
        tile.paste(digit, (x, side + 1))
        x += digit.width
    return tile.tobytes()


@functools.lru_cache(maxsize=20)
def _digit(digit: str, flagged: bool) -> Image.Image:
    font = ImageFont.load_default()
    image = Image.new("RGB", (round(font.getlength(digit)), _STRIP_PX - 1), _GROUND)
    ImageDraw.Draw(image).text((0, 0), digit, fill=_FLAGGED if flagged else _PLAIN, font=font)
    return image


class Sheets:
    """contact-sheet.jpg (and -2, -3 … beyond `PER_SHEET`) of the pictures `numbers`, painted as their tiles come.

    The number under a picture is the one for --reject and --flip-images. A sheet goes to the disk with its last tile,
    so that few are held at once whatever the size of the set.
    """

    def __init__(self, folder: Path, numbers: Sequence[int]) -> None:
        self._folder, self.side = folder, tile_px(len(numbers))
        self._place = {number: place for place, number in enumerate(numbers)}
        self._open: dict[int, _Sheet] = {}
        self.names = [self._name(sheet) for sheet in range(-(-len(numbers) // PER_SHEET))]

    def add(self, number: int, tile: bytes) -> None:
        """Takes one tile. Raises `DiskError`."""
        index, place = divmod(self._place[number], PER_SHEET)
        if index not in self._open:
            self._open[index] = _Sheet(min(PER_SHEET, len(self._place) - index * PER_SHEET), self.side)
        if self._open[index].paste(place, tile):
            with atomic_file(self._folder / self._name(index), sync=False) as file:
                file.write(self._open.pop(index).as_jpeg())

    def _name(self, index: int) -> str:
        return "contact-sheet.jpg" if index == 0 else f"contact-sheet-{index + 1}.jpg"


class _Sheet:
    """One sheet while it is painted."""

    def __init__(self, count: int, side: int) -> None:
        self._missing, self._side = count, side
        self._columns = max(1, min(count, 1280 // side, max(6, round((count * 1.6) ** 0.5))))
        lines = -(-count // self._columns)
        size = (lines * (side + _STRIP_PX + _GAP_PX) + _GAP_PX, self._columns * (side + _GAP_PX) + _GAP_PX)
        self._pixels = np.full((*size, 3), _GROUND, np.uint8)

    def paste(self, place: int, tile: bytes) -> bool:
        """Lays a tile at its place; is the sheet complete?"""
        row, column = divmod(place, self._columns)
        height, width = self._side + _STRIP_PX, self._side
        top, left = _GAP_PX + row * (height + _GAP_PX), _GAP_PX + column * (width + _GAP_PX)
        self._pixels[top : top + height, left : left + width] = np.frombuffer(tile, np.uint8).reshape(height, width, 3)
        self._missing -= 1
        return self._missing == 0

    def as_jpeg(self) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(self._pixels).save(buffer, "JPEG", quality=85)
        return buffer.getvalue()
