"""Any mode that Pillow has, as 8 bits of grey, sRGB or RGBA, and as an array."""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageCms, ImageColor

__all__ = ["Pixels", "has_alpha", "is_grey", "to_array", "to_plain", "to_srgb"]

Pixels = npt.NDArray[np.uint8]


def to_plain(image: Image.Image) -> Image.Image:
    """Any mode Pillow has, as L, RGB, RGBA, CMYK or LAB; values of more than 8 bits scaled, never clipped."""
    mode = image.mode
    if mode in ("L", "RGB", "CMYK", "LAB") and "transparency" not in image.info:
        return image.copy()
    if mode in ("RGBA", "LA", "La", "RGBa", "PA") or "transparency" in image.info:
        if mode in ("La", "PA"):
            image = image.convert("LA" if mode == "La" else "RGBA")
        return image.convert("RGBA")
    if mode == "1":
        return image.convert("L")
    if mode.startswith("I") or mode == "F":
        return Image.fromarray(_scale_deep(np.asarray(image)))
    return image.convert("RGB")


def _scale_deep(values: npt.NDArray[Any]) -> Pixels:
    """16-bit, 32-bit and float greys to 0..255: by their type's range where it is plain, else by their own range."""
    grey = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(grey.min()), float(grey.max())
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        low, high = 0.0, 65535.0
    elif low >= 0:
        ceilings = (1.0, 255.0) if values.dtype.kind == "f" else (255.0, 65535.0)
        low, high = 0.0, next((c for c in ceilings if high <= c), high)
    return np.round((grey - low) * (255.0 / max(high - low, 1e-12))).clip(0, 255).astype(np.uint8)


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """`image` in sRGB as L, RGB or RGBA; with an ICC `profile` that cannot be used, its numbers are taken as sRGB."""
    if image.mode == "LAB":
        transform = _lab_transform()
        return ImageCms.applyTransform(image, transform) or image.convert("RGB")
    transform_to = _srgb_transform(profile, image.mode) if profile else None
    if transform_to is None:
        return image if image.mode in ("L", "RGB", "RGBA") else image.convert("RGB")
    color = image.convert("RGB") if image.mode == "RGBA" else image
    converted = ImageCms.applyTransform(color, transform_to)
    if converted is None:
        return image if image.mode in ("L", "RGB", "RGBA") else image.convert("RGB")
    if image.mode == "L":
        return converted.convert("L")
    if image.mode == "RGBA":
        converted.putalpha(image.getchannel("A"))
    return converted


@functools.lru_cache(maxsize=32)
def _srgb_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The way from an embedded profile to sRGB; None when it is sRGB already, broken, or meant for other channels."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if space != {"L": "GRAY", "RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK"}[mode]:
            return None
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return None
        inner = "RGB" if mode == "RGBA" else mode
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), inner, "RGB")
    except Exception:  # noqa: BLE001 - a profile we cannot follow is ignored, as every viewer does
        return None


@functools.lru_cache(maxsize=1)
def _lab_transform() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")


def has_alpha(image: Image.Image) -> bool:
    """Does anything show through?"""
    if image.mode != "RGBA":
        return False
    lowest = image.getchannel("A").getextrema()[0]
    return isinstance(lowest, int | float) and lowest < 255


def is_grey(image: Image.Image) -> bool:
    """Is the picture without colour: channels less than 4 of 255 apart in all but 0.1 % of a 128-pixel thumbnail?"""
    if image.mode == "L":
        return True
    small = image if image.mode == "RGB" else image.convert("RGB")
    if max(image.size) > 128:
        small = small.resize((min(128, image.width), min(128, image.height)), Image.Resampling.BOX)
    red, green, blue = small.split()
    lightest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    darkest = ImageChops.darker(ImageChops.darker(red, green), blue)
    counts = ImageChops.subtract(lightest, darkest).histogram()
    return sum(counts[4:]) / sum(counts) <= 0.001


def to_array(image: Image.Image, channels: int, background: str = "white") -> Pixels:
    """`image` as contiguous uint8 `[H, W, channels]`; 1 and 3 channels lay transparency over `background`."""
    if channels == 4:
        return np.ascontiguousarray(np.asarray(image.convert("RGBA")))
    if image.mode == "RGBA":
        color = "white" if background == "keep" else background
        canvas = Image.new("RGBA", image.size, ImageColor.getrgb(color))
        image = Image.alpha_composite(canvas, image)
    mode = "L" if channels == 1 else "RGB"
    pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    return np.ascontiguousarray(pixels[:, :, None] if channels == 1 else pixels)
