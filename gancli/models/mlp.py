"""Perceptrons: the vanilla GAN for small images, and for 2-D points."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn

from gancli.models.layers import ClassLatent, ProjectionHead
from gancli.models.registry import Networks, NetworkSpec, register

# Points come with unit mean square. At that size the pair stayed one wandering clump on toy:arcs for 200 epochs; at
# four and at eight times it was on both arcs after 15 (the course project had its points at fourteen times).
_POINTS_GAIN = 4.0


class MlpGenerator(nn.Module):
    """latent -> w -> 2w -> 4w -> pixels, leaky ReLU .2; tanh for images, linear for points."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.shape = _shape(spec)
        self.latent = ClassLatent(spec.latent_dim, spec.num_classes)
        widths = [self.latent.out_dim, spec.width, 2 * spec.width, 4 * spec.width]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.LeakyReLU(0.2)]
        layers.append(nn.Linear(widths[-1], math.prod(self.shape)))
        if len(self.shape) == 3:
            layers.append(nn.Tanh())
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        out: Tensor = self.layers(self.latent(z, labels))
        return out.reshape(-1, *self.shape)


class MlpDiscriminator(nn.Module):
    """pixels, or points four times as large -> 4w -> 2w -> w -> 1, leaky ReLU .2, dropout after each."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        shape = _shape(spec)
        self.gain = 1.0 if len(shape) == 3 else _POINTS_GAIN
        widths = [math.prod(shape), 4 * spec.width, 2 * spec.width, spec.width]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.LeakyReLU(0.2)]
            if spec.dropout:
                layers.append(nn.Dropout(spec.dropout))
        self.layers = nn.Sequential(*layers)
        self.head = ProjectionHead(spec.width, spec.num_classes)

    def features(self, x: Tensor) -> Tensor:
        """What the last hidden layer sees: [N, w]."""
        out: Tensor = self.layers(self.gain * x.flatten(1))
        return out

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        logits: Tensor = self.head(self.features(x), labels)
        return logits


def _shape(spec: NetworkSpec) -> tuple[int, ...]:
    width, height = spec.size
    return (spec.channels, height, width) if width else (spec.channels,)


@register
def mlp(spec: NetworkSpec) -> Networks:
    """Goodfellow et al. 2014; widths of the course project: 256, 512, 1024 at `width` 256."""
    return Networks(MlpGenerator(spec), MlpDiscriminator(spec))
