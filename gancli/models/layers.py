"""Layers that several families share."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = [
    "ClassLatent",
    "MinibatchDeviation",
    "PixelNorm",
    "ProjectionHead",
    "StagedDiscriminator",
    "StagedGenerator",
    "base_and_doublings",
    "init_normal",
]


def base_and_doublings(size: tuple[int, int]) -> tuple[tuple[int, int], int]:
    """The smallest map (height, width), shorter side 4..7, and how often it doubles up to `size` (width, height)."""
    width, height = size
    doublings = 0
    while min(width, height) > 7 and width % 2 == 0 and height % 2 == 0:
        width, height, doublings = width // 2, height // 2, doublings + 1
    return (height, width), doublings


def init_normal(module: nn.Module, std: float = 0.02) -> None:
    """N(0, std) for convolutions and linear layers, N(1, std) for batch-norm weights, biases 0 (Radford 2015)."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(part.weight, 0.0, std)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.normal_(part.weight, 1.0, std)
            nn.init.zeros_(part.bias)


class StagedGenerator(nn.Module):
    """A generator that can say what its last maps were, so that a larger one can be grown on them.

    `bounded`: do the images end in tanh?
    """

    bounded = True

    def draw(self, z: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """The last maps [N, C, h, w], and the images [N, C, H, W] made of them."""
        raise NotImplementedError

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.draw(z, labels)[1]


class StagedDiscriminator(nn.Module):
    """A discriminator in three pieces: what touches the image, what condenses its maps, what decides."""

    def stem(self, x: Tensor) -> Tensor:
        """The first maps of images `x`."""
        raise NotImplementedError

    def condense(self, maps: Tensor) -> Tensor:
        """From the first maps to features [N, F]."""
        raise NotImplementedError

    def decide(self, features: Tensor, labels: Tensor | None) -> Tensor:
        """From features to logits [N]."""
        raise NotImplementedError

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees: [N, F]."""
        return self.condense(self.stem(x))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.decide(self.features(x), labels)


class ClassLatent(nn.Module):
    """[z, W y]: the latent with an embedding of the class beside it; z alone without classes."""

    def __init__(self, latent_dim: int, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        embed_dim = min(latent_dim, 64) if num_classes else 0
        self.out_dim = latent_dim + embed_dim
        self.embed = nn.Embedding(num_classes, embed_dim) if num_classes else None

    def forward(self, z: Tensor, labels: Tensor | None) -> Tensor:
        if self.embed is None:
            return z
        assert labels is not None, "a conditional generator needs labels"
        return torch.cat([z, self.embed(labels)], dim=1)


class ProjectionHead(nn.Module):
    """psi(phi) + <embed(y), phi>: logits [N] from features [N, F] (Miyato and Koyama 2018, equation 3)."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(num_features, 1)
        self.embed = nn.Embedding(num_classes, num_features) if num_classes else None
        if self.embed is not None:
            nn.init.normal_(self.embed.weight, 0.0, 1 / math.sqrt(num_features))

    def forward(self, features: Tensor, labels: Tensor | None) -> Tensor:
        logits: Tensor = self.linear(features).squeeze(1)
        if self.embed is None:
            return logits
        assert labels is not None, "a conditional discriminator needs labels"
        classes: Tensor = self.embed(labels)
        return logits + (classes * features).sum(1)


class PixelNorm(nn.Module):
    """x / sqrt(mean over channels of x² + 1e-8) (Karras 2018, section 4.2)."""

    def forward(self, x: Tensor) -> Tensor:
        # in single precision: half has no 1e-8
        return x * torch.rsqrt(x.float().square().mean(1, keepdim=True) + 1e-8).to(x.dtype)


class MinibatchDeviation(nn.Module):
    """One more map: the mean deviation within groups of `group` images (Karras 2018, section 3).

    Groups are interleaved (image i belongs to group i mod N/group); a batch that does not divide uses the whole batch.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        n = len(x)
        group = self.group if n % self.group == 0 else n
        y = x.reshape(group, n // group, *x.shape[1:]).float()
        y = y - y.mean(0, keepdim=True)
        deviation = (y.square().mean(0) + 1e-8).sqrt().mean(dim=(1, 2, 3))
        maps = deviation.repeat(group).to(x.dtype).reshape(n, 1, 1, 1).expand(n, 1, x.shape[2], x.shape[3])
        return torch.cat([x, maps], dim=1)
