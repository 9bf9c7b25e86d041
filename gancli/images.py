"""The one place where Pillow opens a file: any image people have, upright, sRGB and 8 bits, or a short reason why not.

Nothing from outside is trusted: the format is told by content, only a few decoders are tried, pixels and bytes are
bounded before anything is decoded, and whatever a decoder raises becomes an `ImageError`.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageColor

from gancli.errors import DataError
from gancli.files import atomic_file

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "Fit",
    "ImageError",
    "Picture",
    "fit_image",
    "has_alpha",
    "has_color",
    "is_grey",
    "list_images",
    "measure_image",
    "read_image",
    "read_picture",
    "sniff",
    "to_array",
    "write_png",
]

IMAGE_SUFFIXES: frozenset[str] = frozenset(
    {
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".webp",
        ".gif",
        ".bmp",
        ".tif",
        ".tiff",
        ".avif",
        ".ppm",
        ".pgm",
        ".pnm",
    }
)
MAX_PIXELS = 89_478_485  # where Pillow begins to warn of a bomb: 256 MB of RGB
MAX_BYTES = 512_000_000

Fit = Literal["crop", "pad", "stretch", "smart"]
Pixels = npt.NDArray[np.uint8]
_T = TypeVar("_T")

_DECODERS = {
    "jpeg": ("JPEG", "MPO"),
    "png": ("PNG",),
    "gif": ("GIF",),
    "webp": ("WEBP",),
    "bmp": ("BMP",),
    "tiff": ("TIFF",),
    "avif": ("AVIF",),
    "ppm": ("PPM",),
}
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageError(DataError):
    """A file that is no image we can use. `reason` says why in a few words ('truncated', 'not an image' …)."""

    def __init__(self, reason: str, name: str = "") -> None:
        super().__init__(f"Cannot read the image '{name}': {reason}." if name else f"Cannot read the image: {reason}.")
        self.reason = reason


@dataclass(frozen=True)
class Picture:
    """A picture and what its file said: its upright size in pixels before any draft decoding, its format by content,
    and a JPEG's quantisation tables."""

    image: Image.Image
    width: int
    height: int
    format: str
    tables: dict[int, list[int]] | None


def sniff(data: bytes) -> str | None:
    """The image format that `data` (at least its first 64 bytes) begins with, or None: 'jpeg', 'png', 'heic' …"""
    head = bytes(data[:64])
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "bmp"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if head[4:8] == b"ftyp":
        return _sniff_ftyp(head)
    if re.match(rb"P[1-6][\s#]", head):
        return "ppm"
    return None


def _sniff_ftyp(head: bytes) -> str | None:
    brands = {head[i : i + 4] for i in (8, *range(16, min(len(head), int.from_bytes(head[:4], "big")), 4))}
    if brands & {b"avif", b"avis"}:
        return "avif"
    return "heic" if brands & {b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"} else None


def read_image(source: Path | bytes, *, near_px: int | None = None) -> Image.Image:
    """The picture in a file (or its bytes) as a person sees it: upright, sRGB, 8 bits, the first frame.

    The mode is exactly L, RGB or RGBA (RGBA only where something shows through). With `near_px`, a JPEG is decoded at
    1/2, 1/4 or 1/8 of its size as long as the shorter side stays at least `near_px`. Raises `ImageError`.
    """
    return read_picture(source, near_px=near_px).image


def read_picture(source: Path | bytes, *, near_px: int | None = None) -> Picture:
    """`read_image`, and with it what the file said of itself."""
    name = "" if isinstance(source, bytes) else str(source)
    data = source if isinstance(source, bytes) else _read_bytes(source)
    kind = sniff(data)
    if kind not in _DECODERS:
        raise ImageError(_what_instead(data, kind), name)
    return _guarded(lambda: _decode(data, kind, near_px), data, name)


def measure_image(
    source: Path | bytes, *, max_pixels: int = MAX_PIXELS, max_memory: int | None = None
) -> tuple[int, int]:
    """Width and height in pixels as stored, after a look at every byte: a picture cut short or broken raises.

    JPEGs are decoded at 1/8 of their size, which reads all of the file at a fraction of the memory. A picture whose
    pixels need more than `max_memory` bytes is not decoded: `MemoryError`. Safe for many threads. Raises `ImageError`.
    """
    name = "" if isinstance(source, bytes) else str(source)
    data = source if isinstance(source, bytes) else _read_bytes(source)
    kind = sniff(data)
    if kind not in _DECODERS:
        raise ImageError(_what_instead(data, kind), name)
    size = _guarded(lambda: _measure(data, kind, max_pixels, max_memory), data, name)
    if size is None:
        raise MemoryError
    return size


def _measure(data: bytes, kind: str, max_pixels: int, max_memory: int | None) -> tuple[int, int] | None:
    with Image.open(io.BytesIO(data), formats=_DECODERS[kind]) as opened:
        width, height = opened.size
        if width * height > max_pixels:
            raise ImageError("too large")
        if width < 1 or height < 1:
            raise ImageError("empty picture")
        if kind == "jpeg":
            opened.draft(None, (1, 1))
        # a progressive JPEG keeps its coefficients, two bytes each, whatever the size it is decoded at
        held = width * height * (3 if kind == "jpeg" and opened.info.get("progressive") else 0)
        if max_memory is not None and held + opened.size[0] * opened.size[1] * 4 > max_memory:
            return None
        opened.load()
    return width, height


def _guarded(decode: Callable[[], _T], data: bytes, name: str) -> _T:
    """What `decode` gives; whatever Pillow raises or warns of becomes an `ImageError`."""
    try:
        with _quiet_pillow():
            return decode()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError("too large", name) from error
    except ImageError as error:
        raise ImageError(error.reason, name) from error
    except Exception as error:
        raise ImageError(_why_broken(error, data), name) from error


_quiet_lock = threading.Lock()
_quiet_depth = 0
_quiet_before = contextlib.ExitStack()


@contextlib.contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Pillow's warnings silenced, bombs made errors. The filters are the process's, so threads share one change."""
    global _quiet_depth
    with _quiet_lock:
        if _quiet_depth == 0:
            _quiet_before.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
        _quiet_depth += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_depth -= 1
            if _quiet_depth == 0:
                _quiet_before.close()


def _read_bytes(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise ImageError("not a file" if path.exists() else "not found", str(path))
        if path.stat().st_size > MAX_BYTES:
            raise ImageError("too large", str(path))
        return path.read_bytes()
    except OSError as error:
        raise ImageError((error.strerror or "cannot be read").lower(), str(path)) from error


def _what_instead(data: bytes, kind: str | None) -> str:
    if not data:
        return "empty file"
    if kind is not None:
        return f"{kind}, which cannot be read here"
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if start.startswith(b"<svg") or b"<svg" in start:
        return "a drawing (svg)"
    return "not an image"


def _why_broken(error: Exception, data: bytes) -> str:
    words = str(error).lower()
    if "truncated" in words or "not enough" in words or isinstance(error, EOFError) or len(data) < 64:
        return "truncated"
    if "too large" in words or "too much memory" in words or isinstance(error, MemoryError):
        return "too large"
    return "broken"


def _decode(data: bytes, kind: str, near_px: int | None) -> Picture:
    with Image.open(io.BytesIO(data), formats=_DECODERS[kind]) as opened:
        width, height = opened.size
        if width * height > MAX_PIXELS:
            raise ImageError("too large")
        if width < 1 or height < 1:
            raise ImageError("empty picture")
        if near_px is not None and kind == "jpeg":
            opened.draft(None, (near_px, near_px))
        opened.load()
        orientation = _orientation(opened)
        tables = getattr(opened, "quantization", None) if kind == "jpeg" else None
        profile = opened.info.get("icc_profile")
        image = _to_srgb(_to_plain(opened), profile if isinstance(profile, bytes) else None)
    if orientation in _TRANSPOSE:
        image = image.transpose(_TRANSPOSE[orientation])
    if image.mode == "RGBA" and not has_alpha(image):
        image = image.convert("RGB")
    image.info.clear()
    if orientation >= 5:
        width, height = height, width
    return Picture(image=image, width=width, height=height, format=kind, tables=tables)


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(0x0112)
    except Exception:  # noqa: BLE001 - a broken EXIF block says nothing about the pixels
        return 1
    return value if isinstance(value, int) else 1


def _to_plain(image: Image.Image) -> Image.Image:
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


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
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
    small = image.convert("RGB").resize((min(128, image.width), min(128, image.height)), Image.Resampling.BOX)
    pixels = np.asarray(small).astype(np.int16)
    spread = pixels.max(axis=2) - pixels.min(axis=2)
    return float((spread >= 4).mean()) <= 0.001


def has_color(image: Image.Image) -> bool:
    """The opposite of `is_grey`."""
    return not is_grey(image)


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


def to_array(image: Image.Image, channels: int, background: str = "white") -> Pixels:
    """`image` as contiguous uint8 `[H, W, channels]`; 1 and 3 channels lay transparency over `background`."""
    if channels == 4:
        return np.ascontiguousarray(np.asarray(image.convert("RGBA")))
    if image.mode == "RGBA":
        color = "white" if background == "keep" else background
        canvas = Image.new("RGBA", image.size, ImageColor.getrgb(color))
        image = Image.alpha_composite(canvas, image)
    pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return np.ascontiguousarray(pixels[:, :, None] if channels == 1 else pixels)


def list_images(folder: Path | str) -> list[Path]:
    """The files in `folder` and below whose names say image, sorted; hidden ones and symlink loops are skipped.

    Raises `DataError` when `folder` cannot be read; sub-folders that cannot are skipped.
    """
    top = Path(folder)
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    folders, links = [top], list[Path]()
    while folders or links:
        place = folders.pop() if folders else links.pop(0)
        try:
            status = place.stat()
            if (status.st_dev, status.st_ino) in seen and status.st_ino:
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            if place == top:
                reason = (error.strerror or str(error)).lower()
                raise DataError(f"Cannot read the folder '{top}': {reason}.") from error
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                (links if entry.is_symlink() else folders).append(Path(entry.path))
            elif Path(entry.name).suffix.lower() in IMAGE_SUFFIXES:
                found.append(Path(entry.path))
    return sorted(found, key=os.fsencode)


def write_png(path: Path | str, array: Pixels, compress_level: int = 1, *, sync: bool = True) -> None:
    """Writes uint8 `[H, W, C]` (C 1, 3 or 4) as PNG, whole or not at all, without metadata. Raises `DiskError`.

    `sync` as for `gancli.files.atomic_file`.
    """
    pixels = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=compress_level)
    with atomic_file(path, sync=sync) as file:
        file.write(buffer.getbuffer())
