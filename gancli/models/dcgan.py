"""DCGAN (Radford et al. 2015) for any size of 4..7 times a power of two."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from gancli.models.layers import (
    ClassLatent,
    ProjectionHead,
    StagedDiscriminator,
    StagedGenerator,
    base_and_doublings,
    init_normal,
)
from gancli.models.registry import Networks, NetworkSpec, register

_MAX_MULTIPLE = 16


class DcganGenerator(StagedGenerator):
    """Latent as a 1x1 map -> transposed convolutions k4 s2, batch norm, ReLU -> tanh."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        base, doublings = base_and_doublings(spec.size)
        channels = _channels(spec.width, doublings)[::-1]
        self.latent = ClassLatent(spec.latent_dim, spec.num_classes)
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(self.latent.out_dim, channels[0], base, bias=False),
            nn.BatchNorm2d(channels[0]),
            nn.ReLU(),
        ]
        for before, after in pairwise(channels):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.ConvTranspose2d(channels[-1], spec.channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        init_normal(self)

    def draw(self, z: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        maps = self.layers[:-2](self.latent(z, labels)[:, :, None, None])
        return maps, self.layers[-2:](maps)


class DcganDiscriminator(StagedDiscriminator):
    """Convolutions k4 s2 with leaky ReLU .2, batch norm on all but the first, then one convolution to a logit."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        base, doublings = base_and_doublings(spec.size)
        channels = _channels(spec.width, doublings)
        layers: list[nn.Module] = []
        before = spec.channels
        for index, after in enumerate(channels):
            layers.append(nn.Conv2d(before, after, 4, 2, 1, bias=False))
            if index:
                layers.append(nn.BatchNorm2d(after))
            layers.append(nn.LeakyReLU(0.2))
            if spec.dropout:
                layers.append(nn.Dropout2d(spec.dropout))
            before = after
        self.layers = nn.Sequential(*layers)
        self.head = ProjectionHead(before * base[0] * base[1], spec.num_classes)
        init_normal(self)

    def stem(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers[:2](x)
        return out

    def condense(self, maps: Tensor) -> Tensor:
        out: Tensor = self.layers[2:](maps)
        return out.flatten(1)

    def decide(self, features: Tensor, labels: Tensor | None) -> Tensor:
        logits: Tensor = self.head(features, labels)
        return logits


def _channels(width: int, doublings: int) -> list[int]:
    """From the largest map down: w, 2w, 4w … at most 16w."""
    return [width * min(2**i, _MAX_MULTIPLE) for i in range(doublings)]


@register
def dcgan(spec: NetworkSpec) -> Networks:
    """At 64 px and `width` 64: generator 3.6 M, discriminator 2.8 M parameters, as in the paper."""
    return Networks(DcganGenerator(spec), DcganDiscriminator(spec))
