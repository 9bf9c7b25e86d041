"""From a file to the picture of the training set: turned, trimmed, cropped, resized, written."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from gancli.curate.facts import trimmed
from gancli.curate.sheet import draw_tile
from gancli.errors import DiskError
from gancli.images import ImageError, encode_png, fit_image, read_image, to_array

__all__ = ["RenderItem", "RenderSetup", "near_px", "render"]

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class RenderSetup:
    """What all pictures of a set share: size (width, height), channels 1, 3 or 4, where they go, and the side of their
    tiles on the contact sheet."""

    size: tuple[int, int]
    fit: str
    background: str
    trim: bool
    channels: int
    exact: bool
    folder: str
    tile_px: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderItem:
    """One picture: `crop` is (left, top, right, bottom), each 0..1 of the upright picture, or None; `number` the one on
    the contact sheet, None where it is not shown; a `ready` one lies there already and only has to be shown."""

    path: str
    file: str
    number: int | None = None
    flagged: bool = False
    ready: bool = False
    mirrored: bool = False
    crop: tuple[float, float, float, float] | None = None


def near_px(size: tuple[int, int], share: float = 1.0) -> int:
    """The shorter side that a JPEG is decoded to for `size`: twice what is needed, for the filter's sake."""
    return math.ceil(2 * max(size) / max(share, 0.01))


def render(setup: RenderSetup, item: RenderItem) -> bytes:
    """Writes one picture and returns its tile for the contact sheet. Raises `ImageError` or `DiskError`."""
    target = Path(setup.folder) / item.file
    pixels = _written(target, setup.channels) if item.ready else None
    if pixels is None:
        pixels = _rendered(setup, item)
        _write(target, pixels)
    return b"" if item.number is None else draw_tile(pixels, item.number, item.flagged, setup.tile_px)


def _write(target: Path, pixels: Pixels) -> None:
    """Straight to its place: a run that ends half-way has noted what it was about to write, and the next writes it."""
    try:
        target.unlink(missing_ok=True)
        target.write_bytes(encode_png(pixels))
    except OSError as error:
        raise DiskError.from_os(error, target) from error


def _written(target: Path, channels: int) -> Pixels | None:
    """The pixels of a picture of the set; None when it is broken and has to be written again."""
    try:
        return to_array(read_image(target), channels)
    except ImageError:
        return None


def _rendered(setup: RenderSetup, item: RenderItem) -> Pixels:
    share = 1.0 if item.crop is None else min(item.crop[2] - item.crop[0], item.crop[3] - item.crop[1])
    image = read_image(Path(item.path), near_px=None if setup.exact else near_px(setup.size, share))
    if item.crop is not None:
        image = _cut(image, item.crop)
    elif setup.trim:
        image = trimmed(image)
    image = fit_image(image, setup.size, fit=setup.fit, background=setup.background)
    pixels = to_array(image, setup.channels, setup.background)
    return np.ascontiguousarray(pixels[:, ::-1]) if item.mirrored else pixels


def _cut(image: Image.Image, crop: tuple[float, float, float, float]) -> Image.Image:
    left, top = int(crop[0] * image.width), int(crop[1] * image.height)
    right = max(left + 1, round(crop[2] * image.width))
    bottom = max(top + 1, round(crop[3] * image.height))
    return image.crop((left, top, right, bottom))
