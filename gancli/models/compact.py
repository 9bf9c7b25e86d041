"""The house's networks for a few hundred pictures on a plain processor: small, and no layer is idle while it learns.

The parts are known ones: skip-layer excitation from FastGAN (Liu et al. 2021), a discriminator of residual halvings
without normalisation as in R3GAN (Huang et al. 2024), smooth doublings as in StyleGAN. How they go together, and the
recipe's numbers, were chosen by measuring (the table in the README).
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gancli.models.layers import (
    ClassLatent,
    ProjectionHead,
    StagedDiscriminator,
    StagedGenerator,
    base_and_doublings,
)
from gancli.models.registry import Networks, NetworkSpec, register

_MAX_MULTIPLE = 8
_LEAP = 3  # so many doublings an excitation leaps
_GRAIN = 0.1  # the deviation of its strengths at the start
_MOST_GRAINS = 128 * 128  # pixels of a map with grain: its directions take 4 · latent_dim bytes each


class _Excitation(nn.Module):
    """late · sigmoid(conv1(lrelu(conv1(mean(early))))): an early map says which channels of a late one count."""

    def __init__(self, early: int, late: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(early, late, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(late, late, 1),
            nn.Sigmoid(),
        )

    def forward(self, early: Tensor, late: Tensor) -> Tensor:
        out: Tensor = late * self.gate(early)
        return out


class _Grain(nn.Module):
    """Adds to each map a noise that the latent decides, times a learned number per channel.

    Pixel p gets <z, d_p> with a fixed random direction d_p of length one: N(0, 1), all but independent of its
    neighbours, smooth in z. So there is texture, one latent is one picture still, and a walk does not flicker.
    """

    directions: Tensor

    def __init__(self, latent_dim: int, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("directions", F.normalize(torch.randn(math.prod(size), latent_dim)))
        self.weight = nn.Parameter(torch.randn(1, channels, 1, 1) * _GRAIN)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        noise = F.linear(z, self.directions.to(z.dtype)).reshape(-1, 1, *self.size)
        return x + self.weight * noise


class _Up(nn.Module):
    """Linear doubling, conv3, grain where the map is not too large for it, batch norm, leaky ReLU."""

    def __init__(self, before: int, after: int, latent_dim: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.upsample = nn.Upsample(scale_factor=2, mode="bilinear")
        self.conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.grain = _Grain(latent_dim, after, size) if math.prod(size) <= _MOST_GRAINS else None
        self.after = _normalised(after)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        x = self.conv(self.upsample(x))
        out: Tensor = self.after(x if self.grain is None else self.grain(x, z))
        return out


class CompactGenerator(StagedGenerator):
    """Dense to the base map, smooth doublings with grain; excitations; conv3, tanh.

    Doubling by interpolation leaves no checkerboard (Odena et al. 2016), by linear interpolation no plaid; without
    grain such a generator draws contours for want of texture.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.base, doublings = base_and_doublings(spec.size)
        channels = [spec.width * min(2**i, _MAX_MULTIPLE) for i in range(doublings + 1)][::-1]
        self.latent = ClassLatent(spec.latent_dim, spec.num_classes)
        self.dense = nn.Linear(self.latent.out_dim, channels[0] * math.prod(self.base), bias=False)
        self.start = _normalised(channels[0])
        self.ups = nn.ModuleList(
            _Up(a, b, spec.latent_dim, (self.base[0] << stage, self.base[1] << stage))
            for stage, (a, b) in enumerate(pairwise(channels), start=1)
        )
        self.skips = nn.ModuleList(
            _Excitation(channels[stage - _LEAP], channels[stage]) for stage in range(_LEAP, doublings + 1)
        )
        self.to_image = nn.Conv2d(channels[-1], spec.channels, 3, padding=1)
        _init_he(self)

    def draw(self, z: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        x = self.dense(self.latent(z, labels)).reshape(z.shape[0], -1, *self.base)
        maps = [self.start(x)]
        for stage, up in enumerate(self.ups, start=1):
            x = up(maps[-1], z)
            if stage >= _LEAP:
                x = self.skips[stage - _LEAP](maps[stage - _LEAP], x)
            maps.append(x)
        return maps[-1], self.to_image(maps[-1]).tanh()


class _Down(nn.Module):
    """(conv4 s2, lrelu, conv3 + mean pool, conv1) / sqrt 2, lrelu: a halving whose variance stays."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(after, after, 3, padding=1)
        )
        self.direct = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(before, after, 1))
        self.act = nn.LeakyReLU(0.2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act((self.main(x) + self.direct(x)) * math.sqrt(0.5))
        return out


class CompactDiscriminator(StagedDiscriminator):
    """conv4 s2, then residual halvings down to the base map, dense. No normalisation, so that R1 is per image."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        base, doublings = base_and_doublings(spec.size)
        channels = [spec.width * min(2**i, _MAX_MULTIPLE) for i in range(doublings)]
        self.first = nn.Sequential(nn.Conv2d(spec.channels, channels[0], 4, 2, 1), nn.LeakyReLU(0.2))
        self.downs = nn.Sequential(*(_Down(a, b) for a, b in pairwise(channels)), nn.Flatten())
        self.dropout = nn.Dropout(spec.dropout)
        self.head = ProjectionHead(channels[-1] * math.prod(base), spec.num_classes)
        _init_he(self)

    def stem(self, x: Tensor) -> Tensor:
        out: Tensor = self.first(x)
        return out

    def condense(self, maps: Tensor) -> Tensor:
        out: Tensor = self.downs(maps)
        return out

    def decide(self, features: Tensor, labels: Tensor | None) -> Tensor:
        logits: Tensor = self.head(self.dropout(features), labels)
        return logits


def _normalised(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.LeakyReLU(0.2))


def _init_he(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight, a=0.2)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


@register
def compact(spec: NetworkSpec) -> Networks:
    """At 64 px and `width` 32: generator 1.5 M, discriminator 1.5 M parameters."""
    return Networks(CompactGenerator(spec), CompactDiscriminator(spec))
