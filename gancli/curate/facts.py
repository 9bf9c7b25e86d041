"""What a worker finds out about one file, in one reading: everything `curate` decides by, in about two kilobytes."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from gancli.curate.hashes import grey_square, hash_pair
from gancli.curate.quality import (
    SCALE_PX,
    constant_borders,
    deviation,
    flags_of,
    jpeg_quality,
    quality_scores,
    sharpness,
)
from gancli.images import Picture, has_alpha, is_grey, read_bytes, read_picture, to_array

__all__ = ["COLOUR_PX", "Facts", "InspectSetup", "inspect", "trimmed"]

COLOUR_PX = 8
Pixels = npt.NDArray[np.uint8]
_SHARPNESS_PX = 128  # whatever scale a JPEG was decoded at, sharpness is compared at this shorter side


@dataclass(frozen=True, kw_only=True)
class InspectSetup:
    """How to look: `near_px`, the shorter side to decode large JPEGs to; `exact`: pixels are compared as a whole."""

    near_px: int | None
    background: str
    trim: bool
    exact: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """One picture: `look` is its grey 32x32, `colours` its 8x8 YCbCr, `merit` says how good a copy it is."""

    sha256: str
    num_bytes: int
    width: int
    height: int
    format: str
    phash: int
    phash_mirrored: int
    flat: bool
    grey: bool
    alpha: bool
    look: bytes | memoryview
    colours: bytes
    pixels: str
    pixels_mirrored: str
    flags: tuple[str, ...]
    merit: float


def inspect(setup: InspectSetup, path: str) -> Facts:
    """Reads the picture at `path` and measures it. Raises `ImageError`."""
    data = read_bytes(path)
    picture = read_picture(data, near_px=None if setup.exact else setup.near_px)
    image = trimmed(picture.image) if setup.trim else picture.image
    plain = _over(image, setup.background)
    decoded = plain.convert("L")
    work = _at_most(plain.convert("RGB"), SCALE_PX)
    grey = decoded if work.size == plain.size else work.convert("L")
    square, pixels = grey_square(decoded), np.asarray(work)
    scores = quality_scores(work, pixels, grey, decoded)
    quality = jpeg_quality(picture.tables) if picture.format == "jpeg" else None
    if quality is not None:
        scores["low-quality"] = quality
    colourless = is_grey(plain)
    phash, mirrored = hash_pair(square)
    whole = to_array(plain, 1 if plain.mode == "L" else 3) if setup.exact else None
    return Facts(
        sha256=hashlib.sha256(data).hexdigest(),
        num_bytes=len(data),
        width=picture.width,
        height=picture.height,
        format=picture.format,
        phash=phash,
        phash_mirrored=mirrored,
        flat=_is_flat(square, grey),
        grey=colourless,
        alpha=has_alpha(picture.image),
        look=square.tobytes(),
        colours=np.asarray(work.convert("YCbCr").resize((COLOUR_PX, COLOUR_PX), Image.Resampling.BOX)).tobytes(),
        pixels="" if whole is None else _digest(whole),
        pixels_mirrored="" if whole is None else _digest(whole[:, ::-1]),
        flags=tuple(flags_of(scores) + (["greyscale"] if colourless else [])),
        merit=_merit(picture, _at_one_scale(work, grey), pixels, scores["bars"], quality),
    )


def trimmed(image: Image.Image) -> Image.Image:
    """`image` without its constant borders."""
    left, top, right, bottom = constant_borders(np.asarray(_at_most(_over(image, "white").convert("RGB"), SCALE_PX)))
    width, height = image.size
    box = (
        math.ceil(left * width),
        math.ceil(top * height),
        width - math.ceil(right * width),
        height - math.ceil(bottom * height),
    )
    return image.crop(box) if box != (0, 0, width, height) else image


def _over(image: Image.Image, background: str) -> Image.Image:
    if image.mode != "RGBA":
        return image
    return Image.fromarray(to_array(image, 3, background))


def _at_most(image: Image.Image, side: int) -> Image.Image:
    scale = side / max(image.size)
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BOX)


def _is_flat(square: Pixels, grey: Image.Image) -> bool:
    return deviation(square) < 4 or grey.entropy() < 1


def _at_one_scale(work: Image.Image, grey: Image.Image) -> Pixels:
    """In grey, at the shorter side at which sharpness is compared."""
    scale = _SHARPNESS_PX / min(work.size)
    return np.asarray(grey if scale >= 1 else _at_most(work, math.ceil(max(work.size) * scale)).convert("L"))


def _digest(pixels: Any) -> str:
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return digest.hexdigest()[:32]


def _merit(picture: Picture, grey: Pixels, pixels: Pixels, bars: float, quality: float | None) -> float:
    """How good a copy: resolution above all, then sharpness, fine JPEG tables, unclipped light and no added bars.

    One number, so that the order of any pictures is consistent; a doubled side is worth 4, a JPEG at quality 30
    costs 0.7, half the sharpness 0.5, a tenth of the pixels clipped 0.4, a bar of a tenth of the height 0.4.
    """
    clipped = sum(np.count_nonzero(end[..., 0] & end[..., 1] & end[..., 2]) for end in (pixels >= 254, pixels <= 1))
    return (
        4 * math.log2(min(picture.width, picture.height))
        + 0.5 * math.log2(sharpness(grey) + 0.01)
        - (100 - quality if quality is not None else 0) / 100
        - 4 * 3 * clipped / pixels.size
        - 4 * bars
    )
