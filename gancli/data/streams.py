"""Position is the random state: every draw comes from (seed, named stream, position, draw), and from nothing else.

So no random state is stored, a run that was killed and resumed equals one that never stopped, and each of several
processes can draw the whole batch and take its slice.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

__all__ = ["batch_indices", "epoch_order", "normal", "stream", "uniform"]


def stream(seed: int, name: str, position: int = 0, draw: int = 0) -> torch.Generator:
    """A CPU generator that depends on nothing but its four arguments.

    `position` is nimg (or an epoch, or a tick, as the stream says); `draw` counts the rollbacks of a run.
    """
    key = hashlib.blake2b(f"{seed}/{name}/{position}/{draw}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(key, "little") >> 1)


def normal(shape: tuple[int, ...], seed: int, name: str, position: int, draw: int = 0) -> Tensor:
    """N(0, 1) of `shape`, float32 on the CPU, from the named stream."""
    return torch.randn(shape, generator=stream(seed, name, position, draw))


def uniform(shape: tuple[int, ...], seed: int, name: str, position: int, draw: int = 0) -> Tensor:
    """U(0, 1) of `shape`, float32 on the CPU, from the named stream."""
    return torch.rand(shape, generator=stream(seed, name, position, draw))


def epoch_order(num_images: int, seed: int, epoch: int, draw: int = 0) -> Tensor:
    """The order in which an epoch shows its images: a permutation of 0 … num_images - 1, int64."""
    return torch.randperm(num_images, generator=stream(seed, "order", epoch, draw))


class Sampler:
    """Which images the discriminator sees at a position; a pure function of it (the last orders are kept at hand)."""

    def __init__(self, num_images: int, seed: int) -> None:
        self.num_images = num_images
        self.seed = seed
        self._orders: dict[tuple[int, int], Tensor] = {}

    def indices(self, nimg: int, count: int, draw: int = 0) -> Tensor:
        """The `count` images from position `nimg` on, int64; a batch may reach over into the next epochs."""
        parts = []
        while count > 0:
            epoch, offset = divmod(nimg, self.num_images)
            part = self._order(epoch, draw)[offset : offset + count]
            parts.append(part)
            nimg += len(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _order(self, epoch: int, draw: int) -> Tensor:
        key = (epoch, draw)
        if key not in self._orders:
            if len(self._orders) > 3:
                self._orders.clear()
            self._orders[key] = epoch_order(self.num_images, self.seed, epoch, draw)
        return self._orders[key]


def batch_indices(num_images: int, seed: int, nimg: int, count: int, draw: int = 0) -> Tensor:
    """`Sampler.indices` for a single look."""
    return Sampler(num_images, seed).indices(nimg, count, draw)
