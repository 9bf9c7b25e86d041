"""Each recipe against each flag: one step changes, or the flag is refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from gancli.config import DataFacts, Engine, TrainConfig, TrainOptions, resolve
from gancli.data.ada import AdaController
from gancli.data.batches import BatchSource, augment_variant
from gancli.data.dataset import TrainingSet, open_training_set
from gancli.errors import ConfigError
from gancli.recipes import RECIPES, Recipe
from gancli.training.adaptation import Adaptation
from gancli.training.engine import make_iteration
from gancli.training.iteration import Iteration
from gancli.training.schedules import ema_beta, gamma_factor, halflife_factor, lr_factor
from gancli.training.state import State
from gancli.training.step import Step

ONE_OF_EACH = sorted({recipe.networks: recipe for recipe in reversed(RECIPES.values())}.values(), key=lambda r: r.name)
IMAGE_RECIPES = [recipe for recipe in ONE_OF_EACH if recipe.sizes != "points"]
CASES = [(recipe, "images") for recipe in IMAGE_RECIPES] + [(RECIPES[name], "points") for name in ("toy", "vanilla")]
ENGINE = Engine(device="cpu", precision="fp32", channels_last=False)
FLAGS: list[tuple[str, str, Any]] = [
    ("--loss", "loss", "non-saturating"),
    ("--loss", "loss", "wasserstein"),
    ("--loss", "loss", "hinge"),
    ("--loss", "loss", "least-squares"),
    ("--loss", "loss", "relativistic"),
    ("--r1", "r1_gamma", 3.0),
    ("--r2", "r2_gamma", 3.0),
    ("--gp", "gp_weight", 3.0),
    ("--drift", "drift", 0.1),
    ("--label-smoothing", "label_smoothing", 0.2),
    ("--instance-noise", "instance_noise", 0.3),
    ("--d-every", "d_every", "2"),
    ("--d-every", "d_every", "2e"),
    ("--d-steps", "d_steps", 3),
    ("--dropout", "dropout", 0.4),
    ("--lr-schedule", "lr_schedule", "cosine"),
    ("--ema", "ema_halflife_kimg", 0.0001),
    ("--augment", "augment", "light"),
    ("--augment", "augment", "photo"),
    ("--augment", "augment", "diffaugment"),
    ("--augment", "augment", "ada"),
    ("--flip", "flip", False),
    ("--lr", "g_lr", 3e-3),
    ("--d-lr", "d_lr", 3e-3),
    ("--betas", "betas", (0.3, 0.8)),
]


# the losses that a recipe was not made for, penalties where the logit depends on the batch or another one is in place
REFUSED: dict[str, set[str]] = {
    "compact": {"--gp", "--label-smoothing", "--loss hinge", "--loss least-squares", "--loss wasserstein"},
    "dcgan": {"--gp", "--loss wasserstein", "--r1", "--r2"},
    "fastgan": {"--dropout", "--gp", "--label-smoothing", "--loss wasserstein", "--r1", "--r2"},
    "r3gan-s": {"--dropout", "--gp", "--label-smoothing", "--loss hinge", "--loss least-squares", "--loss wasserstein"},
    "sngan": {"--dropout", "--gp", "--label-smoothing", "--loss wasserstein"},
    "vanilla": {"--gp", "--loss wasserstein"},
    "wgan-gp": {
        "--label-smoothing",
        "--loss hinge",
        "--loss least-squares",
        "--loss non-saturating",
        "--loss relativistic",
        "--r1",
        "--r2",
    },
    "wgan-gp-resnet": {
        "--dropout",
        "--label-smoothing",
        "--loss hinge",
        "--loss least-squares",
        "--loss non-saturating",
        "--loss relativistic",
        "--r1",
        "--r2",
    },
    "toy": {"--dropout", "--gp", "--label-smoothing", "--loss hinge", "--loss least-squares", "--loss wasserstein"},
}


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small_set(size: tuple[int, int] = (16, 16), channels: int = 3, num: int = 8, num_classes: int = 0) -> TrainingSet:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (num, channels, size[1], size[0]), dtype=torch.uint8, generator=generator)
    names = tuple(f"class {i}" for i in range(num_classes))
    return TrainingSet(
        images=images,
        labels=torch.arange(num) % num_classes if num_classes else None,
        train=torch.arange(num),
        held_out=torch.arange(0),
        facts=DataFacts(
            spec="small",
            fingerprint="0",
            size=size,
            channels=channels,
            num_images=num,
            num_held_out=0,
            class_names=names,
        ),
    )


def configure(recipe: Recipe, data: TrainingSet, **given: Any) -> TrainConfig:
    width = 16
    options = TrainOptions(data="small", model=recipe.name, width=width, latent_dim=8, batch_size=4, kimg=1.0)
    return resolve(replace(options, **given), data.facts)


def after_two_steps(config: TrainConfig, data: TrainingSet, progress: float = 0.4) -> torch.Tensor:
    """Every weight, and every running average, after two iterations in the middle of a run."""
    state = State.fresh(config, ENGINE)
    state.nimg = config.num_images - 4  # so that the second step is in the second epoch
    if config.augment == "ada":
        state.augment = AdaController(p=0.6).state_dict()
    iteration = make_iteration(config, ENGINE, state, BatchSource(data, config, torch.device("cpu")))
    for _ in range(2):
        iteration.run(progress)
    assert iteration.tally.is_finite()
    modules = (state.generator, state.generator_ema, state.discriminator)
    return torch.cat([p.detach().flatten() for module in modules for p in module.parameters()])


@pytest.mark.parametrize(("recipe", "kind"), CASES, ids=lambda value: getattr(value, "name", value))
def test_each_flag_changes_a_step_or_is_refused_by_name(recipe: Recipe, kind: str) -> None:
    data = small_set() if kind == "images" else open_training_set("toy:ring")
    plain = after_two_steps(configure(recipe, data), data)
    refused: dict[str, str] = {}
    for flag, field, value in FLAGS:
        if value == getattr(recipe, field, None):
            value = {"augment": "none", "lr_schedule": "linear"}[field]
        if field == "flip" and kind == "points":
            value = True
        if field == "loss" and value == recipe.objective:
            configure(recipe, data, loss=value)  # repeating the default is no error
            continue
        try:
            config = configure(recipe, data, **{field: value})
        except ConfigError as error:
            refused[f"{flag} {value}" if field == "loss" else flag] = str(error)
            continue
        other = after_two_steps(config, data)
        assert other.shape != plain.shape or not torch.equal(other, plain), f"{flag} {value} changes nothing"
    assert all(flag.split()[0] in message for flag, message in refused.items())
    assert set(refused) == (REFUSED[recipe.name] | ({"--augment", "--flip"} if kind == "points" else set()))


@pytest.mark.parametrize("recipe", IMAGE_RECIPES, ids=lambda recipe: recipe.name)
@pytest.mark.parametrize(
    ("size", "channels", "num_classes"), [((16, 16), 1, 0), ((24, 16), 3, 2), ((28, 28), 4, 0)], ids=str
)
def test_two_steps_at_each_kind_of_image(
    recipe: Recipe, size: tuple[int, int], channels: int, num_classes: int
) -> None:
    data = small_set(size, channels, num_classes=num_classes)
    config = configure(recipe, data, conditional=num_classes > 0)
    before = State.fresh(config, ENGINE)
    modules = (before.generator, before.generator_ema, before.discriminator)
    start = torch.cat([p.detach().flatten() for module in modules for p in module.parameters()])
    end = after_two_steps(config, data)
    assert end.isfinite().all()
    assert not torch.equal(start, end)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_schedules_end_where_they_should(recipe: Recipe) -> None:
    assert lr_factor(recipe.lr_schedule, 0.0, 0, 0) == pytest.approx(1.0)
    assert gamma_factor(recipe.gamma_schedule, 0.0) == pytest.approx(1.0)
    if recipe.lr_schedule == "burn-in":  # 2e-4 to 5e-5, gamma to a tenth, over a fifth of the run
        assert lr_factor("burn-in", 0.2, 0, 0) == pytest.approx(0.25)
        assert gamma_factor("burn-in", 0.2) == pytest.approx(0.1)
        assert 0.25 < lr_factor("burn-in", 0.1, 0, 0) < 1
    if recipe.gamma_schedule == "anneal":  # to a thousandth, with most of the run still to come
        assert gamma_factor("anneal", 0.4) == pytest.approx(1e-3)
        assert lr_factor(recipe.lr_schedule, 0.4, 0, 0) > 0.5


def test_label_smoothing_is_refused_where_there_are_no_labels() -> None:
    data = small_set()
    with pytest.raises(ConfigError, match="--label-smoothing"):
        configure(RECIPES["dcgan"], data, loss="hinge", label_smoothing=0.1)
    assert configure(RECIPES["vanilla"], data, loss="hinge").label_smoothing == 0.0


def test_ada_rises_while_the_discriminator_is_sure_and_rides_in_the_state() -> None:
    data = small_set()
    config = configure(RECIPES["dcgan"], data, augment="ada")
    state: dict[str, Any] = {}
    adaptation = Adaptation(config, state)
    assert adaptation.chance(0.5, state) == 0
    for _ in range(8):
        adaptation.observe(torch.tensor(1.0), 4, state)
    risen = adaptation.chance(0.5, state)
    assert risen is not None
    assert risen == pytest.approx(2 * 4 * 4 / (100 * len(data.images)))
    assert Adaptation(config, state).chance(0.0, state) == risen


@pytest.mark.parametrize("loss", ["non-saturating", "hinge", "least-squares"])
def test_ada_takes_a_discriminator_that_knows_nothing_for_undecided(loss: str) -> None:
    """Whatever the logits of the loss's targets: about their middle, as many signs are of one kind as of the other."""
    data = small_set()
    config = configure(RECIPES["dcgan"], data, augment="ada", loss=loss, label_smoothing=0.0)
    state = State.fresh(config, ENGINE)
    step = Step(config, ENGINE, state.generator, state.discriminator)
    middle = 0.5 if loss == "least-squares" else 0.0
    logits = middle + torch.tensor([-0.1, 0.1, -0.2, 0.2])
    assert step._scores(logits, logits)["sign_real"] == 0
    assert step._scores(logits + 0.4, logits - 0.4)["sign_real"] == 1


def test_r3gan_augments_by_its_schedule() -> None:
    config = configure(RECIPES["r3gan-s"], small_set())
    adaptation = Adaptation(config, {})
    assert adaptation.chance(0.0, {}) == 0
    assert adaptation.chance(0.2, {}) == pytest.approx(0.3)
    assert adaptation.chance(1.0, {}) == pytest.approx(0.3)


def test_r3gan_averages_more_slowly_as_its_burn_in_goes_on() -> None:
    assert [halflife_factor("burn-in", share) for share in (0.0, 0.1, 0.2, 1.0)] == pytest.approx([0.0, 0.5, 1.0, 1.0])
    assert halflife_factor("constant", 0.0) == halflife_factor("anneal", 0.0) == 1.0


def test_the_average_keeps_spectral_norms_unit_vectors() -> None:
    """The mean of two unit vectors is shorter than they are, and what is divided by its norm too large."""
    data = small_set((64, 64))
    config = configure(RECIPES["fastgan"], data)
    state = State.fresh(config, ENGINE)
    iteration = make_iteration(config, ENGINE, state, BatchSource(data, config, torch.device("cpu")))
    for _ in range(2):
        iteration.run(0.5)
    now = state.generator.state_dict()
    vectors = {name: v for name, v in state.generator_ema.state_dict().items() if name.endswith(("._u", "._v"))}
    assert vectors
    assert all(torch.equal(v, now[name]) for name, v in vectors.items())


def test_a_recipe_varies_its_own_augmentation_and_no_other() -> None:
    data = small_set()
    assert augment_variant(configure(RECIPES["fastgan"], data)) == {"colour": 1.0, "cutout": False}
    assert augment_variant(configure(RECIPES["r3gan-s"], data)) == {"colour": 0.5, "cutout": True}
    assert augment_variant(configure(RECIPES["fastgan"], data, augment="ada")) == {}
    source = BatchSource(data, configure(RECIPES["fastgan"], data), torch.device("cpu"))
    plan = source.discriminator_batch(0, 0).augmentation
    assert plan is not None
    assert plan.hole is None
    assert plan.shift is not None


def test_r3gan_weighs_its_penalties_by_the_area() -> None:
    at = {side: configure(RECIPES["r3gan-s"], small_set((side, side))).r1_gamma for side in (16, 64, 128)}
    assert at == {16: 0.125, 64: 2.0, 128: 8.0}
    assert configure(RECIPES["r3gan-s"], small_set(), r1_gamma=0.7).r1_gamma == 0.7


def test_none_is_no_augmentation_to_refuse() -> None:
    """It is what a recipe of points does anyway."""
    points = replace(small_set().facts, size=(0, 0), channels=2, spec="toy:ring")
    assert resolve(TrainOptions(model="toy", augment="none"), points) == resolve(TrainOptions(model="toy"), points)


@pytest.mark.parametrize(("name", "num", "nimg_of_whole"), [("sngan", 8, 2500 * 8), ("wgan-gp", 5000, 4_000_000)])
def test_every_recipe_reaches_every_stage_of_the_fish_schedule(name: str, num: int, nimg_of_whole: int) -> None:
    """By epochs on a small set, whatever length the recipe itself is planned for; a short run keeps the first rate."""
    data = small_set((8, 8), num=num)
    config = configure(RECIPES[name], data, lr_schedule="fish", kimg=nimg_of_whole / 1000)
    state = State.fresh(config, ENGINE)
    iteration = Iteration(config, ENGINE, state, BatchSource(data, config, torch.device("cpu")))

    def rate(progress: float, nimg: float) -> float:
        state.nimg = int(nimg)
        iteration._schedule(progress)
        return float(state.optimizer_g.param_groups[0]["lr"]) / config.g_lr

    found = [rate(share, share * nimg_of_whole) for share in (0.02, 0.1, 0.4, 0.9)]
    assert found == pytest.approx([1.0, 0.5, 0.25, 0.2])
    assert len({rate(0.2, 0.2 * nimg_of_whole + 4 * i) for i in range(60)}) == 5
    assert rate(0.9, 0.03 * nimg_of_whole) == pytest.approx(1.0)  # a run of a thirtieth of the length
    assert rate(0.3, 3 * nimg_of_whole) in (0.6, 0.5, 0.4, 0.3, 0.2)  # one of ten times the length


@pytest.mark.parametrize("name", [r.name for r in ONE_OF_EACH if "non-saturating" in r.losses])
def test_labels_are_smoothed_wherever_a_loss_with_labels_is_offered(name: str) -> None:
    data = small_set() if RECIPES[name].sizes != "points" else open_training_set("toy:ring")
    config = configure(RECIPES[name], data, loss="non-saturating", label_smoothing=0.2)
    assert config.label_smoothing == 0.2
    plain = configure(RECIPES[name], data, loss="non-saturating", label_smoothing=0.0)
    assert not torch.equal(after_two_steps(config, data), after_two_steps(plain, data))


@pytest.mark.parametrize("given", [{"augment": "light"}, {"flip": True}, {"conditional": True}], ids=str)
@pytest.mark.parametrize("name", ["toy", "vanilla"])
def test_points_refuse_what_is_for_images(name: str, given: dict[str, Any]) -> None:
    data = open_training_set("toy:ring")
    with pytest.raises(ConfigError, match=f"--{next(iter(given))} is for images|no use for it"):
        configure(RECIPES[name], data, **given)
    assert configure(RECIPES[name], data, flip=False).flip is False


# as published, written down once more: a number that drifts is seen
PUBLISHED: dict[str, dict[str, Any]] = {
    "vanilla": {"g_lr": 2e-4, "d_lr": 2e-4, "betas": (0.5, 0.999), "dropout": 0.3},
    "dcgan": {"g_lr": 2e-4, "d_lr": 2e-4, "betas": (0.5, 0.999), "batch_size": 64, "latent_dim": 100, "width": 64},
    "wgan-gp": {  # 100, 300, 400, 300 and 1400 epochs at 1e-4, half, drawn, a quarter and a fifth of it
        "g_lr": 1e-4,
        "d_lr": 1e-4,
        "betas": (0.0, 0.99),
        "d_steps": 4,
        "gp_weight": 10.0,
        "drift": 0.001,
        "dropout": 0.5,
        "lr_schedule": "fish",
    },
    "wgan-gp-resnet": {
        "g_lr": 1e-4,
        "betas": (0.0, 0.9),
        "d_steps": 5,
        "gp_weight": 10.0,
        "batch_size": 64,
        "latent_dim": 128,
        "width": 64,
        "kimg": 64_000.0,  # 200,000 generator steps
    },
    "sngan": {
        "g_lr": 2e-4,
        "betas": (0.0, 0.9),
        "d_steps": 5,
        "batch_size": 64,
        "lr_schedule": "linear",
        "kimg": 32_000.0,  # 100,000 generator steps
    },
    "r3gan-l": {
        "g_lr": 2e-4,
        "betas": (0.0, 0.9),
        "beta2_final": 0.99,
        "r1_gamma": 2.0,
        "r2_gamma": 2.0,
        "batch_size": 256,
        "latent_dim": 64,
        "width": 768,
        "augment": "ada",
        "augment_p": 0.3,
        "augment_colour": 0.5,
        "augment_cutout": True,
        "ema_halflife_kimg": 500.0,
        "kimg": 100_000.0,
    },
    "fastgan": {
        "g_lr": 2e-4,
        "betas": (0.5, 0.999),
        "batch_size": 8,
        "latent_dim": 256,
        "width": 64,
        "kimg": 400.0,  # 50,000 steps
        "augment": "diffaugment",
        "augment_cutout": False,
        "hinge_margin": 0.8,
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_numbers_are_those_published(name: str) -> None:
    assert {field: getattr(RECIPES[name], field) for field in PUBLISHED[name]} == PUBLISHED[name]


@pytest.mark.parametrize(("name", "decay"), [("wgan-gp", 0.999), ("fastgan", 0.999)])
def test_the_average_decays_by_the_published_share_of_a_step(name: str, decay: float) -> None:
    recipe = RECIPES[name]
    num = recipe.batch_size * recipe.d_steps
    assert ema_beta(recipe.ema_halflife_kimg, 10**9, num) == pytest.approx(decay, abs=2e-5)
