"""Residual networks: the WGAN-GP pair for 64 px (Gulrajani et al. 2017) and SNGAN's (Miyato et al. 2018)."""

from __future__ import annotations

import math
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gancli.models.layers import ClassLatent, ProjectionHead, StagedDiscriminator, StagedGenerator, base_and_doublings
from gancli.models.registry import Networks, NetworkSpec, register

_CIFAR_DOUBLINGS = 3  # 32 px from 4: all maps equally wide; beyond it they halve with each doubling


class _UpBlock(nn.Module):
    """BN, ReLU, nearest doubling, conv3, BN, ReLU, conv3; the shortcut is doubled and, if need be, a conv1."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.shortcut = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(_double(self.norm1(x).relu()))
        y = self.conv2(self.norm2(y).relu())
        # a 1x1 convolution and the doubling commute; this order is a quarter of the work
        out: Tensor = y + _double(self.shortcut(x))
        return out


class _ResnetGenerator(StagedGenerator):
    """Linear to the base map, doublings by `_UpBlock` of `channels`, BN, ReLU, conv3, tanh."""

    def __init__(self, spec: NetworkSpec, channels: list[int]) -> None:
        super().__init__()
        self.base, _ = base_and_doublings(spec.size)
        self.latent = ClassLatent(spec.latent_dim, spec.num_classes)
        self.dense = nn.Linear(self.latent.out_dim, channels[0] * math.prod(self.base))
        self.blocks = nn.Sequential(*(_UpBlock(a, b) for a, b in pairwise(channels)))
        self.norm = nn.BatchNorm2d(channels[-1])
        self.to_image = nn.Conv2d(channels[-1], spec.channels, 3, padding=1)

    def draw(self, z: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        x = self.dense(self.latent(z, labels)).reshape(z.shape[0], -1, *self.base)
        maps = self.norm(self.blocks(x)).relu()
        return maps, self.to_image(maps).tanh()


# ---- WGAN-GP, 64 px -----------------------------------------------------------------------------------------------


class _NormedDownBlock(nn.Module):
    """LN, ReLU, conv3, LN, ReLU, conv3, mean pool; the shortcut is pooled and a conv1. LN is over C, H and W."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(1, before)
        self.conv1 = nn.Conv2d(before, before, 3, padding=1)
        self.norm2 = nn.GroupNorm(1, before)
        self.conv2 = nn.Conv2d(before, after, 3, padding=1)
        self.shortcut = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(self.norm1(x).relu())
        y = self.conv2(self.norm2(y).relu())
        out: Tensor = F.avg_pool2d(y, 2) + self.shortcut(F.avg_pool2d(x, 2))
        return out


class WganCritic(StagedDiscriminator):
    """Conv3, residual halvings with layer norm, flatten, linear: no batch statistics, so penalties are sound."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        base, doublings = base_and_doublings(spec.size)
        channels = [spec.width, *(min(2 ** (i + 1), 8) * spec.width for i in range(doublings))]
        self.from_image = nn.Conv2d(spec.channels, channels[0], 3, padding=1)
        self.blocks = nn.Sequential(*(_NormedDownBlock(a, b) for a, b in pairwise(channels)))
        self.head = ProjectionHead(channels[-1] * math.prod(base), spec.num_classes)
        _init_residual(self)

    def stem(self, x: Tensor) -> Tensor:
        out: Tensor = self.from_image(x)
        return out

    def condense(self, maps: Tensor) -> Tensor:
        out: Tensor = self.blocks(maps)
        return out.flatten(1)

    def decide(self, features: Tensor, labels: Tensor | None) -> Tensor:
        logits: Tensor = self.head(features, labels)
        return logits


@register
def wgan_resnet(spec: NetworkSpec) -> Networks:
    """Gulrajani's 64 px pair; at `width` 64 the maps are 512, 512, 256, 128, 64 wide up and 64 to 512 down."""
    _, doublings = base_and_doublings(spec.size)
    up = [min(2**i, 8) * spec.width for i in range(doublings)][::-1]
    generator = _ResnetGenerator(spec, [8 * spec.width if doublings > 3 else 2 * up[0], *up])
    _init_residual(generator)
    return Networks(generator, WganCritic(spec))


# ---- SNGAN ----------------------------------------------------------------------------------------------------------


class _SpectralBlock(nn.Module):
    """ReLU, conv3, ReLU, conv3, perhaps a mean pool.

    `first` is the block at the image: without the first ReLU, the shortcut pooled before its conv1.
    """

    def __init__(self, before: int, after: int, *, down: bool, first: bool = False) -> None:
        super().__init__()
        self.down, self.first = down, first
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        learned = down or before != after
        self.shortcut = nn.Conv2d(before, after, 1) if learned else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x if self.first else x.relu()).relu())
        if self.down:
            # pooling and a 1x1 convolution commute; pooling first is a quarter of the work
            out: Tensor = F.avg_pool2d(y, 2) + self.shortcut(F.avg_pool2d(x, 2))
            return out
        result: Tensor = y + self.shortcut(x)
        return result


class SnganDiscriminator(StagedDiscriminator):
    """A lighter first block, halvings, blocks at the last size, ReLU, sum over the map, linear; spectral norm."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        _, doublings = base_and_doublings(spec.size)
        blocks: list[nn.Module] = []
        if doublings <= _CIFAR_DOUBLINGS:
            wide = max(1, spec.width // 2)
            blocks.append(_SpectralBlock(spec.channels, wide, down=True, first=True))
            blocks += [_SpectralBlock(wide, wide, down=True) for _ in range(min(1, doublings - 1))]
            blocks += [_SpectralBlock(wide, wide, down=False) for _ in range(2)]
        else:
            channels = _halving(spec.width, doublings)[::-1]
            blocks.append(_SpectralBlock(spec.channels, channels[0], down=True, first=True))
            blocks += [_SpectralBlock(a, b, down=True) for a, b in pairwise(channels[:-1])]
            blocks.append(_SpectralBlock(channels[-2], channels[-1], down=False))
            wide = channels[-1]
        self.blocks = nn.Sequential(*blocks)
        self.head = ProjectionHead(wide, spec.num_classes)
        _init_residual(self)
        for layer in list(self.modules()):
            if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
                spectral_norm(layer)

    def stem(self, x: Tensor) -> Tensor:
        out: Tensor = self.blocks[0](x)
        return out

    def condense(self, maps: Tensor) -> Tensor:
        out: Tensor = self.blocks[1:](maps)
        return out.relu().sum(dim=(2, 3))

    def decide(self, features: Tensor, labels: Tensor | None) -> Tensor:
        logits: Tensor = self.head(features, labels)
        return logits


@register
def sngan(spec: NetworkSpec) -> Networks:
    """SNGAN's pair: up to 32 px all maps `width` (256) wide up, half of it down; above, from 4x `width` halving."""
    _, doublings = base_and_doublings(spec.size)
    if doublings <= _CIFAR_DOUBLINGS:
        channels = [spec.width] * (doublings + 1)
    else:
        channels = _halving(spec.width, doublings)
    generator = _ResnetGenerator(spec, channels)
    _init_residual(generator)
    return Networks(generator, SnganDiscriminator(spec))


def _halving(width: int, doublings: int) -> list[int]:
    """4w, 2w, w, w/2, w/4 …: one more entry than there are doublings."""
    return [max(1, int(4 * width / 2**i)) for i in range(doublings + 1)]


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def _init_residual(module: nn.Module) -> None:
    """Variance 2 / fan in (He) for what a ReLU follows or precedes, 1 / fan in for shortcuts and ends; biases 0."""
    for name, part in module.named_modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            inner = name.endswith(("conv1", "conv2"))
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu" if inner else "linear")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
