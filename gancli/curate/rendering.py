"""From a file to the picture of the training set: turned, trimmed, cropped, resized, written."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from gancli.curate.facts import trimmed
from gancli.images import fit_image, read_image, to_array, write_png

__all__ = ["RenderItem", "RenderSetup", "near_px", "render"]


@dataclass(frozen=True, kw_only=True)
class RenderSetup:
    """What all pictures of a set share: size (width, height), channels 1, 3 or 4, and where they go."""

    size: tuple[int, int]
    fit: str
    background: str
    trim: bool
    channels: int
    exact: bool
    folder: str


@dataclass(frozen=True, kw_only=True)
class RenderItem:
    """One picture to write: `crop` is (left, top, right, bottom), each 0..1 of the upright picture, or None."""

    path: str
    file: str
    mirrored: bool = False
    crop: tuple[float, float, float, float] | None = None


def near_px(size: tuple[int, int], share: float = 1.0) -> int:
    """The shorter side that a JPEG is decoded to for `size`: twice what is needed, for the filter's sake."""
    return math.ceil(2 * max(size) / max(share, 0.01))


def render(setup: RenderSetup, item: RenderItem) -> int:
    """Writes one picture and returns its size in bytes. Raises `ImageError` or `DiskError`."""
    share = 1.0 if item.crop is None else min(item.crop[2] - item.crop[0], item.crop[3] - item.crop[1])
    image = read_image(Path(item.path), near_px=None if setup.exact else near_px(setup.size, share))
    if item.crop is not None:
        image = _cut(image, item.crop)
    elif setup.trim:
        image = trimmed(image)
    image = fit_image(image, setup.size, fit=setup.fit, background=setup.background)
    pixels = to_array(image, setup.channels, setup.background)
    if item.mirrored:
        pixels = pixels[:, ::-1]
    target = Path(setup.folder) / item.file
    write_png(target, pixels, sync=False)
    return target.stat().st_size


def _cut(image: Image.Image, crop: tuple[float, float, float, float]) -> Image.Image:
    left, top = int(crop[0] * image.width), int(crop[1] * image.height)
    right = max(left + 1, round(crop[2] * image.width))
    bottom = max(top + 1, round(crop[3] * image.height))
    return image.crop((left, top, right, bottom))
