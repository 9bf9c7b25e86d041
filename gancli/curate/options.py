"""What makes one training set differ from another: the parameters of `curate`, validated once."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from gancli.errors import UsageError
from gancli.text import clean

__all__ = ["FITS", "FLAGS", "FORMATS", "MAX_SIDE", "CurateOptions", "parse_numbers", "parse_size"]

FITS = ("crop", "pad", "stretch", "smart")
FORMATS = ("folder", "zip", "webdataset", "hf")
FLAGS = (
    "blurry",
    "dark",
    "light",
    "low-information",
    "odd-aspect",
    "odd-size",
    "greyscale",
    "small",
    "upscaled",
    "low-quality",
    "few-colours",
    "bars",
)
MAX_SIDE = 4096
_BACKGROUND = re.compile(r"white|black|keep|#[0-9a-fA-F]{6}")


@dataclass(frozen=True, kw_only=True)
class CurateOptions:
    """The parameters of a training set. `size` is (width, height) in pixels, `held_out` a share of 0 to 0.5.

    `threshold` is the phash distance (0 to 14 of 64 bits, always even in practice) up to which a copy is removed
    without a second look; 0 means identical pixels. Raises `UsageError` for a value that cannot be meant.
    """

    size: tuple[int, int] = (160, 160)
    fit: str = "crop"
    mirror: bool = False
    threshold: int = 6
    min_side: int = 0
    drop: tuple[str, ...] = ()
    trim: bool = False
    background: str = "white"
    format: str = "folder"
    held_out: float = 0.05

    def __post_init__(self) -> None:
        if not all(1 <= side <= MAX_SIDE for side in self.size):
            raise UsageError(f"The size is {self.size[0]}x{self.size[1]}; each side can be 1 to {MAX_SIDE} pixels.")
        _one_of("--fit", self.fit, FITS)
        _one_of("--format", self.format, FORMATS)
        for flag in self.drop:
            _one_of("--drop", flag, FLAGS)
        if not 0 <= self.threshold <= 14:
            raise UsageError(
                f"--threshold is {self.threshold}; it can be 0 (identical pixels) to 14. "
                "6 finds copies safely; above 12 different pictures begin to match."
            )
        if self.min_side < 0:
            raise UsageError(f"--min-side is {self.min_side}; it can be 0 or more pixels.")
        if not _BACKGROUND.fullmatch(self.background):
            raise UsageError(
                f"--background is '{clean(self.background, 60)}'; it can be white, black, keep or a colour as #rrggbb."
            )
        if not 0 <= self.held_out <= 0.5:
            raise UsageError(f"--held-out is {self.held_out:g}; it can be 0 to 0.5, a share of the pictures.")
        object.__setattr__(self, "drop", tuple(sorted(set(self.drop))))

    def as_json(self) -> dict[str, Any]:
        """The parameters as they stand in curation.json."""
        return {**asdict(self), "size": list(self.size), "drop": list(self.drop)}


def parse_size(text: str) -> tuple[int, int]:
    """(width, height) from '160' or '192x128'. Raises `UsageError`."""
    match = re.fullmatch(r"\s*(\d{1,6})(?:\s*[xX×]\s*(\d{1,6}))?\s*", text)
    if match is None:
        raise UsageError(f"--size is '{clean(text, 60)}'; give one number or WIDTHxHEIGHT, e.g. 64 or 192x128.")
    width = int(match[1])
    return width, int(match[2]) if match[2] else width


def parse_numbers(flag: str, text: str | None) -> list[int]:
    """[3, 17, 20, 21] from '3,17,20-21'. Raises `UsageError`."""
    numbers: list[int] = []
    for part in (text or "").replace(" ", ",").split(","):
        match = re.fullmatch(r"(\d{1,7})(?:-(\d{1,7}))?", part)
        if match is None and part:
            raise UsageError(f"{flag} has '{clean(part, 60)}'; give numbers on the contact sheet, e.g. 3,17,20-25.")
        if match is not None:
            numbers.extend(range(int(match[1]), int(match[2] or match[1]) + 1))
    return numbers


def _one_of(flag: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{flag} is '{clean(value, 60)}'; it can be {', '.join(allowed)}.")
