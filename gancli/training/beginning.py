"""A run that begins from another: `--init-from` takes its networks to other data, `--grow-from` makes them the core of
networks twice the size."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from gancli.config import DataFacts, Engine, TrainConfig, TrainOptions
from gancli.errors import CheckpointError, ConfigError, UsageError
from gancli.models.checkpoint import Checkpoint, read_checkpoint
from gancli.recipes import TUNABLE
from gancli.sizes import parse_size
from gancli.text import clean, plural
from gancli.training.repeat import as_before
from gancli.training.state import State

__all__ = ["Beginning", "read_beginning"]

_ADVICE = "Give a set like the one before."
_NETWORKS = ("generator", "generator_ema", "discriminator")


def read_beginning(init_from: Path | None, grow_from: Path | None) -> Beginning | None:
    """What a run begins from: a run to fine-tune at its best, or one to grow as it ended; None without either.

    Raises `CheckpointError`, `UsageError` when both are named, `ConfigError` for points, which have no size to double.
    """
    if init_from is not None and grow_from is not None:
        raise UsageError("--grow-from and --init-from both say where to begin. Give one of them.")
    for path in (init_from, grow_from):
        if path is not None and path.suffix in (".safetensors", ".onnx"):
            raise CheckpointError(f"'{clean(path)}' is an export, without a discriminator. Name the run it came from.")
    if init_from is not None:
        return Beginning(parent=read_checkpoint(init_from), grows=False)
    if grow_from is None:
        return None
    # the first grid after growing is the parent's last one, whatever was best
    parent = read_checkpoint(grow_from / "last.pt" if (grow_from / "last.pt").is_file() else grow_from)
    if parent.config.is_points:
        raise ConfigError(f"--grow-from '{clean(grow_from)}' makes points, which have no size. Name a run of images.")
    return Beginning(parent=parent, grows=True)


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """The checkpoint that a run begins from; `grows`: at twice its size."""

    parent: Checkpoint
    grows: bool

    def options(self, options: TrainOptions, given: Collection[str]) -> TrainOptions:
        """`options` with what the networks need: recipe, size, width, latent, classes; where nothing else was asked,
        with the parent's data, its loss, and the numbers that it had been given.

        `given`: names of options that were asked for although they equal their default. Raises `ConfigError` where the
        networks would have to be others.
        """
        before = self.parent.config
        if options.data is not None and options.data.startswith("toy:") != before.is_points:
            raise ConfigError(f"{self._name} makes {'points' if before.is_points else 'images'}. {_ADVICE}")
        for flag, asked, known in (
            ("--model", options.model, before.recipe),
            ("--width", options.width, before.width),
            ("--latent-dim", options.latent_dim, before.latent_dim),
        ):
            if asked is not None and asked != known:
                raise ConfigError(f"{flag} {clean(asked, 40)}: {self._name} has {known}, which stays. Leave it out.")
        if options.conditional and not before.num_classes:
            raise ConfigError(f"--conditional: {self._name} was trained without classes. Leave --conditional out.")
        if before.num_classes and "conditional" in given and not options.conditional:
            raise ConfigError(f"--no-conditional: {self._name} was trained with classes. Leave --no-conditional out.")
        options = replace(options, size=self._size(options.size), model=None)
        like = as_before(options, before, given=given, adapts=True)
        return replace(
            options,
            data=options.data or before.data,
            model=before.recipe,
            conditional=before.num_classes > 0,
            loss=like.loss,
            **{name: getattr(like, name) for name in TUNABLE},
        )

    def check(self, facts: DataFacts) -> None:
        """Raises `ConfigError` when the set has other channels or classes than the networks were made for."""
        before = self.parent.config
        if facts.channels != before.channels:
            raise ConfigError(
                f"{self._name} was trained on {plural(before.channels, 'channel')}; this set has {facts.channels}. "
                f"{_ADVICE}"
            )
        if before.num_classes and facts.class_names != before.class_names:
            raise ConfigError(
                f"{self._name} knows the classes {_names(before.class_names)}; this set has "
                f"{_names(facts.class_names)}. Give one sub-folder for each of the same classes."
            )

    def config(self, config: TrainConfig, options: TrainOptions) -> TrainConfig:
        """`config` of a run that begins here; it names these weights, so that a run from others is another one.

        Pictures that the parent did not mirror are not mirrored now, unless `options` say so.
        """
        before = self.parent.config
        flip = before.flip if options.flip is None and config.data == before.data else config.flip
        return replace(config, flip=flip, grown=before.grown + self.grows, begun_from=self._origin())

    def state(self, config: TrainConfig, engine: Engine) -> State:
        """The parent's weights and running average, with untrained layers around them if it grows; optimizers and
        position are new. Raises `ConfigError` where dropout would be another layer, `CheckpointError` when the weights
        are not those of the parent's own config."""
        state = State.fresh(config, engine)
        try:
            for name in _NETWORKS:
                network: nn.Module = getattr(state, name)
                core = network.get_submodule("inner") if self.grows else network
                core.load_state_dict(self.parent.states[name])
        except (RuntimeError, AttributeError) as error:
            if bool(config.dropout) != bool(self.parent.config.dropout):
                raise ConfigError(
                    f"--dropout {config.dropout:g}: {self._name} has {self.parent.config.dropout:g}, and in these "
                    "networks that is a layer more or less. Leave --dropout out."
                ) from error
            raise CheckpointError(f"{self._name}: its networks do not fit its own config.") from error
        if self.grows:
            # the new layers begin alike in both
            for name, value in state.generator.state_dict().items():
                if not name.startswith("inner."):
                    state.generator_ema.state_dict()[name].copy_(value)
        return state

    @property
    def _name(self) -> str:
        return f"{'--grow-from' if self.grows else '--init-from'} '{clean(self.parent.path)}'"

    def _size(self, asked: str | None) -> str | None:
        before, times = self.parent.config, 2 if self.grows else 1
        if before.is_points:
            return asked
        width, height = (times * side for side in before.size)
        size = f"{width}" if width == height else f"{width}x{height}"
        if asked is not None and parse_size(asked) != (width, height):
            other = (
                "growing doubles each side" if self.grows else "its networks stay that size (--grow-from doubles it)"
            )
            raise ConfigError(
                f"--size {clean(asked, 20)}: {self._name} is {before.size[0]}x{before.size[1]}, and {other}. "
                f"Give --size {size}, or leave --size out."
            )
        return size

    def _origin(self) -> str:
        parent, digest = self.parent, hashlib.sha256()
        for name in _NETWORKS:
            for key, value in parent.states[name].items():
                digest.update(key.encode())
                digest.update(value.detach().contiguous().reshape(-1).view(torch.uint8).numpy())
        return f"{parent.config.recipe} at {parent.nimg / 1000:.1f} kimg ({digest.hexdigest()[:16]})"


def _names(names: tuple[str, ...]) -> str:
    shown = ", ".join(clean(name, 40) for name in names[:6])
    return f"{shown}{', …' if len(names) > 6 else ''}" or "none"
