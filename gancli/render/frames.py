"""Frames of a moving picture, looked at one at a time: from files, from memory, resized, captioned, there and back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gancli.errors import DataError, UsageError
from gancli.images import IMAGE_SUFFIXES, fit_image, read_image
from gancli.render.grid import caption_height, draw_caption
from gancli.text import clean

__all__ = ["Frames", "from_arrays", "from_files", "spool", "spread_over"]

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Frames:
    """A moving picture of `count` frames, each uint8 [height, width, channels]; `load(i)` gives one."""

    count: int
    height: int
    width: int
    channels: int
    load: Callable[[int], Bytes]

    def __iter__(self) -> Iterator[Bytes]:
        for index in range(self.count):
            yield self.load(index)

    def pick(self, indices: Sequence[int]) -> Frames:
        """The frames at `indices`, in that order."""
        chosen = list(indices)
        return Frames(len(chosen), self.height, self.width, self.channels, lambda i: self.load(chosen[i]))

    def boomerang(self) -> Frames:
        """There and back, without showing either end twice in a loop."""
        return self.pick([*range(self.count), *range(self.count - 2, 0, -1)])

    def resized(self, width: int, height: int) -> Frames:
        """Every frame at `width` x `height` px: whole factors repeat pixels, other sizes by Lanczos."""
        if (width, height) == (self.width, self.height):
            return self
        return Frames(self.count, height, width, self.channels, lambda i: _resize(self.load(i), width, height))

    def captioned(self, texts: Sequence[str]) -> Frames:
        """Every frame with its text on a white strip below."""
        label = caption_height(min(self.width, 96) if self.width < 96 else self.width // 2)
        blank = np.full((label, self.width, self.channels), 255, np.uint8)

        def load(index: int) -> Bytes:
            return np.concatenate([self.load(index), draw_caption(blank, texts[index])])

        return Frames(self.count, self.height + label, self.width, self.channels, load)

    def with_channels(self, channels: int) -> Frames:
        """Every frame with `channels` 3 (grey repeated; alpha over white) or 4 (opaque where there was none)."""
        if channels == self.channels:
            return self
        return Frames(self.count, self.height, self.width, channels, lambda i: _convert(self.load(i), channels))


def from_arrays(frames: Bytes) -> Frames:
    """The frames of one array uint8 [F, H, W, C]."""
    count, height, width, channels = frames.shape
    return Frames(count, height, width, channels, lambda i: frames[i])


def from_files(paths: Sequence[Path], *, fit: bool = False) -> Frames:
    """The pictures in `paths`, in that order, all of one size, or with `fit` padded to that of the first.

    Raises `DataError` naming a picture of another size.
    """
    if not paths:
        raise DataError(f"No pictures to animate (looked for {' '.join(sorted(IMAGE_SUFFIXES))}).")
    first = np.asarray(read_image(paths[0]))
    height, width = first.shape[:2]
    channels = 1 if first.ndim == 2 else first.shape[2]
    if channels == 1 and len(paths) > 1:
        channels = max(_channels_of(paths[-1]), 1)

    def load(index: int) -> Bytes:
        picture = read_image(paths[index])
        if fit:
            picture = fit_image(picture, (width, height), fit="pad")
        elif picture.size != (width, height):
            raise DataError(
                f"'{clean(paths[index])}' is {picture.width}x{picture.height} px and the first frame {width}x{height}. "
                "Frames must be of one size: give --size, or take the odd ones out."
            )
        pixels = np.asarray(picture)
        return _convert(pixels[..., None] if pixels.ndim == 2 else pixels, channels)

    return Frames(len(paths), height, width, channels, load)


def spool(chunks: Iterable[Bytes], count: int) -> Frames:
    """Frames from chunks uint8 [n, H, W, C], kept in a temporary file so that memory stays flat."""
    iterator = iter(chunks)
    first = next(iterator)
    shape = (count, *first.shape[1:])
    with tempfile.TemporaryFile(prefix="gan-frames-") as file:  # the map holds it open as long as the frames live
        stored = np.memmap(file, dtype=np.uint8, mode="w+", shape=shape)
    stored[: len(first)] = first
    done = len(first)
    for chunk in iterator:
        stored[done : done + len(chunk)] = chunk
        done += len(chunk)
    if done != count:
        raise ValueError(f"{done} frames came, {count} were said")
    return from_arrays(stored)


def spread_over(count: int, wanted: int, spacing: str = "even") -> list[int]:
    """`wanted` indices out of `count`, first and last included: 'even', or 'log' with more of the early ones.

    Raises `UsageError` for less than one frame.
    """
    if wanted < 1:
        raise UsageError(f"{wanted} frames: a moving picture has at least 1.")
    if wanted == 1:
        return [count - 1]
    if spacing == "log":
        places = np.unique(np.rint(np.geomspace(1, count, min(wanted, count))).astype(int) - 1)
        left = [i for i in range(count) if i not in set(places.tolist())]
        return sorted([*places.tolist(), *left[: max(0, min(wanted, count) - len(places))]])
    return [int(i) for i in np.rint(np.linspace(0, count - 1, wanted)).astype(int)]


def _channels_of(path: Path) -> int:
    pixels = np.asarray(read_image(path))
    return 1 if pixels.ndim == 2 else int(pixels.shape[2])


def _resize(frame: Bytes, width: int, height: int) -> Bytes:
    from PIL import Image

    factor = width // frame.shape[1]
    if factor * frame.shape[1] == width and factor * frame.shape[0] == height and factor > 1 and width <= 96 * factor:
        return frame.repeat(factor, axis=0).repeat(factor, axis=1)
    picture = Image.fromarray(frame[..., 0] if frame.shape[2] == 1 else frame)
    method = Image.Resampling.LANCZOS if width < frame.shape[1] else Image.Resampling.BICUBIC
    pixels = np.asarray(picture.resize((width, height), method))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _convert(frame: Bytes, channels: int) -> Bytes:
    has = frame.shape[2]
    if has == channels:
        return frame
    if has == 4:
        alpha = frame[..., 3:].astype(np.uint16)
        over_white = (frame[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
        return _convert(over_white.astype(np.uint8), channels)
    if channels == 1:
        red, green, blue = (frame[..., i].astype(np.float32) for i in range(3))
        grey: Bytes = np.rint(0.299 * red + 0.587 * green + 0.114 * blue).astype(np.uint8)[..., None]
        return grey
    colour = frame.repeat(3, axis=2) if has == 1 else frame
    return colour if channels == 3 else np.concatenate([colour, np.full_like(colour[..., :1], 255)], axis=2)
