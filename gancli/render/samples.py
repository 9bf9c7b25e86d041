"""Samples as files: one picture a seed, a grid, arrays; computed and written side by side in flat memory."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from gancli.errors import UsageError
from gancli.files import atomic_file
from gancli.images import write_png
from gancli.render.generator import Generator
from gancli.render.grid import looking_scale, make_grid
from gancli.text import clean

__all__ = ["FORMATS", "write_samples"]

Bytes = npt.NDArray[np.uint8]
FORMATS = ("png", "webp", "npy")
_MAX_IN_GRID = 100
_MAX_PENDING = 64


def write_samples(
    generator: Generator,
    seeds: Sequence[int],
    folder: Path,
    *,
    picture_format: str = "png",
    grid: bool = True,
    captions: bool = False,
    label: int | None = None,
    truncation: float = 1.0,
) -> Iterator[int]:
    """Writes the pictures of `seeds` into `folder`, and yields how many were added, chunk by chunk.

    png, webp (lossless): `seed000007.png`, one a seed; npy: `samples.npy`, one uint8 array [N, H, W, C] in the order of
    `seeds`. With `grid`, `grid.png` shows the first 100, with the seeds as `captions` on request.
    Raises `UsageError` for another format.
    """
    if picture_format not in FORMATS:
        raise UsageError(f"--format '{clean(picture_format, 40)}': choose png, webp or npy.")
    chunks = generator.stream(seeds, label=label, truncation=truncation)
    first: list[Bytes] = []
    writer = _write_array if picture_format == "npy" else _write_files
    for images in writer(chunks, seeds, folder, picture_format):
        first.extend(images[: max(0, _MAX_IN_GRID - len(first))])
        yield len(images)
    if grid and first:
        sheet = np.stack(first)
        names = [str(seed) for seed in seeds[: len(first)]] if captions else None
        write_png(folder / "grid.png", make_grid(sheet, captions=names, scale=looking_scale(*sheet.shape[1:3])))


def _write_files(chunks: Iterator[Bytes], seeds: Sequence[int], folder: Path, suffix: str) -> Iterator[Bytes]:
    """One file a picture, written by one more thread while the next ones are computed."""
    write = write_png if suffix == "png" else _write_webp
    pending: deque[Future[None]] = deque()
    done = 0
    with ThreadPoolExecutor(1) as pool:
        for images in chunks:
            for image in images:
                pending.append(pool.submit(write, folder / f"seed{seeds[done]:06d}.{suffix}", image))
                done += 1
            while len(pending) > _MAX_PENDING:
                pending.popleft().result()
            yield images
        for future in pending:
            future.result()


def _write_array(chunks: Iterator[Bytes], seeds: Sequence[int], folder: Path, _suffix: str) -> Iterator[Bytes]:
    with array_file(folder / "samples.npy", len(seeds)) as add:
        for images in chunks:
            add(images)
            yield images


@contextlib.contextmanager
def array_file(path: Path, count: int) -> Iterator[_Adder]:
    """An .npy file of `count` rows, filled in parts and there only when whole."""
    with atomic_file(path) as file:
        yield _Adder(file, count)


class _Adder:
    def __init__(self, file: BinaryIO, count: int) -> None:
        self._file, self._count, self._begun = file, count, False

    def __call__(self, rows: Bytes) -> None:
        if not self._begun:
            header = {"descr": "|u1", "fortran_order": False, "shape": (self._count, *rows.shape[1:])}
            np.lib.format.write_array_header_1_0(self._file, header)
            self._begun = True
        self._file.write(np.ascontiguousarray(rows).tobytes())


def _write_webp(path: Path, image: Bytes) -> None:
    from PIL import Image

    with atomic_file(path) as file:
        picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
        picture.save(file, "WEBP", lossless=True, method=2)
