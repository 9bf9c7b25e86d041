"""FastGAN (Liu et al. 2021), for a few hundred images at 128 px and more: skip-layer excitation, a discriminator that
also learns to redraw the reals. The original compares redrawings with a downloaded network; here it is several scales
of plain difference, so that nothing is downloaded."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gancli.models.layers import ClassLatent, ProjectionHead, base_and_doublings, init_normal
from gancli.models.registry import Networks, NetworkSpec, register

# Times `width`, by stage: stage i is 4 · 2^i px wide, or 5 to 7 times a power of two.
_UP_CHANNELS = (16, 8, 4, 2, 2, 1, 0.5, 0.25, 0.125)
_DOWN_CHANNELS = (16, 16, 8, 4, 2, 1, 0.5, 0.25, 0.125)
_SKIP_UP, _SKIP_DOWN = 4, 3  # so many stages a skip-layer excitation leaps
_STEM_STAGE = 6  # above 256 px the discriminator begins with plain strided convolutions
_REDRAWN_STAGE = 5  # redrawings have at most 128 px
_MID_STAGE = 2


class _Noise(nn.Module):
    """Adds N(0, 1) times a learned number (0 at first) while training; sampling is by the latent alone."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        n, _, height, width = x.shape
        return x + self.weight * torch.randn(n, 1, height, width, device=x.device, dtype=x.dtype)


class _Excitation(nn.Module):
    """big · sigmoid(conv1(swish(conv4(pool4(small))))): a small early map says which channels of a late one count."""

    def __init__(self, small: int, big: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(4),
            nn.Conv2d(small, big, 4, bias=False),
            nn.SiLU(),
            nn.Conv2d(big, big, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, small: Tensor, big: Tensor) -> Tensor:
        out: Tensor = big * self.gate(small)
        return out


def _up(before: int, after: int, *, noisy: bool) -> nn.Sequential:
    """Nearest doubling, conv3 to 2C, (noise,) BN, GLU; the noisy kind does it once more without the doubling."""
    layers: list[nn.Module] = [nn.Upsample(scale_factor=2), nn.Conv2d(before, 2 * after, 3, padding=1, bias=False)]
    layers += [_Noise()] if noisy else []
    layers += [nn.BatchNorm2d(2 * after), nn.GLU(dim=1)]
    if noisy:
        layers += [nn.Conv2d(after, 2 * after, 3, padding=1, bias=False), _Noise()]
        layers += [nn.BatchNorm2d(2 * after), nn.GLU(dim=1)]
    return nn.Sequential(*layers)


class FastganGenerator(nn.Module):
    """Latent as a 1x1 map, one transposed convolution, then doublings of two kinds in turn; conv3, tanh."""

    draws_noise = True

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        base, doublings = base_and_doublings(spec.size)
        channels = _channels(_UP_CHANNELS, spec.width)
        self.latent = ClassLatent(spec.latent_dim, spec.num_classes)
        self.start = nn.Sequential(
            nn.ConvTranspose2d(self.latent.out_dim, 2 * channels[0], base, bias=False),
            nn.BatchNorm2d(2 * channels[0]),
            nn.GLU(dim=1),
        )
        pairs = pairwise(channels[: doublings + 1])
        self.ups = nn.ModuleList(_up(a, b, noisy=i % 2 == 0) for i, (a, b) in enumerate(pairs))
        self.skips = nn.ModuleList(
            _Excitation(channels[stage - _SKIP_UP], channels[stage]) for stage in range(_SKIP_UP, doublings + 1)
        )
        self.to_image = nn.Conv2d(channels[doublings], spec.channels, 3, padding=1, bias=False)
        init_normal(self)
        _normalise(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        maps = [self.start(self.latent(z, labels)[:, :, None, None])]
        for stage, up in enumerate(self.ups, start=1):
            x = up(maps[-1])
            if stage >= _SKIP_UP:
                x = self.skips[stage - _SKIP_UP](maps[stage - _SKIP_UP], x)
            maps.append(x)
        out: Tensor = self.to_image(maps[-1]).tanh()
        return out


class _DownPair(nn.Module):
    """The mean of (conv4 s2, BN, lrelu, conv3, BN, lrelu) and (mean pool, conv1, BN, lrelu)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *_down(before, after),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.LeakyReLU(0.2),
        )
        self.direct = nn.Sequential(
            nn.AvgPool2d(2),
            nn.Conv2d(before, after, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.LeakyReLU(0.2),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = (self.main(x) + self.direct(x)) / 2
        return out


class FastganDiscriminator(nn.Module):
    """Two branches: the whole image through `_DownPair`s and excitations, a small copy through plain halvings.

    Each ends in a map of logits, one for each patch; their mean is the logit. `judge_and_redraw` is what it learns from
    reals: to know them, and to draw them again.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.base, doublings = base_and_doublings(spec.size)
        channels = _channels(_DOWN_CHANNELS, spec.width)
        self.top = min(doublings, _STEM_STAGE)
        self.stem = _stem(spec.channels, channels, doublings, self.top)
        self.downs = nn.ModuleList(_DownPair(channels[s], channels[s - 1]) for s in range(self.top, 1, -1))
        self.skips = nn.ModuleDict(
            {str(s): _Excitation(channels[s + _SKIP_DOWN], channels[s]) for s in range(1, self.top - _SKIP_DOWN + 1)}
        )
        self.to_logits = nn.Sequential(
            nn.Conv2d(channels[1], channels[1], 1, bias=False),
            nn.BatchNorm2d(channels[1]),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels[1], 1, 4, bias=False),
        )
        # a copy of 16 px and more: below, the whole image is small enough
        self.small_stage = min(doublings - 1, _REDRAWN_STAGE) if doublings >= 3 else 0
        self.small = _small_branch(spec.channels, channels, self.small_stage)
        self.small_logits = nn.Conv2d(channels[1], 1, 4, bias=False) if self.small else None
        self.project = ProjectionHead(channels[1], spec.num_classes) if spec.num_classes else None
        self.decoders = nn.ModuleDict(_decoders(spec, channels, self.small_stage))
        init_normal(self)
        _normalise(self)
        if self.project is not None and self.project.embed is not None:
            spectral_norm(self.project.embed)

    def features(self, x: Tensor) -> Tensor:
        """The last map of the large branch, its mean over the pixels: [N, F]."""
        return self._maps(x)[0].mean(dim=(2, 3))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.patch_logits(x, labels).mean(1)

    def patch_logits(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """The logits [N, P] of the patches of both branches, which the loss takes one by one."""
        last, _ = self._maps(x)
        return self._decide(last, self._small_map(x), labels)

    def judge_and_redraw(self, reals: Tensor, labels: Tensor | None, draw: int) -> tuple[Tensor, Tensor]:
        """The logits of `reals` [N, C, H, W] and how badly they are redrawn from the same maps.

        Redrawn are the whole, from both branches, and one quadrant from a middle map; `draw` chooses it. A scalar: L1
        at three scales, in units of the [-1, 1] range. Zero below 32 px.
        """
        last, middle = self._maps(reals)
        small_map = self._small_map(reals)
        logits = self._decide(last, small_map, labels)
        if small_map is None:
            return logits, reals.new_zeros(())
        small = self._shrink(reals)
        loss = _difference(self.decoders["whole"](last), small)
        loss = loss + _difference(self.decoders["small"](small_map), small)
        part = self.decoders["part"](_quadrant(middle, draw))
        return logits, loss + _difference(part, _resize(_quadrant(reals, draw), part))

    def _decide(self, last: Tensor, small_map: Tensor | None, labels: Tensor | None) -> Tensor:
        maps = [self.to_logits(last)]
        if small_map is not None and self.small_logits is not None:
            maps.append(self.small_logits(small_map))
        logits = torch.cat([m.flatten(1) for m in maps], dim=1)
        if self.project is not None:
            logits = logits + self.project(last.mean(dim=(2, 3)), labels)[:, None]
        return logits

    def _small_map(self, x: Tensor) -> Tensor | None:
        """The last map of the small branch, where there is one."""
        out: Tensor | None = None if self.small is None else self.small(self._shrink(x))
        return out

    def _maps(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The last map (8 px) and the middle one (16 px) of the large branch."""
        maps = {self.top: self.stem(x)}
        for stage, down in zip(range(self.top - 1, 0, -1), self.downs, strict=True):
            y = down(maps[stage + 1])
            if str(stage) in self.skips:
                y = self.skips[str(stage)](maps[stage + _SKIP_DOWN], y)
            maps[stage] = y
        return maps[1], maps[min(_MID_STAGE, self.top)]

    def _shrink(self, x: Tensor) -> Tensor:
        height, width = (side << self.small_stage for side in self.base)
        return F.interpolate(x, size=(height, width), mode="area")


def _down(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]


def _stem(image: int, channels: list[int], doublings: int, top: int) -> nn.Sequential:
    """To the first map, at most 256 px: conv3, or conv4 s2 once or twice above it."""
    if doublings == top:
        return nn.Sequential(nn.Conv2d(image, channels[top], 3, padding=1, bias=False), nn.LeakyReLU(0.2))
    layers: list[nn.Module] = [nn.Conv2d(image, channels[doublings - 1], 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    for stage in range(doublings - 1, top, -1):
        layers += _down(channels[stage], channels[stage - 1])
    return nn.Sequential(*layers)


def _small_branch(image: int, channels: list[int], stage: int) -> nn.Sequential | None:
    if not stage:
        return None
    layers: list[nn.Module] = [nn.Conv2d(image, channels[stage - 1], 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    for s in range(stage - 1, 1, -1):
        layers += _down(channels[s], channels[s - 1])
    return nn.Sequential(*layers)


def _decoders(spec: NetworkSpec, down: list[int], stage: int) -> dict[str, nn.Module]:
    """From a map of stage 1 back to an image of `stage`, for each thing redrawn."""
    if not stage:
        return {}
    up = _channels(_UP_CHANNELS, max(1, spec.width // 2))

    def decoder(before: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for s in range(2, stage + 1):
            layers.append(_up(before, up[s], noisy=False))
            before = up[s]
        return nn.Sequential(*layers, nn.Conv2d(before, spec.channels, 3, padding=1, bias=False), nn.Tanh())

    return {"whole": decoder(down[1]), "small": decoder(down[1]), "part": decoder(down[_MID_STAGE])}


def _quadrant(x: Tensor, draw: int) -> Tensor:
    """One of the four quarters of each map."""
    height, width = x.shape[2] // 2, x.shape[3] // 2
    top, left = (draw // 2 % 2) * height, (draw % 2) * width
    return x[:, :, top : top + height, left : left + width]


def _resize(x: Tensor, like: Tensor) -> Tensor:
    size = (like.shape[2], like.shape[3])
    return x if x.shape[2:] == like.shape[2:] else F.interpolate(x, size=size, mode="bilinear", antialias=True)


def _difference(a: Tensor, b: Tensor, scales: int = 3) -> Tensor:
    """The mean absolute difference, added up over halved sizes: coarse layout counts as much as detail."""
    total = (a - b).abs().mean()
    for _ in range(scales - 1):
        if min(a.shape[2:]) < 4:
            break
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        total = total + (a - b).abs().mean()
    return total


def _channels(multiples: tuple[float, ...], width: int) -> list[int]:
    return [max(1, int(multiple * width)) for multiple in multiples]


def _normalise(module: nn.Module) -> None:
    """Spectral norm on every convolution and linear layer, after they have their first weights."""
    for layer in list(module.modules()):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            spectral_norm(layer)


@register
def fastgan(spec: NetworkSpec) -> Networks:
    """At `width` 64 as published, but for the second output at 128 px: the small copy is made from the large image."""
    return Networks(FastganGenerator(spec), FastganDiscriminator(spec))
