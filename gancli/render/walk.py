"""One walk, or several side by side: planned first, rendered frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gancli.errors import UsageError
from gancli.render.generator import Generator, joined, labels_of_keys
from gancli.render.grid import looking_scale, make_grid
from gancli.render.sampling import render
from gancli.render.walks import (
    Easing,
    Floats,
    Leg,
    Mode,
    along,
    even_positions,
    image_steps,
    legs,
    positions,
    weights_along,
)

__all__ = ["Walk"]

Bytes = npt.NDArray[np.uint8]


class Walk:
    """Key seeds, and a position on the path through them for every frame.

    `walks` holds the key seeds of each walk; several are shown side by side in `columns`, all in step. `labels` are the
    classes of the keys in turn, blended on the way. `latents` [K, latent_dim] are used instead of those of the seeds of
    a single walk (pictures that were projected). Raises `UsageError` for less than two keys or one frame.
    """

    def __init__(
        self,
        generator: Generator,
        walks: Sequence[Sequence[int]],
        frames: int,
        *,
        loop: bool = True,
        mode: Mode = "slerp",
        easing: Easing = "linear",
        labels: Sequence[int] | None = None,
        truncation: float = 1.0,
        columns: int | None = None,
        latents: Tensor | None = None,
    ) -> None:
        generator.need_images("A walk")
        if len({len(seeds) for seeds in walks}) != 1:
            raise UsageError("Walks side by side need equally many seeds each.")
        self.generator, self.loop, self.mode, self.truncation = generator, loop, mode, truncation
        self.walks, self.columns = [list(seeds) for seeds in walks], columns
        self.where = positions(len(self.walks[0]), frames, loop=loop, easing=easing)
        self._keys = [generator.latents(seeds) for seeds in self.walks] if latents is None else [latents.float()]
        self._labels = [labels_of_keys(generator, seeds, labels) for seeds in self.walks]

    @property
    def num_frames(self) -> int:
        """How many frames `frames()` gives."""
        return len(self.where)

    def frames(self, where: Floats | None = None) -> Iterator[Bytes]:
        """The frames uint8 [H, W, C] in order; of the walk, or at other positions of it."""
        return (_side_by_side(cells, self.columns) for cells in self.cells(where))

    def cells(self, where: Floats | None = None) -> Iterator[Bytes]:
        """The pictures of all walks for each frame: uint8 [walks, H, W, C]."""
        where = self.where if where is None else where
        for start in range(0, len(where), 256):
            z, weights = self._latents(where[start : start + 256])
            yield from joined(render(self.generator.loaded, z, weights, truncation=self.truncation), len(self.walks))

    def stages(self, count: int, *, even: bool = False) -> Bytes:
        """One picture of `count` stages, first key to last (once round with `loop`); a row for each walk."""
        if count < 2:
            raise UsageError(f"--strip {count}: a strip has at least 2 stages.")
        end = float(len(self.walks[0]) - (not self.loop))
        where: Floats = np.linspace(0, end, count, endpoint=not self.loop)
        if even:
            where = even_positions(where, len(self.walks[0]), self.steps, loop=self.loop)
        cells = np.stack(list(self.cells(where)), axis=1)
        images = cells.reshape(-1, *cells.shape[2:])
        return make_grid(images, columns=count, margin=2, scale=looking_scale(*images.shape[1:3]))

    def steps(self, where: Floats | None = None) -> Floats:
        """The change of the picture from frame to frame: see `gancli.render.walks.image_steps`."""
        return image_steps(self.frames(where), loop=self.loop)

    def make_even(self, on_frames: Callable[[int], None] = lambda count: None) -> None:
        """Moves the frames along the path until each step changes the picture equally.

        `on_frames` hears how many were rendered, `even_cost` times the walk at most.
        """

        def measured(where: Floats) -> Floats:
            steps = self.steps(where)
            on_frames(len(where))
            return steps

        self.where = even_positions(self.where, len(self.walks[0]), measured, loop=self.loop)

    def legs(self, steps: Floats) -> list[Leg]:
        """How each leg flows; the seeds named are those of the first walk."""
        return legs(self.walks[0], self.where, steps)

    def _latents(self, where: Floats) -> tuple[Tensor, Tensor | None]:
        """Latents and class weights, walks of one frame next to each other: [F·walks, …]."""
        z = torch.stack([along(keys, where, self.mode) for keys in self._keys], dim=1).flatten(0, 1)
        if self._labels[0] is None:
            return z, None
        count = self.generator.config.num_classes
        weights = [weights_along(labels, count, where) for labels in self._labels if labels is not None]
        return z, torch.stack(weights, dim=1).flatten(0, 1)


def _side_by_side(cells: Bytes, columns: int | None) -> Bytes:
    return cells[0] if len(cells) == 1 else make_grid(cells, columns=columns, margin=2, keep_alpha=True)
