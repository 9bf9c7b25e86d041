"""A picture brought to a size: cropped, cropped where most is to be seen, padded or stretched."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image, ImageColor

__all__ = ["Fit", "fit_image"]

Fit = Literal["crop", "pad", "stretch", "smart"]


def fit_image(
    image: Image.Image, size: tuple[int, int], *, fit: str = "crop", background: str = "white"
) -> Image.Image:
    """`image` at exactly `size` (width, height), by Lanczos.

    crop: the largest centred part of that shape; smart: the same, moved along the longer side to where most is to be
    seen; pad: the whole picture on `background` (white | black | #rrggbb | keep: transparent); stretch: squeezed.
    """
    if fit == "pad":
        return _pad(image, size, background)
    box: tuple[float, float, float, float] = (0, 0, image.width, image.height)
    if fit == "crop":
        box = _crop_box(image.size, size, 0.5, 0.5)
    elif fit == "smart":
        box = _crop_box(image.size, size, *_interest(image, size))
    elif fit != "stretch":
        raise ValueError(f"fit is '{fit}'; it can be crop, pad, stretch or smart")
    if image.size == size:
        return image
    return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)


def _crop_box(
    source: tuple[int, int], size: tuple[int, int], at_x: float, at_y: float
) -> tuple[float, float, float, float]:
    """The largest box of the shape of `size` inside `source`; `at_x`, `at_y` in 0..1 say where its slack lies."""
    scale = min(source[0] / size[0], source[1] / size[1])
    width, height = size[0] * scale, size[1] * scale
    # 38 · (21 / 38) is a hair more than 21: no box may begin before the picture does.
    left, top = max(0.0, (source[0] - width) * at_x), max(0.0, (source[1] - height) * at_y)
    return left, top, min(left + width, source[0]), min(top + height, source[1])


def _pad(image: Image.Image, size: tuple[int, int], background: str) -> Image.Image:
    scale = min(size[0] / image.width, size[1] / image.height)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    inside = image.resize(inner, Image.Resampling.LANCZOS, reducing_gap=3.0)
    corner = ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2)
    if background == "keep":
        canvas = Image.new("RGBA", size, (0, 0, 0, 0))
        canvas.paste(inside.convert("RGBA"), corner)
        return canvas
    red, green, blue = ImageColor.getrgb(background)[:3]
    if inside.mode == "L" and red == green == blue:
        grey = Image.new("L", size, red)
        grey.paste(inside, corner)
        return grey
    canvas = Image.new("RGB", size, (red, green, blue))
    canvas.paste(inside.convert("RGB"), corner, inside.getchannel("A") if inside.mode == "RGBA" else None)
    return canvas


def _interest(image: Image.Image, size: tuple[int, int]) -> tuple[float, float]:
    """Where along the longer side most is to be seen: gradient energy in the window, the centre a little preferred."""
    scale = 128 / max(image.size)
    small = image.convert("L").resize(
        (max(8, round(image.width * scale)), max(8, round(image.height * scale))), Image.Resampling.BOX
    )
    grey = np.asarray(small, dtype=np.float64)
    energy = np.hypot(np.diff(grey, axis=0, append=grey[-1:]), np.diff(grey, axis=1, append=grey[:, -1:]))
    wide = image.width / size[0] > image.height / size[1]
    profile = energy.sum(axis=0 if wide else 1)
    box = _crop_box(image.size, size, 0, 0)
    share = (box[2] / image.width) if wide else (box[3] / image.height)
    window = max(1, round(share * len(profile)))
    slack = len(profile) - window
    if slack < 1:
        return 0.5, 0.5
    sums = np.convolve(profile, np.ones(window), "valid")
    offsets = np.arange(slack + 1) / slack
    score = sums / max(float(sums.max()), 1e-9) - 0.1 * np.abs(offsets - 0.5) * 2
    best = float(offsets[int(np.argmax(np.round(score, 6)))])
    if float(score.max() - score[slack // 2]) < 1e-6:
        best = 0.5
    return (best, 0.5) if wide else (0.5, best)
