"""A picture's quality: scores by formula, flags by threshold. Flags never remove anything by themselves.

The formulas are cleanvision's where it has one, taken on the picture at most 256 px long (`SCALE_PX`):

    dark             99th percentile of sqrt(.241 R² + .691 G² + .068 B²) / 255                 flagged below 0.32
    light            1 - its 5th percentile                                                     below 0.05
    blurry           at most 64 px long: 1 - exp(-.01 s) of the edges' deviation s, plus the same of the deviation of
                     the grey histogram's counts where that exceeds .18                         below 0.29
    low-information  0.1 x entropy of the histogram in bits                                     below 0.3
    odd-aspect       the shorter side over the longer                                           below 0.35
    odd-size         sqrt(width x height) outside Q1 - 3 IQR … Q3 + 3 IQR of the set
    greyscale        channels less than 4 of 255 apart (whatever the mode says)
    small            the shorter side below the shorter side asked for
    upscaled         share of the spectrum's energy (grey, windowed, without the lowest 1/32) above .56 of Nyquist on
                     either axis, decoded at no less than twice the size asked for           below 0.008
    low-quality      JPEG quality from its quantisation tables                                  below 40
    few-colours      share of pixels in the 16 most frequent colours of 6 bits a channel         above 0.95
    bars             rows or columns of one colour along an edge, share of the side             above 0.02
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

__all__ = [
    "SCALE_PX",
    "constant_borders",
    "deviation",
    "flags_of",
    "jpeg_quality",
    "odd_sizes",
    "quality_scores",
    "sharpness",
]

SCALE_PX = 256
_LIMITS = {
    "dark": 0.32,
    "light": 0.05,
    "blurry": 0.29,
    "low-information": 0.3,
    "odd-aspect": 0.35,
    "upscaled": 0.008,
    "low-quality": 40.0,
}
_OVER = {"few-colours": 0.95, "bars": 0.02}
_Pixels = npt.NDArray[np.uint8]
_Floats = npt.NDArray[np.float32]


def quality_scores(work: Image.Image, pixels: _Pixels, grey: Image.Image, decoded: Image.Image) -> dict[str, float]:
    """The scores of one picture: `work`, its `pixels`, and it in `grey`, at most 256 px long; `decoded`: as read, grey.

    A score that part of the picture keeps from its limit is not worked out further: it lies on its side of the limit.
    """
    low, high = _brightness(pixels)
    width, height = decoded.size
    return {
        "dark": high,
        "light": 1 - low,
        "blurry": _blur_score(work, grey),
        "low-information": min(1.0, 0.1 * work.entropy()),
        "odd-aspect": min(width / height, height / width),
        "upscaled": _fine_energy(decoded),
        "few-colours": _few_colours(pixels),
        "bars": max(constant_borders(pixels)),
    }


def flags_of(scores: dict[str, float]) -> list[str]:
    """The flags that follow from a picture's own scores, in the order of the scores."""
    flags = [name for name, limit in _LIMITS.items() if name in scores and scores[name] < limit]
    return flags + [name for name, limit in _OVER.items() if scores.get(name, 0.0) > limit]


def odd_sizes(sizes: list[tuple[int, int]]) -> list[bool]:
    """Which of the (width, height) lie far outside the others: sqrt of the area beyond three interquartile ranges."""
    if len(sizes) < 4:
        return [False] * len(sizes)
    roots = np.sqrt([width * height for width, height in sizes])
    low, high = np.percentile(roots, (25, 75))
    reach = 3 * (high - low)
    if reach <= 0:
        return [False] * len(sizes)
    return [bool(root < low - reach or root > high + reach) for root in roots]


def _brightness(pixels: _Pixels) -> tuple[float, float]:
    """The 5th and 99th percentile of the perceived brightness, 0..1; (0, 1) where a quarter of the pixels shows that
    neither can reach its limit."""
    count = pixels.size // 3
    low, high = 0.05 * (count - 1), 0.99 * (count - 1)
    some = _squares(pixels[::2, ::2])
    if np.count_nonzero(some > _BRIGHT) >= count - int(high) and np.count_nonzero(some < _LIGHT) >= int(low) + 2:
        return 0.0, 1.0
    squares = _squares(pixels)
    near = [(int(at), min(int(at) + 1, count - 1)) for at in (low, high)]
    squares.partition(sorted({place for pair in near for place in pair}))
    ends = [np.sqrt(squares[list(pair)]) / 255 for pair in near]
    (a, b), (c, d) = ends
    return float(a + (b - a) * (low - int(low))), float(c + (d - c) * (high - int(high)))


def _squares(pixels: _Pixels) -> npt.NDArray[np.float32]:
    """The perceived brightness, 0..255, squared: the root keeps the order, so it is taken of few."""
    flat = pixels.astype(np.float32).reshape(-1, 3)
    return np.asarray((flat * flat) @ _WEIGHTS)


_WEIGHTS = np.array([0.241, 0.691, 0.068], np.float32)
_BRIGHT = (255 * _LIMITS["dark"]) ** 2 * (1 + 1e-5)
_LIGHT = (255 * (1 - _LIMITS["light"])) ** 2 * (1 - 1e-5)


def _blur_score(work: Image.Image, grey: Image.Image) -> float:
    """The score, or the part of it that keeps the picture from being blurry by itself."""
    scale = max(work.size) / 64
    if scale > 1:
        grey = grey.resize((max(1, int(work.width // scale)), max(1, int(work.height // scale))))
    spread = 1 - math.exp(-0.01 * deviation(np.array(grey.histogram())))
    if spread > _LIMITS["blurry"]:
        return spread
    edges = deviation(np.asarray(grey.filter(ImageFilter.FIND_EDGES)))
    return min(1.0, 1 - math.exp(-0.01 * edges) + (spread if spread > 0.18 else 0.0))


def deviation(values: npt.NDArray[Any]) -> float:
    """The standard deviation of whole numbers, from sums that are exact in any order."""
    flat = values.reshape(-1).astype(np.float64)
    mean = float(flat.sum()) / len(flat)
    return math.sqrt(max(0.0, float(flat @ flat) / len(flat) - mean * mean))


def _fine_energy(decoded: Image.Image) -> float:
    """The share of the spectrum above .56 of Nyquist in the middle 256 px; 1 where it is too small or flat to say."""
    side = min(256, *decoded.size)
    if side < 32:
        return 1.0
    left, top = (decoded.width - side) // 2, (decoded.height - side) // 2
    grey = np.asarray(decoded.crop((left, top, left + side, top + side)))
    if deviation(grey) < 4:
        return 1.0
    window, counted, fine = _spectrum(side)
    spectrum = np.fft.rfft2((grey - grey.mean(dtype=np.float32)) * window)
    power = (spectrum.real**2 + spectrum.imag**2).reshape(-1)
    total = float(power @ counted)
    return float(power @ fine) / total if total > 0 else 1.0


@functools.lru_cache(maxsize=8)
def _spectrum(side: int) -> tuple[_Floats, _Floats, _Floats]:
    """The window laid over a square of `side` pixels; which frequencies of its spectrum count, and which are fine."""
    window = np.hanning(side).astype(np.float32)
    radius = np.maximum(np.abs(np.fft.fftfreq(side))[:, None], np.fft.rfftfreq(side)[None, :]).reshape(-1)
    return window[:, None] * window[None, :], (radius > 1 / 64).astype(np.float32), (radius > 0.28).astype(np.float32)


def _few_colours(pixels: _Pixels) -> float:
    """The share, or that of a quarter of the pixels where too many others are among these."""
    some = pixels[::2, ::2]
    count, num_some, num_frequent = pixels.size // 3, some.size // 3, _most_frequent(some)
    if num_some - num_frequent > (1 - _OVER["few-colours"]) * count + 1:
        return num_frequent / num_some
    return _most_frequent(pixels) / count


def _most_frequent(pixels: _Pixels) -> int:
    """How many pixels have one of the 16 most frequent colours."""
    red, green, blue = ((pixels[..., channel] >> 2).astype(np.int32) for channel in range(3))
    bins = np.sort((red << 12 | green << 6 | blue).reshape(-1))
    starts = np.concatenate(([0], np.flatnonzero(bins[1:] != bins[:-1]) + 1, [len(bins)]))
    return int(np.sort(starts[1:] - starts[:-1])[-16:].sum())


def constant_borders(pixels: _Pixels, tolerance: float = 4.0) -> tuple[float, float, float, float]:
    """How much of each side (left, top, right, bottom; 0..1) of RGB pixels is a border of one colour; 0 when flat.

    A row belongs to the border while its pixels stay within `tolerance` of the colour of the outermost row; the border
    has to end abruptly.
    """
    shares = [
        _border(side, tolerance)
        for side in (pixels.transpose(1, 0, 2), pixels, pixels[:, ::-1].transpose(1, 0, 2), pixels[::-1])
    ]
    if shares[0] + shares[2] >= 0.9 or shares[1] + shares[3] >= 0.9:
        return 0.0, 0.0, 0.0, 0.0
    return shares[0], shares[1], shares[2], shares[3]


def _border(rows: _Pixels, tolerance: float) -> float:
    if _is_uneven(rows[0], tolerance):
        return 0.0
    outermost = rows[0].astype(np.float32)
    ordered = np.sort(np.ascontiguousarray(rows[0].T)).astype(np.float32)
    colour = (ordered[:, (len(rows[0]) - 1) // 2] + ordered[:, len(rows[0]) // 2]) / 2
    if float(np.abs(outermost - colour).mean()) > tolerance:
        return 0.0
    same = np.abs(rows - colour).max(axis=2)
    constant = (same.mean(axis=1) <= tolerance) & (same.max(axis=1) <= 8 * tolerance)
    depth = len(rows) if constant.all() else int(np.argmin(constant))
    if depth < len(rows) and float(np.abs(rows[depth] - colour).mean()) < 2.5 * tolerance:
        return 0.0  # an even sky fades into the picture, a bar ends
    return depth / len(rows)


def _is_uneven(row: _Pixels, tolerance: float) -> bool:
    """Do its halves lie so far apart that no colour is within `tolerance` of the whole on average?"""
    half = len(row) // 2
    first, second = row[:half], row[half : 2 * half]
    apart = np.maximum(first, second) - np.minimum(first, second)
    return float(apart.sum(dtype=np.int64)) > tolerance * row.size * (1 + 1e-5)


def sharpness(grey: _Pixels) -> float:
    """The deviation of a grey picture's Laplacian over its own: 0 flat, about 1 crisp, at any contrast."""
    rows, columns = grey.shape[0] // 9, grey.shape[1] // 9
    inner = grey[rows : grey.shape[0] - rows, columns : grey.shape[1] - columns]  # the edge of a bar is no sharpness
    if min(inner.shape) < 3:
        return 0.0
    inner = inner.astype(np.int16)
    around = inner[:-2, 1:-1] + inner[2:, 1:-1] + inner[1:-1, :-2] + inner[1:-1, 2:]
    return deviation(4 * inner[1:-1, 1:-1] - around) / max(deviation(inner), 1.0)


def jpeg_quality(tables: Any) -> float | None:
    """The quality (1 to 100) at which libjpeg would have used these quantisation tables; None when there are none."""
    try:
        first = np.asarray(list(tables[min(tables)]), dtype=np.float64)
    except (TypeError, ValueError, KeyError):
        return None
    if first.size != 64:
        return None
    scale = float(first.sum()) / _LUMINANCE_SUM * 100
    return 100 - scale / 2 if scale <= 100 else max(1.0, 5000 / scale)


_LUMINANCE_SUM = 3688.0  # the sum of the luminance table that libjpeg scales (JPEG standard, annex K)
