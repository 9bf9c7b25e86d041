"""Pictures of many pictures: grids with margins and captions, and scatter plots of toy points."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["Colour", "best_columns", "draw_caption", "flatten_alpha", "looking_scale", "make_grid", "plot_points"]

Bytes = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)


def make_grid(
    images: Bytes,
    *,
    columns: int | None = None,
    margin: int = 2,
    background: Colour = WHITE,
    captions: Sequence[str] | None = None,
    scale: int = 1,
    keep_alpha: bool = False,
) -> Bytes:
    """The images in rows, left to right, with `margin` pixels between and around them.

    `images` is uint8 [N, H, W, C] with 1 to 4 channels. `columns` None makes the sheet about square. `scale` enlarges
    every image by a whole factor, so that small ones can be looked at. `captions` are written below, one an image.
    Alpha is shown over a light chequer, or kept with `keep_alpha` (the margins are then transparent).
    Returns uint8 [H', W', C'], C' being 1 for grey images and else 3 (4 with `keep_alpha`).
    """
    if images.ndim != 4 or images.dtype != np.uint8 or not len(images):
        raise ValueError(f"images must be uint8 [N, H, W, C] with N > 0, not {images.dtype} {list(images.shape)}")
    if captions is not None and len(captions) != len(images):
        raise ValueError(f"{len(captions)} captions for {len(images)} images")
    tiles = images if keep_alpha else flatten_alpha(images)
    if scale > 1:
        tiles = tiles.repeat(scale, axis=1).repeat(scale, axis=2)
    count, height, width, channels = tiles.shape
    columns = best_columns(count, width / height) if columns is None else max(1, min(columns, count))
    rows = math.ceil(count / columns)
    label = caption_height(width) if captions is not None else 0
    sheet = np.empty(
        (rows * (height + label + margin) + margin, columns * (width + margin) + margin, channels), np.uint8
    )
    sheet[:] = _background(background, channels)
    for index, tile in enumerate(tiles):
        top = margin + index // columns * (height + label + margin)
        left = margin + index % columns * (width + margin)
        sheet[top : top + height, left : left + width] = tile
        if captions is not None:
            strip = sheet[top + height : top + height + label, left : left + width]
            strip[:] = draw_caption(strip, captions[index])
    return sheet


def best_columns(count: int, aspect: float = 1.0) -> int:
    """Columns that make a sheet of `count` tiles of width / height `aspect` about square, rather wide than tall."""
    return max(1, min(count, math.ceil(math.sqrt(count / aspect) - 1e-9)))


def looking_scale(height: int, width: int, target_px: int = 96) -> int:
    """The whole factor that brings a small image (up to 64 px) near `target_px`; 1 for larger ones."""
    side = max(height, width)
    return 1 if side > 64 else max(1, round(target_px / side))


def flatten_alpha(images: Bytes, cell: int = 8) -> Bytes:
    """Images [..., H, W, C] with their alpha, if any, composited over a light chequer of `cell` pixels."""
    if images.shape[-1] not in (2, 4):
        return images
    height, width = images.shape[-3:-1]
    rows, columns = np.ogrid[:height, :width]
    board = np.where((rows // cell + columns // cell) % 2 == 0, 255, 232).astype(np.uint16)[..., None]
    colour = images[..., :-1].astype(np.uint16)
    alpha = images[..., -1:].astype(np.uint16)
    return ((colour * alpha + board * (255 - alpha) + 127) // 255).astype(np.uint8)


def caption_height(width: int) -> int:
    """The pixels that a caption below a tile of `width` pixels takes."""
    return max(12, min(28, width // 6))


def draw_caption(strip: Bytes, text: str, *, ink: Colour | None = None) -> Bytes:
    """`strip` [H, W, C] with `text` in its middle, as large as fits and no larger; black or white by contrast."""
    from PIL import Image, ImageDraw, ImageFont

    height, width, channels = strip.shape
    colour = strip[..., :3] if channels >= 3 else strip[..., :1].repeat(3, axis=-1)
    if ink is None:
        ink = (0, 0, 0) if float(colour.mean()) > 127 else WHITE
    size = max(6, height - 3)
    font = ImageFont.load_default(size)
    while size > 6 and font.getlength(text) > width - 2:
        size -= 1
        font = ImageFont.load_default(size)
    mask = Image.new("L", (width, height), 0)
    ImageDraw.Draw(mask).text((width / 2, height / 2), text, fill=255, font=font, anchor="mm")
    weight = np.asarray(mask, np.float32)[..., None] / 255
    drawn = strip.astype(np.float32)
    target = np.array(ink if channels >= 3 else (_luma(ink),), np.float32)
    last = 3 if channels >= 3 else 1
    drawn[..., :last] = drawn[..., :last] * (1 - weight) + target * weight
    if channels in (2, 4):
        drawn[..., -1:] = np.maximum(drawn[..., -1:], weight * 255)
    result: Bytes = (drawn + 0.5).astype(np.uint8)
    return result


def plot_points(
    points: npt.NDArray[np.floating],
    reals: npt.NDArray[np.floating] | None = None,
    *,
    side: int = 512,
    extent: float | None = None,
    centre: tuple[float, float] = (0.0, 0.0),
) -> Bytes:
    """Points of a 2-D toy as a picture: the reals as a grey cloud below, `points` as blue dots above.

    `points` is [N, 2] and `reals` [M, 2] in the toy's own units; y grows upwards. The square shown reaches from
    `centre` - `extent` to `centre` + `extent`; None fits the reals (or the points) with a tenth to spare.
    Returns uint8 [side, side, 3]. Points outside are counted by nobody and drawn at the rim.
    """
    if extent is None:
        shown = reals if reals is not None and len(reals) else points
        finite = shown[np.isfinite(shown).all(1)]
        low, high = (finite.min(0), finite.max(0)) if len(finite) else (np.array([-1.0, -1.0]), np.array([1.0, 1.0]))
        centre = (float(low[0] + high[0]) / 2, float(low[1] + high[1]) / 2)
        extent = max(float((high - low).max()) / 2 * 1.1, 1e-6)
    picture = np.full((side, side, 3), 255.0)
    for index, name in enumerate("xy"):
        zero = (0 - centre[index]) / extent
        if abs(zero) < 1:
            line = round((zero + 1) / 2 * (side - 1)) if name == "x" else round((1 - zero) / 2 * (side - 1))
            picture[(slice(None), line) if name == "x" else (line, slice(None))] = 235
    if reals is not None and len(reals):
        _splat(picture, reals, centre, extent, radius=max(1, side // 256), colour=(150, 150, 150), strength=0.35)
    _splat(picture, points, centre, extent, radius=max(1, side // 200), colour=(20, 90, 200), strength=0.6)
    result: Bytes = np.rint(picture).astype(np.uint8)
    return result


def _splat(
    picture: npt.NDArray[np.float64],
    points: npt.NDArray[np.floating],
    centre: tuple[float, float],
    extent: float,
    *,
    radius: int,
    colour: Colour,
    strength: float,
) -> None:
    """Blends discs of `colour` into `picture`; where n discs meet, the paper shows through (1 - strength)^n."""
    side = len(picture)
    finite = points[np.isfinite(points).all(1)].astype(np.float64)
    unit = np.clip((finite - np.array(centre)) / extent, -1, 1)
    columns = np.rint((unit[:, 0] + 1) / 2 * (side - 1)).astype(np.int64)
    rows = np.rint((1 - unit[:, 1]) / 2 * (side - 1)).astype(np.int64)
    counts = np.zeros((side, side))
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            if dx * dx + dy * dy <= radius * radius:
                np.add.at(counts, (np.clip(rows + dy, 0, side - 1), np.clip(columns + dx, 0, side - 1)), 1)
    weight = (1 - (1 - strength) ** counts)[..., None]
    picture *= 1 - weight
    picture += weight * np.array(colour, np.float64)


def _background(colour: Colour, channels: int) -> list[int]:
    if channels == 4:
        return [*colour, 0]
    if channels == 2:
        return [_luma(colour), 0]
    return list(colour) if channels == 3 else [_luma(colour)]


def _luma(colour: Colour) -> int:
    red, green, blue = colour
    return round(0.299 * red + 0.587 * green + 0.114 * blue)
