"""`--grow-from`: a run at half the size as the core of a new one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gancli.config import Engine, TrainConfig, TrainOptions
from gancli.errors import ConfigError
from gancli.models.checkpoint import Checkpoint, read_checkpoint
from gancli.sizes import parse_size
from gancli.text import clean
from gancli.training.state import State

__all__ = ["FADE_SHARE", "fade", "grown_config", "grown_options", "grown_state", "read_parent"]

FADE_SHARE = 0.3  # of the run; Karras et al. 2018 give half of a stage to fading in


def fade(progress: float) -> float:
    """How far the new layers count at `progress` (0..1) of the planned run."""
    return min(max(progress / FADE_SHARE, 0.0), 1.0)


def read_parent(path: Path) -> Checkpoint:
    """The smaller run as it ended (a folder's last.pt). Raises `CheckpointError`, or `ConfigError` for points."""
    parent = read_checkpoint(path / "last.pt" if (path / "last.pt").is_file() else path)
    if parent.config.is_points:
        raise ConfigError(f"--grow-from '{clean(path)}' makes points, which have no size. Name a run of images.")
    return parent


def grown_options(options: TrainOptions, parent: Checkpoint) -> TrainOptions:
    """`options` with what a grown run takes over: recipe, width and latent; twice the size. Raises `ConfigError`."""
    before = parent.config
    width, height = 2 * before.size[0], 2 * before.size[1]
    doubled = f"{width}" if width == height else f"{width}x{height}"
    if options.size is not None and parse_size(options.size) != (width, height):
        raise ConfigError(
            f"--size {clean(options.size, 20)}: '{clean(parent.path)}' is {before.size[0]}x{before.size[1]}, and "
            f"growing doubles each side. Give --size {doubled}, or leave --size out."
        )
    for flag, asked, known in (
        ("--model", options.model, before.recipe),
        ("--width", options.width, before.width),
        ("--latent-dim", options.latent_dim, before.latent_dim),
    ):
        if asked is not None and asked != known:
            raise ConfigError(f"{flag} {clean(asked, 40)}: '{clean(parent.path)}' has {known}; a grown run keeps it.")
    return replace(options, size=doubled, model=before.recipe, width=before.width, latent_dim=before.latent_dim)


def grown_config(config: TrainConfig, parent: Checkpoint) -> TrainConfig:
    """`config` on top of `parent`. Raises `ConfigError` when channels or classes differ."""
    before = parent.config
    if (config.channels, config.num_classes) != (before.channels, before.num_classes):
        raise ConfigError(
            f"--grow-from '{clean(parent.path)}' was trained on {before.channels} channels and {before.num_classes} "
            f"classes; this set has {config.channels} and {config.num_classes}. Give a set like the one before."
        )
    return replace(config, grown=before.grown + 1)


def grown_state(config: TrainConfig, engine: Engine, parent: Checkpoint) -> State:
    """Untrained new layers around the parent's weights and running average; optimizers and position are new."""
    state = State.fresh(config, engine)
    for name in ("generator", "generator_ema", "discriminator"):
        getattr(state, name).inner.load_state_dict(parent.states[name])
    # the new layers begin alike in both
    for name, value in state.generator.state_dict().items():
        if not name.startswith("inner."):
            state.generator_ema.state_dict()[name].copy_(value)
    return state
