"""What every number of a config may be, so that one from a stranger's file cannot ask for the moon."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from gancli.errors import ConfigError
from gancli.recipes import find_recipe
from gancli.sizes import MAX_SIDE, base_of
from gancli.text import clean

if TYPE_CHECKING:
    from gancli.config import TrainConfig

__all__ = ["FLAG_OF", "check_bounds"]

# where a flag is not called as its number is
FLAG_OF = {
    "batch_size": "batch",
    "g_lr": "lr",
    "r1_gamma": "r1",
    "r2_gamma": "r2",
    "gp_weight": "gp",
    "ema_halflife_kimg": "ema",
}


def check_bounds(config: TrainConfig) -> None:
    """Raises `ConfigError` naming the flag whose number is out of its range, or is no number at all."""
    for name in _TEXTS:
        if not isinstance(getattr(config, name), str):
            raise ConfigError(f"{name} '{clean(getattr(config, name), 40)}' is not a text.")
    if config.begun_from is not None and not isinstance(config.begun_from, str):
        raise ConfigError(f"begun_from '{clean(config.begun_from, 40)}' is not a text.")
    for name, kind, count in _LISTS:
        value = getattr(config, name)
        if not isinstance(value, tuple) or not all(isinstance(one, kind) for one in value) or len(value) not in count:
            raise ConfigError(f"{name} '{clean(value, 40)}' is not a list of what it holds.")
    for name, low, high in _BOUNDS:
        value = getattr(config, name)
        if value is None and name in _MAY_BE_NONE:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ConfigError(f"{_flag(name)} '{clean(value, 40)}' is not a number.")
        if not low <= value <= high:
            raise ConfigError(f"{_flag(name)} {value:g} is out of range: it must be {low:g} to {high:g}.")
        if name in _WHOLE and not isinstance(value, int):
            raise ConfigError(f"{_flag(name)} '{clean(value, 40)}' is not a whole number.")
    for name, choices in _CHOICES.items():
        if getattr(config, name) not in choices:
            shown = clean(getattr(config, name), 40)
            known = ", ".join(str(choice) for choice in choices if choice is not None)
            raise ConfigError(f"--{name.replace('_', '-')} '{shown}': choose one of {known}.")
    if not all(0 <= b < 1 for b in config.betas):
        raise ConfigError(f"--betas {clean(config.betas)}: two numbers from 0 up to, not including, 1.")
    if config.is_points:
        if config.channels != 2 or config.grown:
            raise ConfigError("Points have two coordinates and do not grow.")
    elif not all(8 <= s <= MAX_SIDE and base_of(s) is not None for s in config.size) or config.channels not in (
        1,
        3,
        4,
    ):
        raise ConfigError(f"Images of size {clean(config.size)} with {clean(config.channels)} channels cannot be made.")
    elif any(side % 2**config.grown or side >> config.grown < 8 for side in config.size):
        raise ConfigError(f"Images of size {clean(config.size)} cannot have doubled {config.grown} times.")
    if config.num_classes and len(config.class_names) != config.num_classes:
        raise ConfigError(f"{config.num_classes} classes and {len(config.class_names)} names of classes do not fit.")
    if not re.fullmatch(r"[1-9]\d{0,3}e?", str(config.d_every)):
        raise ConfigError(f"--d-every '{clean(config.d_every, 20)}': a number of batches (2) or of epochs (2e).")
    find_recipe(config.recipe)


def _flag(name: str) -> str:
    return f"--{FLAG_OF.get(name, name.replace('_', '-'))}"


_TEXTS = ("recipe", "data", "fingerprint", "d_every", "device")
_LISTS: tuple[tuple[str, Any, Any], ...] = (
    ("size", int, (2,)),
    ("betas", int | float, (2,)),
    ("class_names", str, range(100_001)),
)
_BOUNDS: tuple[tuple[str, float, float], ...] = (
    ("num_images", 2, 1e10),
    ("num_held_out", 0, 1e10),
    ("num_classes", 0, 100_000),
    ("batch_size", 2, 65_536),
    ("g_lr", 1e-12, 10),
    ("d_lr", 1e-12, 10),
    ("latent_dim", 1, 65_536),
    ("width", 1, 4096),
    ("grown", 0, 6),
    ("d_steps", 1, 1000),
    ("r1_gamma", 0, 1e6),
    ("r2_gamma", 0, 1e6),
    ("gp_weight", 0, 1e6),
    ("drift", 0, 1e3),
    ("label_smoothing", 0, 0.5),
    ("instance_noise", 0, 10),
    ("dropout", 0, 0.95),
    ("ema_halflife_kimg", 0, 1e6),
    ("epochs", 1e-9, 1e9),
    ("kimg", 1e-9, 1e9),
    ("minutes", 1e-9, 1e7),
    ("tick_kimg", 1e-9, 1e7),
    ("seed", 0, 2**63 - 1),
    ("keep", 1, 100_000),
    ("beta2_final", 0, 0.999999),
)
_WHOLE = {
    "num_images",
    "num_held_out",
    "num_classes",
    "batch_size",
    "latent_dim",
    "width",
    "grown",
    "d_steps",
    "seed",
    "keep",
}
_MAY_BE_NONE = {
    "r1_gamma",
    "r2_gamma",
    "gp_weight",
    "drift",
    "label_smoothing",
    "instance_noise",
    "dropout",
    "epochs",
    "kimg",
    "minutes",
    "tick_kimg",
    "beta2_final",
}
_CHOICES: dict[str, tuple[Any, ...]] = {
    "precision": ("auto", "fp32", "bf16", "fp16"),
    "compile": ("auto", "on", "off"),
    "on_collapse": ("warn", "stop", "rollback"),
    "augment": (None, "none", "light", "photo", "diffaugment", "ada"),
    "lr_schedule": ("constant", "linear", "cosine", "burn-in", "fish"),
    "gamma_schedule": ("constant", "burn-in", "anneal"),
    "objective": ("non-saturating", "wasserstein", "hinge", "least-squares", "relativistic"),
    "tensorboard": (False, True),
    "flip": (False, True),
}
