"""Sizes of images in words, and which of them networks can make."""

from __future__ import annotations

import re

from gancli.errors import UsageError
from gancli.text import clean

__all__ = ["MAX_SIDE", "base_of", "nearest_side", "parse_size", "parse_train_size"]

MAX_SIDE = 1024


def parse_size(text: str) -> tuple[int, int]:
    """'64' -> (64, 64), '192x128' -> (192, 128): width and height in pixels. Raises `UsageError`."""
    match = re.fullmatch(r"(\d{1,5})(?:[xX](\d{1,5}))?", text.strip())
    if not match:
        raise UsageError(f"--size '{clean(text, 40)}' is no size. Give N or WxH, e.g. 64 or 192x128.")
    width = int(match[1])
    height = int(match[2]) if match[2] else width
    if width < 1 or height < 1:
        raise UsageError(f"--size '{clean(text, 40)}': a side must be at least 1 pixel.")
    return width, height


def parse_train_size(text: str) -> tuple[int, int]:
    """A size that networks can make: each side 4..7 times a power of two, 8 to 1024 px. Raises `UsageError`."""
    size = parse_size(text)
    for side in size:
        if not 8 <= side <= MAX_SIDE or base_of(side) is None:
            raise UsageError(
                f"--size {clean(text, 40)}: no network here makes a side of {side} px; "
                f"the nearest that works is {nearest_side(side)}. "
                "Each side is 4, 5, 6 or 7 times a power of two: 28, 32, 48, 64, 96, 128, 160, 192, 256 …"
            )
    return size


def nearest_side(side: int) -> int:
    """The side that networks can make nearest to `side` px; itself where they can."""
    return min(_GOOD_SIDES, key=lambda good: (abs(good - side), good))


def base_of(side: int) -> int | None:
    """The smallest map that doubles up to `side`: 4 to 7; None where none does."""
    while side > 7 and side % 2 == 0:
        side //= 2
    return side if 4 <= side <= 7 else None


_GOOD_SIDES = [side for side in range(8, MAX_SIDE + 1) if base_of(side) is not None]
