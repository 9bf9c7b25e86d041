"""What learns: networks, running average, optimizers, augmentation; and their way into a checkpoint."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gancli.config import Engine, TrainConfig
from gancli.data.streams import stream
from gancli.models.checkpoint import FORMAT_VERSION, Checkpoint
from gancli.models.registry import build_networks, network_spec

__all__ = ["State"]


@dataclass(kw_only=True)
class State:
    """Everything that a step changes. `nimg` counts the real images drawn for the discriminator."""

    generator: nn.Module
    generator_ema: nn.Module
    discriminator: nn.Module
    optimizer_g: torch.optim.Optimizer
    optimizer_d: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None = None  # of the losses, where the engine computes in fp16
    nimg: int = 0
    draw: int = 0
    augment: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def fresh(cls, config: TrainConfig, engine: Engine) -> State:
        """Untrained networks, from the run's seed alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream(config.seed, "init").initial_seed())
            generator, discriminator = build_networks(config.networks, network_spec(config))
        layout = torch.channels_last if engine.channels_last and not config.is_points else torch.contiguous_format
        for module in (generator, discriminator):
            module.to(device=engine.device)
            module.to(memory_format=layout)
        generator_ema = copy.deepcopy(generator).requires_grad_(False).eval()
        return cls(
            generator=generator.train(),
            generator_ema=generator_ema,
            discriminator=discriminator.train(),
            optimizer_g=_adam(generator, config.g_lr, config),
            optimizer_d=_adam(discriminator, config.d_lr, config),
            scaler=_scaler(engine),
        )

    @classmethod
    def restored(cls, checkpoint: Checkpoint, engine: Engine) -> State:
        """The state in `checkpoint`, on the device of `engine`."""
        state = cls.fresh(checkpoint.config, engine)
        state.load(checkpoint)
        return state

    def load(self, checkpoint: Checkpoint) -> None:
        """Takes everything from `checkpoint`, position included."""
        saved = checkpoint.states
        self.generator.load_state_dict(saved["generator"])
        self.generator_ema.load_state_dict(saved["generator_ema"])
        self.discriminator.load_state_dict(saved["discriminator"])
        self.optimizer_g.load_state_dict(saved["optimizer_g"])
        self.optimizer_d.load_state_dict(saved["optimizer_d"])
        self.augment = dict(saved["augment"])
        if self.scaler is not None and saved.get("scaler"):
            self.scaler.load_state_dict(saved["scaler"])
        self.nimg = checkpoint.nimg
        self.draw = checkpoint.draw

    def content(
        self, config: TrainConfig, engine: Engine, card: dict[str, Any], extra: dict[str, Any]
    ) -> dict[str, Any]:
        """The dict of a checkpoint; CLI.md names its fields. `card` describes the data, `extra` holds plain numbers."""
        return {
            "format_version": FORMAT_VERSION,
            "recipe": config.recipe,
            "config": config.to_dict(),
            "engine": engine.to_dict(),
            "nimg": self.nimg,
            "draw": self.draw,
            "generator": self.generator.state_dict(),
            "generator_ema": self.generator_ema.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "optimizer_g": self.optimizer_g.state_dict(),
            "optimizer_d": self.optimizer_d.state_dict(),
            "augment": self.augment,
            "scaler": {} if self.scaler is None else self.scaler.state_dict(),
            "data_card": card,
            "extra": extra,
        }

    @torch.no_grad()
    def average(self, beta: float | Tensor) -> None:
        """Moves the running average: ema = beta · ema + (1 - beta) · generator, buffers as well.

        Not the unit vectors of spectral norm, which as averages would be shorter: they are the generator's.
        """
        ema, now, vectors, new_vectors = [], [], [], []
        for (name, mean), value in zip(
            self.generator_ema.state_dict().items(), self.generator.state_dict().values(), strict=True
        ):
            if name.endswith(("._u", "._v")):
                vectors.append(mean)
                new_vectors.append(value)
            elif mean.is_floating_point():
                ema.append(mean)
                now.append(value)
        if vectors:
            torch._foreach_copy_(vectors, new_vectors)
        if isinstance(beta, float):
            torch._foreach_lerp_(ema, now, 1.0 - beta)
            return
        way = torch._foreach_sub(now, ema)  # the same in three kernels, none of which asks the device for beta
        torch._foreach_mul_(way, 1.0 - beta)
        torch._foreach_add_(ema, way)


def _adam(module: nn.Module, lr: float, config: TrainConfig) -> torch.optim.Optimizer:
    device = next(module.parameters()).device
    fused = device.type in ("cpu", "cuda")
    return torch.optim.Adam(module.parameters(), lr=lr, betas=config.betas, eps=1e-8, fused=fused)


def _scaler(engine: Engine) -> torch.amp.GradScaler | None:
    if engine.precision != "fp16":
        return None
    return torch.amp.GradScaler(torch.device(engine.device).type)
