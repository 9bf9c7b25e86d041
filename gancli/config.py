"""What a run is: the options a person gave, and the config they resolve to, once, together with the recipe.

A flag reaches its use in three rooms: the option (cli/train.py), the config (here), the use (training/).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, fields
from typing import Any

from gancli.bounds import FLAG_OF, check_bounds
from gancli.errors import ConfigError
from gancli.recipes import RECIPES, TUNABLE, Recipe, find_recipe
from gancli.sizes import nearest_side
from gancli.text import clean

__all__ = ["DataFacts", "Engine", "TrainConfig", "TrainOptions", "default_number", "resolve"]

FREE_TO_CHANGE = ("epochs", "kimg", "minutes", "device", "keep", "tick_kimg", "on_collapse", "tensorboard")


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What was asked; None means: the recipe, or the data, decides. One field for each flag of `gan train`."""

    data: str | None = None
    model: str | None = None
    size: str | None = None
    epochs: float | None = None
    kimg: float | None = None
    minutes: float | None = None
    batch_size: int | None = None
    g_lr: float | None = None
    d_lr: float | None = None
    betas: tuple[float, float] | None = None
    latent_dim: int | None = None
    width: int | None = None
    d_steps: int | None = None
    d_every: str | None = None
    loss: str | None = None
    r1_gamma: float | None = None
    r2_gamma: float | None = None
    gp_weight: float | None = None
    drift: float | None = None
    label_smoothing: float | None = None
    instance_noise: float | None = None
    dropout: float | None = None
    ema_halflife_kimg: float | None = None
    lr_schedule: str | None = None
    augment: str | None = None
    flip: bool | None = None
    conditional: bool = False
    stacked: bool = False
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    compile: str = "auto"
    tick_kimg: float | None = None
    keep: int = 3
    on_collapse: str = "warn"
    tensorboard: bool = False


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """What the config needs to know of a training set."""

    spec: str  # as resolved: an absolute path, idx:…, demo:…, toy:…
    fingerprint: str  # of the decoded pixels and labels
    size: tuple[int, int]  # (width, height) in pixels; (0, 0) for points
    channels: int  # 1, 3 or 4; points have 2
    num_images: int  # in the training split
    num_held_out: int
    class_names: tuple[str, ...] = ()
    flip: bool = True  # does this kind of data bear mirroring?


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides what a run computes. Saved in the run and in each checkpoint.

    `size` is (width, height) in pixels, (0, 0) for points; `channels` 1, 3, 4, or 2 for points.
    """

    recipe: str
    data: str
    fingerprint: str
    size: tuple[int, int]
    channels: int
    num_images: int
    num_held_out: int
    class_names: tuple[str, ...] = ()
    num_classes: int = 0
    objective: str
    batch_size: int
    g_lr: float
    d_lr: float
    betas: tuple[float, float]
    latent_dim: int
    width: int
    d_steps: int
    d_every: str
    r1_gamma: float | None
    r2_gamma: float | None
    gp_weight: float | None
    drift: float | None
    label_smoothing: float | None
    instance_noise: float | None
    dropout: float | None
    ema_halflife_kimg: float
    lr_schedule: str
    gamma_schedule: str
    beta2_final: float | None
    augment: str | None
    flip: bool
    epochs: float | None
    kimg: float | None
    minutes: float | None
    seed: int
    device: str
    precision: str
    compile: str
    tick_kimg: float | None
    keep: int
    on_collapse: str
    tensorboard: bool = False
    grown: int = 0  # doublings added to a smaller run's networks (--grow-from)
    begun_from: str | None = None  # whose weights it began with (--init-from, --grow-from)

    @property
    def is_points(self) -> bool:
        """Are the reals 2-D points (a toy) instead of images?"""
        return self.size == (0, 0)

    @property
    def networks(self) -> str:
        """The family of networks, from the recipe."""
        return find_recipe(self.recipe).networks

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, for JSON and for checkpoints."""
        values = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: Any) -> TrainConfig:
        """The config in a file, checked and bounded field by field. Raises `ConfigError` on anything odd."""
        if not isinstance(values, dict):
            raise ConfigError("The config is not a table of settings.")
        known = {f.name: f for f in fields(cls)}
        foreign = sorted(set(values) - set(known))
        missing = sorted(n for n, f in known.items() if n not in values and f.default is dataclasses.MISSING)
        if foreign or missing:
            raise ConfigError(
                f"The config does not fit this version (unknown: {clean(foreign)}; missing: {clean(missing)}). "
                "It was made by another version of gan."
            )
        given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        config = cls(**given)
        check_bounds(config)
        return config

    def difference(self, other: TrainConfig, ignore: tuple[str, ...] = ()) -> list[str]:
        """The settings in which `other` differs: 'batch_size: 64 -> 32'."""
        mine, theirs = self.to_dict(), other.to_dict()
        return [f"{k}: {mine[k]} -> {theirs[k]}" for k in mine if k not in ignore and mine[k] != theirs[k]]


@dataclass(frozen=True, kw_only=True)
class Engine:
    """How the step is run on this machine; what `auto` chose is frozen here at the first start of a run."""

    device: str  # cpu, cuda:0, mps
    precision: str  # fp32, bf16, fp16
    compile: bool = False
    cuda_graph: bool = False  # is the whole step recorded once and sent to the GPU at once?
    channels_last: bool = True
    micro_batch: int = 0  # 0: the whole batch
    tick_kimg: float = 1.0
    images_per_s: float = 0.0  # measured before the first step
    peak_mb: float = 0.0  # memory of a step: the allocator's peak on a GPU, an estimate elsewhere

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def resolve(options: TrainOptions, facts: DataFacts) -> TrainConfig:
    """`options` + recipe + data, once. Raises `ConfigError` or `UsageError` naming the flag that does not fit."""
    recipe = find_recipe(options.model or default_recipe(facts))
    _check_fit(recipe, facts)
    if facts.size == (0, 0):
        _check_points(options)
    numbers = {name: _number(options, recipe, name, facts.size) for name in TUNABLE}
    numbers["batch_size"] = _batch_size(options, recipe, facts)
    if options.g_lr is not None and options.d_lr is None:
        numbers["d_lr"] = options.g_lr
    asked = (options.epochs, options.kimg, options.minutes)
    kimg, minutes = options.kimg, options.minutes
    if asked == (None, None, None):
        kimg, minutes = recipe.kimg, 60.0
    config = TrainConfig(
        recipe=recipe.name,
        data=facts.spec,
        fingerprint=facts.fingerprint,
        size=facts.size,
        channels=facts.channels,
        num_images=facts.num_images,
        num_held_out=facts.num_held_out,
        class_names=facts.class_names if options.conditional else (),
        num_classes=_num_classes(options, facts),
        objective=_objective(options, recipe),
        **_fitting(numbers, options, recipe),
        gamma_schedule=recipe.gamma_schedule,
        beta2_final=recipe.beta2_final,
        flip=facts.flip if options.flip is None else options.flip,
        epochs=options.epochs,
        kimg=kimg,
        minutes=minutes,
        seed=options.seed,
        device=options.device,
        precision=options.precision,
        compile=options.compile,
        tick_kimg=options.tick_kimg,
        keep=options.keep,
        on_collapse=options.on_collapse,
        tensorboard=options.tensorboard,
    )
    check_bounds(config)
    return config


def default_recipe(facts: DataFacts) -> str:
    """The recipe when none was asked for: toys have their own, pictures the one that the README's table favours."""
    return "toy" if facts.size == (0, 0) and "toy" in RECIPES else "compact"


def default_number(recipe: Recipe, name: str, size: tuple[int, int]) -> Any:
    """What `recipe` takes for `name` at images of `size` (width, height); None: it has no use for it."""
    default = getattr(recipe, name)
    if name in ("r1_gamma", "r2_gamma") and recipe.gamma_px is not None:
        # a squared gradient is a sum over pixels (Karras et al. 2020 scale its weight with the area as well)
        return round(default * size[0] * size[1] / recipe.gamma_px**2, 6)
    return default


def _number(options: TrainOptions, recipe: Recipe, name: str, size: tuple[int, int]) -> Any:
    asked, default = getattr(options, name), default_number(recipe, name, size)
    if asked is None or (default is None and asked == "none"):
        return default
    if default is None:
        raise ConfigError(
            f"--{FLAG_OF.get(name, name.replace('_', '-'))}: the model '{recipe.name}' has no use for it. "
            "Leave it out, or choose another --model (see 'gan models')."
        )
    return asked


def _batch_size(options: TrainOptions, recipe: Recipe, facts: DataFacts) -> int:
    if options.batch_size is None:
        return min(recipe.batch_size, facts.num_images)
    if options.batch_size > facts.num_images:
        raise ConfigError(
            f"--batch {options.batch_size} is larger than the training set ({facts.num_images} images). "
            f"Give at most {facts.num_images}, or leave --batch out."
        )
    return options.batch_size


def _objective(options: TrainOptions, recipe: Recipe) -> str:
    if options.loss is None or options.loss == recipe.objective:
        return recipe.objective
    if options.loss not in recipe.losses:
        raise ConfigError(
            f"--loss '{clean(options.loss, 40)}' does not go with the model '{recipe.name}'. "
            f"It can use: {', '.join(recipe.losses)}."
        )
    return options.loss


def _fitting(numbers: dict[str, Any], options: TrainOptions, recipe: Recipe) -> dict[str, Any]:
    """`numbers` without what the loss has no place for: soft labels exist only where there are labels."""
    if _objective(options, recipe) == "non-saturating" or not numbers["label_smoothing"]:
        return numbers
    if options.label_smoothing:
        raise ConfigError(
            f"--label-smoothing: the loss '{_objective(options, recipe)}' has no labels to smooth. "
            "Leave it out, or use --loss non-saturating."
        )
    return {**numbers, "label_smoothing": 0.0}


def _num_classes(options: TrainOptions, facts: DataFacts) -> int:
    if not options.conditional:
        return 0
    if len(facts.class_names) < 2:
        raise ConfigError(
            f"--conditional needs at least two classes, and this set has {len(facts.class_names)}. They come from "
            "sub-folders, one per class, or from a set's own labels. Leave --conditional out without them."
        )
    return len(facts.class_names)


def _check_points(options: TrainOptions) -> None:
    """What has no meaning for 2-D points, whatever the recipe."""
    for flag, is_asked in (
        ("--augment", options.augment not in (None, "none")),
        ("--flip", bool(options.flip)),
        ("--conditional", options.conditional),
        ("--stacked", options.stacked),
    ):
        if is_asked:
            raise ConfigError(f"{flag} is for images; these are 2-D points. Leave it out.")


def _check_fit(recipe: Recipe, facts: DataFacts) -> None:
    points = facts.size == (0, 0)
    if points and recipe.sizes not in ("points", "mlp"):
        raise ConfigError(
            f"The model '{recipe.name}' makes images, and '{facts.spec}' is 2-D points. "
            "Use 'vanilla', or leave --model out."
        )
    near = (0, 0) if points else tuple(map(nearest_side, facts.size))
    if near != facts.size:
        text = f"{near[0]}" if near[0] == near[1] else f"{near[0]}x{near[1]}"
        raise ConfigError(
            f"These images are {facts.size[0]}x{facts.size[1]} px, which no network here makes; the nearest that works "
            f"is {text}. Give --size {text}."
        )
    if not points and recipe.sizes == "points":
        raise ConfigError(f"The model '{recipe.name}' makes 2-D points; for images leave --model out.")
