"""From a run or a checkpoint to a network that makes pictures; no setting is asked for again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gancli.config import TrainConfig
from gancli.errors import CheckpointError
from gancli.models.checkpoint import Checkpoint, find_checkpoint, read_checkpoint
from gancli.models.devices import pick_device
from gancli.models.registry import build_networks, network_spec
from gancli.text import clean

__all__ = ["LoadedGenerator", "find_checkpoint", "load_discriminator", "load_generator"]


@dataclass(frozen=True, kw_only=True)
class LoadedGenerator:
    """A trained generator in evaluation mode, fp32.

    `module(z [N, latent_dim], labels int64 [N] | None) -> [N, C, H, W]` in [-1, 1], or [N, 2] for points (in units
    of `data_card['scale']`).
    """

    module: nn.Module
    config: TrainConfig
    path: Path
    nimg: int
    device: torch.device
    data_card: dict[str, Any]
    net: str
    extra: dict[str, Any]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes in label order; empty without classes."""
        return self.config.class_names


def load_generator(path: Path | str, *, net: str = "ema", device: str = "cpu") -> LoadedGenerator:
    """The generator of a run (its best.pt, else last.pt) or a checkpoint.

    `net`: 'ema' (the running average of the weights) or 'raw'. Raises `CheckpointError`.
    """
    checkpoint = read_checkpoint(path)
    where = pick_device(device)
    state = checkpoint.states["generator_ema" if net == "ema" else "generator"]
    with torch.random.fork_rng(devices=[]):
        module = build_networks(checkpoint.config.networks, network_spec(checkpoint.config)).generator
    _fill(module, state, checkpoint, "generator")
    module.requires_grad_(False).eval().to(where)
    return LoadedGenerator(
        module=module,
        config=checkpoint.config,
        path=checkpoint.path,
        nimg=checkpoint.nimg,
        device=where,
        data_card=checkpoint.states["data_card"],
        net=net,
        extra=checkpoint.extra,
    )


def load_discriminator(path: Path | str, *, device: str = "cpu") -> nn.Module:
    """The discriminator of a run or checkpoint, in evaluation mode, fp32. Raises `CheckpointError`."""
    checkpoint = read_checkpoint(path)
    with torch.random.fork_rng(devices=[]):
        module = build_networks(checkpoint.config.networks, network_spec(checkpoint.config)).discriminator
    _fill(module, checkpoint.states["discriminator"], checkpoint, "discriminator")
    return module.requires_grad_(False).eval().to(pick_device(device))


def _fill(module: nn.Module, state: dict[str, Any], checkpoint: Checkpoint, what: str) -> None:
    try:
        module.load_state_dict(state)
    except (RuntimeError, AttributeError, TypeError) as error:
        reason = clean(str(error).splitlines()[-1], 160)
        raise CheckpointError(
            f"'{clean(checkpoint.path)}': its {what} does not fit its own config ({reason})."
        ) from error
