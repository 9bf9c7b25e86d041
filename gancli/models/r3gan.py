"""R3GAN's networks (Huang et al. 2024): grouped residual blocks without any normalisation, stable by their start."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gancli.errors import ConfigError
from gancli.models.layers import ClassLatent, ProjectionHead, StagedDiscriminator, StagedGenerator, base_and_doublings
from gancli.models.registry import Networks, NetworkSpec, register

_BLOCKS = 2  # per stage
_EXPANSION = 2
_GROUP = 16
_WIDE_STAGES = 4  # 4 to 32 px are `width` wide, then each stage half the one before
_SLOPE = 0.2


class _Block(nn.Module):
    """x + conv1(lrelu(grouped conv3(lrelu(conv1 x)))): C -> 2C -> C, groups of 16, the last one zero at the start."""

    def __init__(self, channels: int, num_blocks: int) -> None:
        super().__init__()
        inner = _EXPANSION * channels
        self.widen = nn.Conv2d(channels, inner, 1)
        self.mix = nn.Conv2d(inner, inner, 3, padding=1, groups=max(1, inner // _GROUP))
        self.narrow = nn.Conv2d(inner, channels, 1, bias=False)
        gain = math.sqrt(2 / (1 + _SLOPE**2)) * num_blocks ** (-1 / (2 * 3 - 2))
        _init(self.widen, gain)
        _init(self.mix, gain)
        nn.init.zeros_(self.narrow.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.widen(x), _SLOPE, inplace=True)
        y = F.leaky_relu(self.mix(y), _SLOPE, inplace=True)
        out: Tensor = x + self.narrow(y)
        return out


class _Resample(nn.Module):
    """Doubles or halves each side with the kernel [1, 3, 3, 1] along each axis."""

    kernel: Tensor

    def __init__(self, *, up: bool) -> None:
        super().__init__()
        self.up = up
        line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("kernel", torch.outer(line, line) * (4 if up else 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        kernel = self.kernel.to(x.dtype).expand(channels, 1, 4, 4)
        if self.up:
            return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=channels)
        return F.conv2d(x, kernel, stride=2, padding=1, groups=channels)


class R3ganGenerator(StagedGenerator):
    """A learned map scaled per channel by a linear view of z; per stage a doubling, two blocks; conv1 to the image."""

    bounded = False

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        base, doublings = base_and_doublings(spec.size)
        channels = _channels(spec.width, doublings)
        num_blocks = _BLOCKS * len(channels)
        self.latent = ClassLatent(spec.latent_dim, spec.num_classes)
        self.basis = nn.Parameter(torch.randn(channels[0], *base))
        self.scale = nn.Linear(self.latent.out_dim, channels[0], bias=False)
        stages: list[nn.Module] = []
        for index, after in enumerate(channels):
            if index:
                before = channels[index - 1]
                if before != after:
                    stages.append(nn.Conv2d(before, after, 1, bias=False))
                stages.append(_Resample(up=True))
            stages += [_Block(after, num_blocks) for _ in range(_BLOCKS)]
        self.stages = nn.Sequential(*stages)
        self.to_image = nn.Conv2d(channels[-1], spec.channels, 1, bias=False)
        _init_plain(self)

    def draw(self, z: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        maps = self.stages(self.scale(self.latent(z, labels))[:, :, None, None] * self.basis)
        return maps, self.to_image(maps)


class R3ganDiscriminator(StagedDiscriminator):
    """The mirror: conv1 from the image, per stage two blocks and a halving, a depthwise convolution to one vector."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        base, doublings = base_and_doublings(spec.size)
        channels = _channels(spec.width, doublings)[::-1]
        num_blocks = _BLOCKS * len(channels)
        self.from_image = nn.Conv2d(spec.channels, channels[0], 1, bias=False)
        stages: list[nn.Module] = []
        for index, before in enumerate(channels):
            stages += [_Block(before, num_blocks) for _ in range(_BLOCKS)]
            if index + 1 < len(channels):
                stages.append(_Resample(up=False))
                if before != channels[index + 1]:
                    stages.append(nn.Conv2d(before, channels[index + 1], 1, bias=False))
        self.stages = nn.Sequential(*stages)
        self.basis = nn.Conv2d(channels[-1], channels[-1], base, groups=channels[-1], bias=False)
        self.head = ProjectionHead(channels[-1], spec.num_classes)
        _init_plain(self)

    def stem(self, x: Tensor) -> Tensor:
        out: Tensor = self.from_image(x)
        return out

    def condense(self, maps: Tensor) -> Tensor:
        out: Tensor = self.basis(self.stages(maps))
        return out.flatten(1)

    def decide(self, features: Tensor, labels: Tensor | None) -> Tensor:
        logits: Tensor = self.head(features, labels)
        return logits


@register
def r3gan(spec: NetworkSpec) -> Networks:
    """At `width` 768: generator and discriminator about 21 M each at 32 px, 22.4 M at 64 px, as published.

    Raises `ConfigError` unless `width` is a multiple of 16.
    """
    if spec.width % 16:
        near = max(16, round(spec.width / 16) * 16)
        raise ConfigError(f"--width {spec.width}: r3gan works in groups of 16; the nearest width that works is {near}.")
    return Networks(R3ganGenerator(spec), R3ganDiscriminator(spec))


def _channels(width: int, doublings: int) -> list[int]:
    """From the smallest map up; never below one group of 16 inside a block."""
    wide = [max(8, width >> max(0, stage - _WIDE_STAGES + 1)) for stage in range(doublings + 1)]
    return [channels - channels % 8 for channels in wide]


def _init(layer: nn.Conv2d | nn.Linear, gain: float) -> None:
    """W ~ N(0, gain / sqrt(fan in)), bias 0."""
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _init_plain(module: nn.Module) -> None:
    """Gain 1 for every layer outside the blocks."""
    inside = {layer for block in module.modules() if isinstance(block, _Block) for layer in block.modules()}
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer not in inside:
            _init(layer, 1.0)
