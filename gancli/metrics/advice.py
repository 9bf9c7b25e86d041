"""What to try, by verdict: from what the projects before us and the literature found to help.

Larger latents, more batches an epoch and a discriminator that pauses delayed collapse on some hundred photographs;
augmentation in front of the discriminator and gradient penalties are what the papers added since.
"""

from __future__ import annotations

from gancli.config import TrainConfig
from gancli.recipes import find_recipe

__all__ = ["advise", "is_too_fast"]

# A setting before a tip: it is left out where the recipe has no use for that flag, or the run has it already.
_ADVICE: dict[str, tuple[tuple[str, str], ...]] = {
    "healthy": (
        (
            "",
            "Train on while coverage or the kernel distance improves: the same command with a larger --kimg.",
        ),
    ),
    "starved": (
        ("", "Let it run for longer before judging."),
        ("", "With fewer than 20 distinct pictures, collect more: gan scrape with another query tops the set up."),
    ),
    "collapsed": (
        ("r1_gamma", "--r1 10: a gradient penalty on the reals, the best single cure where the recipe has none."),
        (
            "augment",
            "--augment diffaugment: before the discriminator, for sets under a few thousand pictures.",
        ),
        ("", "A smaller --batch: more steps an epoch (fewer than 17 collapsed sooner on some hundred photographs)."),
        ("", "A larger --latent-dim: small latents collapsed earlier."),
        ("", "--d-every 2: the discriminator rests every second batch."),
    ),
    "collapsing": (
        ("", "Stop here: later ticks are likely to be worse."),
        ("", "--on-collapse rollback: return to the best tick, with one thing changed."),
        ("r1_gamma", "--r1 10: a gradient penalty on the reals."),
        ("augment", "--augment diffaugment: augmentation in front of the discriminator."),
    ),
    "cycling": (
        ("", "A lower --lr: the generator runs ahead of the discriminator, from mode to mode."),
        ("r1_gamma", "--r1 10: a gradient penalty damps the circling."),
        ("", "A longer --ema averages over the circle."),
    ),
    "memorising": (
        ("", "More pictures: copies come from small sets that are trained for long."),
        ("augment", "--augment ada or diffaugment."),
        ("", "Stop earlier: an earlier checkpoint copied less."),
    ),
    "overfitting": (
        ("augment", "--augment ada: augmentation that grows as the discriminator overfits."),
        ("dropout", "--dropout 0.3, so that the discriminator can remember less."),
        ("", "A smaller --width, so that the discriminator can remember less."),
        ("", "Stop here: the held-out scores will not recover by themselves."),
    ),
    "diverged": (
        ("", "Halve --lr (and --d-lr)."),
        ("", "--precision fp32, if the run used fp16 or bf16."),
        ("r1_gamma", "--r1 1: a penalty keeps the discriminator's slopes bounded."),
    ),
}
_UNUSED = (None, 0, "none", "light", "photo")  # values with which a tip's flag is still to be tried
_FAST = 2.0  # times the recipe's learning rate


def advise(
    verdict: str,
    *,
    best_tick: int | None,
    num_images: int,
    held_out: bool,
    since_tick: int | None = None,
    config: TrainConfig | None = None,
) -> tuple[str, ...]:
    """The things to try, most promising first.

    `best_tick` is where best.pt was taken, if there is one, and `since_tick` where the verdict began; `num_images`
    counts doubles once where there are fewer than 20. With `config`, flags that its recipe refuses or that it uses
    already are not named.
    """
    tips = [tip for setting, tip in _ADVICE[verdict] if not setting or config is None or _is_open(setting, config)]
    if verdict == "starved":
        tips = tips[:1] if num_images >= 20 else tips[1:]
    if verdict in ("collapsed", "collapsing", "cycling", "diverged") and config is not None and is_too_fast(config):
        recipe = find_recipe(config.recipe)
        tips.insert(0, f"--lr {recipe.g_lr:g} --d-lr {recipe.d_lr:g}: the recipe's own; this run's are larger.")
    if verdict in ("collapsed", "collapsing", "cycling", "memorising", "overfitting", "diverged"):
        if best_tick is not None and (since_tick is None or best_tick < since_tick):
            tips.insert(0, f"Go back to tick {best_tick}: best.pt holds it, and gan sample uses it.")
        if num_images < 200 and verdict != "diverged" and not any("pictures" in tip for tip in tips):
            tips.append(f"More pictures than these {num_images} help every recipe.")
    if not held_out and verdict == "healthy":
        tips.append("With 50 pictures or more a few are held out, and overfitting can be seen.")
    return tuple(tips)


def is_too_fast(config: TrainConfig) -> bool:
    """Does the run learn at more than twice its recipe's rates?"""
    recipe = find_recipe(config.recipe)
    return config.g_lr > _FAST * recipe.g_lr or config.d_lr > _FAST * recipe.d_lr


def _is_open(setting: str, config: TrainConfig) -> bool:
    return getattr(find_recipe(config.recipe), setting) is not None and getattr(config, setting) in _UNUSED
