"""The networks of the fish project: ProGAN's parts (Karras 2018) without the growing, critic weaker than generator."""

from __future__ import annotations

import math
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from gancli.models.layers import (
    ClassLatent,
    MinibatchDeviation,
    PixelNorm,
    ProjectionHead,
    StagedDiscriminator,
    StagedGenerator,
    base_and_doublings,
)
from gancli.models.registry import Networks, NetworkSpec, register

_MAX_MULTIPLE = 4


class _Up(nn.Module):
    """Nearest-neighbour doubling, two 3x3 convolutions, each with leaky ReLU and pixel norm (no checkerboard)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(before, after, 3, padding=1),
            nn.LeakyReLU(0.2),
            PixelNorm(),
            nn.Conv2d(after, after, 3, padding=1),
            nn.LeakyReLU(0.2),
            PixelNorm(),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(F.interpolate(x, scale_factor=2, mode="nearest"))
        return out


class ProganGenerator(StagedGenerator):
    """Normalised latent -> dense base map -> doublings by upsampling -> 1x1 convolution, tanh."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.base, doublings = base_and_doublings(spec.size)
        channels = [spec.width * min(2**i, 2 * _MAX_MULTIPLE) // 2 for i in range(doublings + 1)][::-1]
        self.latent = ClassLatent(spec.latent_dim, spec.num_classes)
        self.norm = PixelNorm()
        self.dense = nn.Linear(self.latent.out_dim, channels[0] * math.prod(self.base))
        self.start = nn.Sequential(nn.LeakyReLU(0.2), PixelNorm())
        self.ups = nn.Sequential(*(_Up(a, b) for a, b in pairwise(channels)))
        self.to_image = nn.Conv2d(channels[-1], spec.channels, 1)
        _init_he(self)

    def draw(self, z: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        x = self.dense(self.latent(self.norm(z), labels))
        maps = self.ups(self.start(x.reshape(z.shape[0], -1, *self.base)))
        return maps, self.to_image(maps).tanh()


class ProganCritic(StagedDiscriminator):
    """Convolutions k4 s2 with leaky ReLU .2, minibatch deviation, one 3x3 convolution, dropout, dense. No norm."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        base, doublings = base_and_doublings(spec.size)
        channels = [spec.width * min(2**i, _MAX_MULTIPLE) for i in range(doublings)]
        layers: list[nn.Module] = []
        before = spec.channels
        for after in channels:
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(0.2)]
            before = after
        layers += [MinibatchDeviation(), nn.Conv2d(before + 1, before, 3, padding=1), nn.LeakyReLU(0.2), nn.Flatten()]
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(spec.dropout)
        self.head = ProjectionHead(before * math.prod(base), spec.num_classes)
        _init_he(self)

    def stem(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers[:2](x)
        return out

    def condense(self, maps: Tensor) -> Tensor:
        out: Tensor = self.layers[2:](maps)
        return out

    def decide(self, features: Tensor, labels: Tensor | None) -> Tensor:
        logits: Tensor = self.head(self.dropout(features), labels)
        return logits


def _init_he(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight, a=0.2)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


@register
def progan(spec: NetworkSpec) -> Networks:
    """The fish project's asymmetric pair: an upsampling generator, a strided critic."""
    return Networks(ProganGenerator(spec), ProganCritic(spec))
