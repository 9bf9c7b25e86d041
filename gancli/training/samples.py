"""The pictures a run writes: the fixed seeds, always the same, and fresh ones, which show collapse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from gancli.config import TrainConfig
from gancli.data.dataset import TrainingSet
from gancli.data.streams import normal
from gancli.images import write_png
from gancli.render.grid import make_grid, plot_points
from gancli.render.sampling import latents, pick_labels, to_uint8

__all__ = ["SampleWriter", "fresh_fakes"]

_CHUNK = 32


class SampleWriter:
    """Writes samples/fixed-<nimg>.png and samples/fresh-<nimg>.png of the running average."""

    def __init__(self, config: TrainConfig, data: TrainingSet, device: torch.device) -> None:
        self._config = config
        self._device = device
        self._num = (
            2500 if config.is_points else 64 if max(config.size) <= 64 else 25 if max(config.size) <= 160 else 16
        )
        self._fixed = latents(range(self._num), config.latent_dim)
        self._labels = pick_labels(range(self._num), config.num_classes)
        self._reals = data.images[data.train[:5000]].numpy() if config.is_points else None

    def write(self, generator_ema: nn.Module, folder: Path, nimg: int) -> None:
        """Both grids; what was written for this position before is left as it is."""
        fresh = normal((self._num, self._config.latent_dim), self._config.seed, "fresh-grid", nimg)
        for name, z in (("fixed", self._fixed), ("fresh", fresh)):
            path = folder / f"{name}-{nimg:010d}.png"
            if not path.exists():
                write_png(path, self._picture(generator_ema, z))

    @torch.no_grad()
    def _picture(self, generator: nn.Module, z: Tensor) -> npt.NDArray[np.uint8]:
        made = run_generator(generator, z.to(self._device), self._labels)
        if self._config.is_points:
            return plot_points(made.cpu().numpy(), self._reals)
        return make_grid(to_uint8(made))


def run_generator(generator: nn.Module, z: Tensor, labels: Tensor | None) -> Tensor:
    """`generator` in fp32 and evaluation mode on `z` [N, latent_dim], in chunks; float [N, …] in [-1, 1]."""
    was_training = generator.training
    generator.eval()
    try:
        parts = []
        for start in range(0, len(z), _CHUNK if z.shape[0] < 2500 else 2500):
            stop = start + (_CHUNK if z.shape[0] < 2500 else 2500)
            part = None if labels is None else labels[start:stop].to(z.device)
            parts.append(generator(z[start:stop], part).float())
        return torch.cat(parts)
    finally:
        generator.train(was_training)


@torch.no_grad()
def fresh_fakes(generator: nn.Module, config: TrainConfig, num: int, name: str, nimg: int) -> Tensor:
    """`num` fakes from latents of the named stream at this position, with classes drawn evenly."""
    device = next(generator.parameters()).device
    z = normal((num, config.latent_dim), config.seed, name, nimg).to(device)
    labels = torch.arange(num) % config.num_classes if config.num_classes else None
    return run_generator(generator, z, labels)
