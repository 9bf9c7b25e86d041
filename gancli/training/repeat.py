"""A run taken up again: what was not asked for is as in the run before."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from gancli.config import TrainConfig, TrainOptions, default_number
from gancli.data.dataset import STACKED
from gancli.errors import CheckpointError, ConfigError, DiskError
from gancli.models.checkpoint import read_checkpoint
from gancli.recipes import TUNABLE, find_recipe
from gancli.text import clean

__all__ = ["as_before", "read_config"]

_LENGTHS = ("epochs", "kimg", "minutes")


def read_config(path: Path) -> TrainConfig:
    """The config that `--config` names: of a run, of a checkpoint, or of a JSON file like a run's config.json.

    Raises `CheckpointError`, `ConfigError` or `DiskError` saying what is wrong with it.
    """
    file = path / "config.json" if path.is_dir() else path
    if not file.is_file():
        raise CheckpointError(
            f"--config '{clean(path)}' is no run and no file. Name a run that 'gan train' made, or its config.json."
        )
    if file.suffix == ".pt":
        return read_checkpoint(file).config
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DiskError.from_os(error, file, "read") from error
    except ValueError as error:
        raise ConfigError(f"--config '{clean(file)}' is not JSON: {clean(error, 80)}.") from error
    if isinstance(stored, dict) and isinstance(stored.get("config"), dict):
        stored = stored["config"]
    return TrainConfig.from_dict(stored)


def as_before(
    options: TrainOptions,
    stored: TrainConfig,
    *,
    given: Collection[str] = (),
    adapts: bool = False,
    follows: Collection[str] = (),
) -> TrainOptions:
    """`options` with what was not given as in `stored`.

    `given`: names of options that were asked for although they equal their default. `adapts`: numbers that `stored`
    has from its recipe or its data follow when these are changed; without, every number stays, so that a difference
    can be named. `follows`: names of options that something else decides.
    """
    defaults = vars(TrainOptions())
    asked = {name: value for name, value in vars(options).items() if name in given or value != defaults[name]}
    before: dict[str, Any] = stored.to_dict() | {
        "model": stored.recipe,
        "loss": stored.objective,
        "size": None if stored.is_points else f"{stored.size[0]}x{stored.size[1]}",
        "conditional": stored.num_classes > 0,
        "stacked": stored.data.startswith(STACKED),
    }
    dropped = set(follows) | (set(_LENGTHS) if asked.keys() & set(_LENGTHS) else set())
    if adapts:
        dropped |= _follows(stored, asked.keys() | set(follows), _is_of_another_kind(stored, asked.get("data")))
    kept = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in before.items()
        if name in defaults and name not in dropped
    }
    return TrainOptions(**{**kept, **asked})


def _is_of_another_kind(stored: TrainConfig, data: str | None) -> bool:
    """Are these points where the run before had images, or the other way round?"""
    return data is not None and data.startswith("toy:") != stored.is_points


def _follows(stored: TrainConfig, changed: set[str], is_other_kind: bool) -> set[str]:
    """What `stored` did not choose itself, but has from a recipe, a loss, a size, a rate or data that change now."""
    recipe = find_recipe(stored.recipe)
    own = {name for name in TUNABLE if getattr(stored, name) == default_number(recipe, name, stored.size)}
    if stored.objective != "non-saturating":
        own.add("label_smoothing")  # without labels it was 0, whatever the recipe
    found = set()
    if is_other_kind:  # points and images have no recipe in common but vanilla, and no size
        changed = changed | {"model"}
        found |= {"model", "size", "flip", "conditional", "stacked"}
    if changed & {"model", "loss"}:
        found |= own
    if "size" in changed:
        found |= own & {"r1_gamma", "r2_gamma"}
    if "model" in changed and stored.objective == recipe.objective:
        found.add("loss")
    if changed & {"model", "data"} and stored.batch_size == min(recipe.batch_size, stored.num_images):
        found.add("batch_size")
    if "g_lr" in changed:
        found.add("d_lr")
    return found
