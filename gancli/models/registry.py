"""The families of networks by name. A new family is tested by being registered."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from torch import nn

from gancli.config import TrainConfig

__all__ = ["NetworkSpec", "Networks", "build_networks", "network_spec", "register"]


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """What a family must know to build its pair. `size` is (width, height) in px, (0, 0) for 2-D points.

    `grown`: how many doublings were added to a pair of smaller size (gancli.models.growing).
    """

    latent_dim: int
    width: int
    size: tuple[int, int]
    channels: int
    num_classes: int = 0
    dropout: float = 0.0
    grown: int = 0


class Networks(NamedTuple):
    """A pair. `generator(z [N, latent_dim], labels [N] | None) -> [N, C, H, W]` in [-1, 1] (points: [N, 2]);
    `discriminator(x, labels | None) -> logits [N]`, higher is more real."""

    generator: nn.Module
    discriminator: nn.Module


_FAMILIES: dict[str, Callable[[NetworkSpec], Networks]] = {}
_MODULES = ("mlp", "compact", "dcgan", "progan", "resnet", "r3gan", "fastgan", "toy")


def register(family: Callable[[NetworkSpec], Networks]) -> Callable[[NetworkSpec], Networks]:
    """Enters a family under its function's name. Two of one name are our bug."""
    name = family.__name__
    assert name not in _FAMILIES, f"two network families are called {name}"
    _FAMILIES[name] = family
    return family


def build_networks(family: str, spec: NetworkSpec) -> Networks:
    """The untrained pair of `family`, initialised from torch's current random state."""
    for module in _MODULES:
        importlib.import_module(f"gancli.models.{module}")
    if not spec.grown:
        return _FAMILIES[family](spec)
    from gancli.models.growing import grow

    smaller = replace(spec, size=(spec.size[0] // 2, spec.size[1] // 2), grown=spec.grown - 1)
    return Networks(*grow(spec, build_networks(family, smaller)))


def network_spec(config: TrainConfig) -> NetworkSpec:
    """The part of `config` that shapes the networks."""
    return NetworkSpec(
        latent_dim=config.latent_dim,
        width=config.width,
        size=config.size,
        channels=config.channels,
        num_classes=config.num_classes,
        dropout=config.dropout or 0.0,
        grown=config.grown,
    )
