"""The recipes: each one's networks, objective, length and numbers, as plain data. The only home of a default.

A number that a recipe leaves at None has no meaning for it: the flag is refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass

from gancli.errors import ConfigError
from gancli.text import clean

__all__ = ["RECIPES", "TUNABLE", "Recipe", "find_recipe"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way to train, with every number that makes it work.

    Lengths are in kimg (1000 real images drawn for the discriminator), sizes in pixels, weights without unit.
    Fields that are None have no meaning for the recipe.
    """

    name: str
    summary: str
    source: str
    networks: str  # the family in gancli.models.registry
    objective: str  # the loss pair in gancli.training.objectives
    kimg: float  # the planned length when nothing is asked
    batch_size: int
    g_lr: float
    d_lr: float
    betas: tuple[float, float]
    latent_dim: int
    width: int
    d_steps: int = 1
    d_every: str = "1"
    r1_gamma: float | None = None
    r2_gamma: float | None = None
    gp_weight: float | None = None
    drift: float | None = 0.0
    label_smoothing: float | None = None
    instance_noise: float | None = 0.0
    dropout: float | None = None
    ema_halflife_kimg: float = 10.0
    lr_schedule: str = "constant"
    gamma_schedule: str = "constant"
    beta2_final: float | None = None
    augment: str | None = "none"
    gamma_px: int | None = None  # the side for which r1_gamma and r2_gamma hold; at others they go with the area
    augment_p: float | None = None  # ada: where its chance ends after the burn-in; None: its controller decides
    augment_colour: float = 1.0  # of its own augmentation: how often colours change, relative to the rest
    augment_cutout: bool | None = None  # of its own augmentation: is a square cut out? None: as the policy has it
    hinge_margin: float = 1.0  # the least margin of the hinge loss, drawn up to 1 for each logit
    sizes: str = "any"  # any (b·2^n) | mlp (free) | points
    losses: tuple[str, ...] = ()


_NON_SATURATING = ("non-saturating", "hinge", "least-squares", "relativistic")


def _r3gan(name: str, *, width: int, kimg: float, batch_size: int, summary: str) -> Recipe:
    """One width of the same networks: FFHQ-64's numbers, its schedules as fractions of the planned run."""
    return Recipe(
        name=name,
        summary=summary,
        source="Huang et al. 2024",
        networks="r3gan",
        objective="relativistic",
        kimg=kimg,
        batch_size=batch_size,
        g_lr=2e-4,
        d_lr=2e-4,
        betas=(0.0, 0.9),
        latent_dim=64,
        width=width,
        r1_gamma=2.0,
        r2_gamma=2.0,
        gamma_px=64,
        beta2_final=0.99,
        lr_schedule="burn-in",
        gamma_schedule="burn-in",
        augment="ada",
        augment_p=0.3,
        augment_colour=0.5,
        augment_cutout=True,
        label_smoothing=0.0,
        losses=("relativistic", "non-saturating"),
        ema_halflife_kimg=500.0,
    )


_ALL = (
    Recipe(
        name="compact",
        summary="For a few hundred pictures on a processor or a small card: varied pictures within minutes.",
        source="The house's own, of parts from Liu et al. 2021 and Huang et al. 2024",
        networks="compact",
        objective="relativistic",
        kimg=500.0,
        batch_size=16,
        g_lr=5e-4,
        d_lr=5e-4,
        betas=(0.0, 0.99),
        latent_dim=128,
        width=32,
        r1_gamma=0.5,
        r2_gamma=0.5,
        gamma_px=64,
        dropout=0.0,
        augment="light",
        label_smoothing=0.0,
        losses=("relativistic", "non-saturating"),
        ema_halflife_kimg=5.0,
    ),
    Recipe(
        name="vanilla",
        summary="The first GAN: two perceptrons. For MNIST and for learning what a GAN is.",
        source="Goodfellow et al. 2014; widths of the A5 course project",
        networks="mlp",
        objective="non-saturating",
        kimg=1800.0,
        batch_size=100,
        g_lr=2e-4,
        d_lr=2e-4,
        betas=(0.5, 0.999),
        latent_dim=100,
        width=256,
        label_smoothing=0.1,
        dropout=0.3,
        r1_gamma=0.0,
        r2_gamma=0.0,
        sizes="mlp",
        losses=_NON_SATURATING,
        ema_halflife_kimg=10.0,
    ),
    Recipe(
        name="dcgan",
        summary="Convolutions with batch normalisation: quick pictures, prone to collapse on small sets.",
        source="Radford et al. 2015",
        networks="dcgan",
        objective="non-saturating",
        kimg=1500.0,
        batch_size=64,
        g_lr=2e-4,
        d_lr=2e-4,
        betas=(0.5, 0.999),
        latent_dim=100,
        width=64,
        label_smoothing=0.0,
        dropout=0.0,
        losses=_NON_SATURATING,
        ema_halflife_kimg=5.0,
    ),
    Recipe(
        name="wgan-gp",
        summary="The fish recipe: asymmetric, pixel norm, minibatch deviation, four critic steps; slow and steady.",
        source="Gulrajani et al. 2017, Karras et al. 2018, and the fish project",
        networks="progan",
        objective="wasserstein",
        kimg=4000.0,
        batch_size=16,
        g_lr=1e-4,
        d_lr=1e-4,
        betas=(0.0, 0.99),
        latent_dim=128,
        width=64,
        d_steps=4,
        gp_weight=10.0,
        drift=0.001,
        dropout=0.5,
        lr_schedule="fish",
        losses=("wasserstein",),
        ema_halflife_kimg=44.3,
    ),
    Recipe(
        name="wgan-gp-resnet",
        summary="Residual networks with a gradient penalty, as first published: five critic steps, for long runs.",
        source="Gulrajani et al. 2017, the 64 px networks",
        networks="wgan_resnet",
        objective="wasserstein",
        kimg=64_000.0,
        batch_size=64,
        g_lr=1e-4,
        d_lr=1e-4,
        betas=(0.0, 0.9),
        latent_dim=128,
        width=64,
        d_steps=5,
        gp_weight=10.0,
        losses=("wasserstein",),
        ema_halflife_kimg=200.0,
    ),
    Recipe(
        name="sngan",
        summary="Residual networks, hinge loss, spectral norm: no penalty to compute, five discriminator steps.",
        source="Miyato et al. 2018; networks of the mimicry library",
        networks="sngan",
        objective="hinge",
        kimg=32_000.0,
        batch_size=64,
        g_lr=2e-4,
        d_lr=2e-4,
        betas=(0.0, 0.9),
        latent_dim=128,
        width=256,
        d_steps=5,
        r1_gamma=0.0,
        r2_gamma=0.0,
        lr_schedule="linear",
        label_smoothing=0.0,
        losses=_NON_SATURATING,
        ema_halflife_kimg=200.0,
    ),
    _r3gan("r3gan-s", width=96, kimg=5_000.0, batch_size=64, summary="A modern GAN without tricks, small: CPUs, 6 GB."),
    _r3gan("r3gan-m", width=384, kimg=20_000.0, batch_size=128, summary="A modern GAN without tricks, half as wide."),
    _r3gan("r3gan-l", width=768, kimg=100_000.0, batch_size=256, summary="A modern GAN without tricks, as published."),
    Recipe(
        name="fastgan",
        summary="For tens to hundreds of images at 128 px and more, on one small card: also learns to redraw reals.",
        source="Liu et al. 2021, with a redrawing loss that downloads nothing",
        networks="fastgan",
        objective="hinge",
        kimg=400.0,
        batch_size=8,
        g_lr=2e-4,
        d_lr=2e-4,
        betas=(0.5, 0.999),
        latent_dim=256,
        width=64,
        augment="diffaugment",
        augment_cutout=False,
        hinge_margin=0.8,
        label_smoothing=0.0,
        losses=_NON_SATURATING,
        ema_halflife_kimg=5.5,
    ),
    Recipe(
        name="toy",
        summary="2-D points: small perceptrons that reach every mode of the ring and the grid within minutes.",
        source="Huang et al. 2024, the loss; networks and numbers measured here",
        networks="toy",
        objective="relativistic",
        kimg=50_000.0,
        batch_size=256,
        g_lr=2e-3,
        d_lr=2e-3,
        betas=(0.0, 0.9),
        latent_dim=16,
        width=64,
        r1_gamma=0.3,
        r2_gamma=0.3,
        beta2_final=0.99,
        lr_schedule="cosine",
        gamma_schedule="anneal",
        augment=None,
        sizes="points",
        label_smoothing=0.0,
        losses=("relativistic", "non-saturating"),
        ema_halflife_kimg=1000.0,
    ),
)

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in _ALL}

TUNABLE: tuple[str, ...] = (
    "batch_size",
    "g_lr",
    "d_lr",
    "betas",
    "latent_dim",
    "width",
    "d_steps",
    "d_every",
    "r1_gamma",
    "r2_gamma",
    "gp_weight",
    "drift",
    "label_smoothing",
    "instance_noise",
    "dropout",
    "ema_halflife_kimg",
    "lr_schedule",
    "augment",
)


def find_recipe(name: str) -> Recipe:
    """The recipe called `name`. Raises `ConfigError` naming the ones there are."""
    if name in RECIPES:
        return RECIPES[name]
    raise ConfigError(f"Unknown model '{clean(name, 80)}'. There are: {', '.join(RECIPES)} (see 'gan models').")
