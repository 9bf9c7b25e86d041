"""What to try, by verdict: from what the projects before us and the literature found to help.

Larger latents, more batches an epoch and a discriminator that pauses delayed collapse on some hundred photographs;
augmentation in front of the discriminator and gradient penalties are what the papers added since.
"""

from __future__ import annotations

__all__ = ["advise"]

_ADVICE: dict[str, tuple[str, ...]] = {
    "healthy": (
        "Train on for as long as coverage or the kernel distance improves: the same command with a larger --kimg.",
    ),
    "starved": (
        "Let it run for longer before judging.",
        "With fewer than 20 distinct pictures, collect more: gan scrape with another query tops the set up.",
    ),
    "collapsed": (
        "--r1 10: a gradient penalty on the reals, the best single cure where the recipe has none.",
        "--augment diffaugment: augmentation in front of the discriminator, for sets under a few thousand.",
        "A smaller --batch: more steps an epoch (fewer than 17 collapsed sooner on some hundred photographs).",
        "A larger --latent-dim: small latents collapsed earlier.",
        "--d-every 2: the discriminator rests every second batch.",
    ),
    "collapsing": (
        "Stop here: later ticks are likely to be worse.",
        "--on-collapse rollback: return to the best tick, with one thing changed.",
        "--r1 10 or --augment diffaugment.",
    ),
    "cycling": (
        "A lower --lr: the generator runs ahead of the discriminator, from mode to mode.",
        "--r1 10: a gradient penalty damps the circling.",
        "A longer --ema averages over the circle.",
    ),
    "memorising": (
        "More pictures: copies come from small sets that are trained for long.",
        "--augment ada or diffaugment.",
        "Stop earlier: an earlier checkpoint copied less.",
    ),
    "overfitting": (
        "--augment ada: augmentation that grows as the discriminator overfits.",
        "--dropout 0.3 or a smaller --width, so that the discriminator can remember less.",
        "Stop here: the held-out scores will not recover by themselves.",
    ),
    "diverged": (
        "Halve --lr (and --d-lr).",
        "--precision fp32, if the run used fp16 or bf16.",
        "--r1 1 or --gp: a penalty keeps the discriminator's slopes bounded.",
    ),
}


def advise(verdict: str, *, best_tick: int | None, num_images: int, held_out: bool) -> tuple[str, ...]:
    """The things to try, most promising first. `best_tick` is where best.pt was taken, if there is one."""
    tips = list(_ADVICE[verdict])
    if verdict == "starved" and num_images >= 20:
        tips = tips[:1]
    if verdict in ("collapsed", "collapsing", "cycling", "memorising", "overfitting", "diverged"):
        if best_tick is not None:
            tips.insert(0, f"Go back to tick {best_tick}: best.pt holds it, and gan sample uses it.")
        if num_images < 200 and verdict != "diverged" and not any("pictures" in tip for tip in tips):
            tips.append(f"More pictures than these {num_images} help every recipe.")
    if not held_out and verdict == "healthy":
        tips.append("With 50 pictures or more a few are held out, and overfitting can be seen.")
    return tuple(tips)
