"""Growing: a trained pair at half the size becomes the core of a pair at twice that size (Karras et al. 2018).

The old layers keep their weights, the new ones fade in: at `alpha` 0 the images are the old ones, doubled, and the
discriminator sees them halved; at 1 only the new path counts.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

from gancli.errors import ConfigError
from gancli.models.layers import PixelNorm, StagedDiscriminator, StagedGenerator
from gancli.models.registry import Networks, NetworkSpec

__all__ = ["grow", "set_fade"]

_LEAST_CHANNELS = 16


class GrownGenerator(StagedGenerator):
    """The old generator and a new stage on its last maps: doublings, convolutions, pixel norm, conv1 to the image."""

    alpha: Tensor

    def __init__(self, inner: StagedGenerator, maps: Tensor, spec: NetworkSpec) -> None:
        super().__init__()
        self.inner = inner
        self.bounded = inner.bounded
        channels = max(_LEAST_CHANNELS, maps.shape[1] // 2)
        layers: list[nn.Module] = []
        before, width = maps.shape[1], maps.shape[3]
        while width < spec.size[0]:
            layers += [nn.Upsample(scale_factor=2), *_conv(before, channels), PixelNorm()]
            before, width = channels, 2 * width
        self.stage = nn.Sequential(*layers, *_conv(channels, channels), PixelNorm())
        self.to_image = nn.Conv2d(channels, spec.channels, 1)
        self.register_buffer("alpha", torch.zeros(()))

    def draw(self, z: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        maps, small = self.inner.draw(z, labels)
        maps = self.stage(maps)
        images = self.to_image(maps)
        if self.bounded:
            images = images.tanh()
        return maps, torch.lerp(F.interpolate(small, scale_factor=2, mode="nearest"), images, self.alpha)


class GrownDiscriminator(StagedDiscriminator):
    """The old discriminator behind a new stem, which fades in beside the old stem's view of the halved image."""

    alpha: Tensor

    def __init__(self, inner: StagedDiscriminator, maps: Tensor, spec: NetworkSpec) -> None:
        super().__init__()
        self.inner = inner
        after = maps.shape[1]
        channels = max(_LEAST_CHANNELS, after // 2)
        layers = _conv(spec.channels, channels)
        width = spec.size[0]
        while width > maps.shape[3]:
            layers += [*_conv(channels, after), nn.AvgPool2d(2)]
            channels, width = after, width // 2
        self.fresh = nn.Sequential(*layers)
        if any(is_parametrized(layer) for layer in inner.modules()):
            for layer in layers:
                if isinstance(layer, nn.Conv2d):
                    spectral_norm(layer)
        self.register_buffer("alpha", torch.zeros(()))

    def stem(self, x: Tensor) -> Tensor:
        old = self.inner.stem(F.avg_pool2d(x, 2))
        return torch.lerp(old, self.fresh(x), self.alpha)

    def condense(self, maps: Tensor) -> Tensor:
        return self.inner.condense(maps)

    def decide(self, features: Tensor, labels: Tensor | None) -> Tensor:
        return self.inner.decide(features, labels)


def grow(spec: NetworkSpec, smaller: Networks) -> tuple[nn.Module, nn.Module]:
    """The pair of `spec`'s size around `smaller`, a pair of half that size. Raises `ConfigError` if it cannot grow."""
    generator, discriminator = smaller
    if not isinstance(generator, StagedGenerator) or not isinstance(discriminator, StagedDiscriminator):
        raise ConfigError(
            "--grow-from: the networks of vanilla and of fastgan cannot grow. Grow a run of compact, dcgan, wgan-gp, "
            "wgan-gp-resnet, sngan, r3gan-s, r3gan-m or r3gan-l, or train at the full size from the start."
        )
    width, height = spec.size[0] // 2, spec.size[1] // 2
    was_training = generator.training
    generator.eval()
    with torch.no_grad():
        labels = torch.zeros(1, dtype=torch.long) if spec.num_classes else None
        maps, _ = generator.draw(torch.zeros(1, spec.latent_dim), labels)
        stem = discriminator.eval().stem(torch.zeros(1, spec.channels, height, width))
    generator.train(was_training)
    discriminator.train(was_training)
    return GrownGenerator(generator, maps, spec), GrownDiscriminator(discriminator, stem, spec)


def set_fade(alpha: float, *modules: nn.Module) -> None:
    """The newest stage of each grown network is faded in to `alpha` (0..1) at least; no stage ever fades back."""
    for module in modules:
        if isinstance(module, GrownGenerator | GrownDiscriminator):
            module.alpha.clamp_(min=alpha)
            inner: nn.Module = module.inner
            while isinstance(inner, GrownGenerator | GrownDiscriminator):
                inner.alpha.clamp_(min=alpha)
                inner = inner.inner


def _conv(before: int, after: int) -> list[nn.Module]:
    layer = nn.Conv2d(before, after, 3, padding=1)
    nn.init.kaiming_normal_(layer.weight, a=0.2)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return [layer, nn.LeakyReLU(0.2)]
