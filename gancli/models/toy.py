"""Small perceptrons for 2-D points, measured to cover every mode of the ring and the grid."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from gancli.models.registry import Networks, NetworkSpec, register

_HIDDEN = 3


class ToyGenerator(nn.Module):
    """z -> three hidden layers of `width` with leaky ReLU .2 -> a point."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.layers = _perceptron(spec.latent_dim, spec.width, spec.channels)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        out: Tensor = self.layers(z)
        return out


class ToyDiscriminator(nn.Module):
    """A point -> three hidden layers of `width` with leaky ReLU .2 -> a logit. No normalisation."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.layers = _perceptron(spec.channels, spec.width, 1)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees: [N, width]."""
        out: Tensor = self.layers[:-1](x)
        return out

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits.squeeze(1)


@register
def toy(spec: NetworkSpec) -> Networks:
    """2-D points only; no classes."""
    return Networks(ToyGenerator(spec), ToyDiscriminator(spec))


def _perceptron(inputs: int, width: int, outputs: int) -> nn.Sequential:
    """Weights He normal; hidden biases spread (U(-1, 1) at first, then U(-.1, .1)), so the kinks cover the plane."""
    widths = [inputs] + [width] * _HIDDEN
    layers: list[nn.Module] = []
    for index, (before, after) in enumerate(pairwise(widths)):
        linear = nn.Linear(before, after)
        nn.init.kaiming_normal_(linear.weight, a=0.2)
        reach = 0.1 if index else 1.0
        with torch.no_grad():
            linear.bias.uniform_(-reach, reach)
        layers += [linear, nn.LeakyReLU(0.2)]
    last = nn.Linear(width, outputs)
    nn.init.kaiming_normal_(last.weight, a=0.2)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)
