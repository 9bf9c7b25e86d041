"""What `gan evaluate` and `gan report` compare: the reals of a run, its fakes, the pairs that are most alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gancli.cli.output import Output
from gancli.errors import DataError, UsageError
from gancli.text import clean

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.metrics.evaluation import Pairs
    from gancli.render.generator import Generator

__all__ = ["draw_pairs", "fakes_of", "nearest_pairs", "reals_of"]

MAX_REALS = 10_000


def reals_of(generator: Generator, data: str | None) -> Tensor:
    """The pictures that the run was trained on, or those of --data at the run's size: uint8 [N, C, H, W]."""
    import torch

    from gancli.data.dataset import open_training_set

    config = generator.config
    width, height = config.size
    try:
        found = open_training_set(data or config.data, size=f"{width}x{height}", seed=config.seed)
    except DataError as error:
        if data is not None:
            raise
        raise DataError(
            f"The data of this run ('{clean(config.data)}') cannot be opened any more: {error} "
            "Name pictures to compare with: --data FOLDER."
        ) from error
    images = found.images[found.train] if data is None else found.images
    channels = config.channels
    if images.ndim != 4:
        raise UsageError("--data names points; this model makes pictures.")
    if images.shape[1] != channels:
        images = _as_channels(images, channels)
    if len(images) > MAX_REALS:
        images = images[torch.linspace(0, len(images) - 1, MAX_REALS).round().long()]
    return images


def _as_channels(images: Tensor, channels: int) -> Tensor:
    import torch

    if channels == 1:
        return images[:, :3].float().mean(1, keepdim=True).round().to(torch.uint8)
    if images.shape[1] == 1:
        images = images.expand(-1, 3, -1, -1)
    if channels == 4 and images.shape[1] == 3:
        return torch.cat([images, torch.full_like(images[:, :1], 255)], 1)
    return images[:, :channels]


def fakes_of(generator: Generator, count: int, output: Output) -> Tensor:
    """The pictures of the seeds 0 to count-1, as they would be saved: uint8 [count, C, H, W]."""
    import numpy as np
    import torch

    parts = []
    with output.progress(count, "sampling") as bar:
        for part in generator.stream(range(count)):
            parts.append(part)
            bar.advance(len(part))
    return torch.from_numpy(np.concatenate(parts).transpose(0, 3, 1, 2).copy())


def draw_pairs(pairs: Pairs, target: Path) -> None:
    """Writes the sheet of pairs to `target`, a PNG file."""
    from gancli.files import atomic_file

    with atomic_file(target) as file:
        file.write(_pairs_png(pairs))


def _pairs_png(pairs: Pairs) -> bytes:
    """Each generated picture with the training image it is most like to its right, the nearest pair first."""
    import torch

    from gancli.render.generator import png_bytes
    from gancli.render.grid import looking_scale, make_grid

    both = torch.stack([pairs.fakes, pairs.nearest], 1).flatten(0, 1).permute(0, 2, 3, 1).numpy()
    captions = [text for d in pairs.distances for text in (f"{d:.2f}", "train")]
    scale = looking_scale(both.shape[1], both.shape[2])
    return png_bytes(make_grid(both, columns=6, captions=captions, scale=scale))


def nearest_pairs(run: Path, count: int) -> tuple[bytes, float, int]:
    """The pairs of `run` as a PNG sheet, the share of copies, and of how many pictures. Raises `GanError`s."""
    from gancli.metrics.evaluation import find_copies
    from gancli.render.generator import load

    generator = load(str(run))
    share, pairs = find_copies(reals_of(generator, None), fakes_of(generator, count, Output(quiet=True)))
    return _pairs_png(pairs), share, count
