"""Images per second of `gan train`'s loop against a bare loop of the same networks on the same cached tensor, in turns.

    python tests/benchmarks/throughput.py [--model dcgan] [--size 64] [--batch N] [--seconds 20] [--turns 3]
                                          [--device cpu] [--precision fp32] [--penalties]

The bare loop is what one would write by hand: same networks, same fused Adam, same precision and memory format, one
index into the tensor, no flips, no average, no log. A plain loop in the style of the public examples (NCHW, fp32,
unfused Adam, the discriminator's weights not frozen) is timed beside it. Prints each turn and ratios of medians.
`--penalties` times the model with and without R1 and R2 instead: what they cost. On a GPU the house runs its steps as
CUDA graphs where it can, and the share of the card's own rate of multiplying matrices that it reaches is printed.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import statistics
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from gancli.config import Engine, TrainOptions, resolve
from gancli.data.batches import BatchSource
from gancli.data.dataset import TrainingSet, open_training_set
from gancli.training.engine import make_iteration, tune
from gancli.training.graphs import why_not_graphed
from gancli.training.state import State


def house(config, engine: Engine, data: TrainingSet, seconds: float) -> float:
    tune(config, engine)
    state = State.fresh(config, engine)
    iteration = make_iteration(config, engine, state, BatchSource(data, config, torch.device(engine.device)))
    return rate(lambda: iteration.run(0.5), config, engine, seconds, warm_up=iteration.warm_up + 2)


def rate(step, config, engine: Engine, seconds: float, warm_up: int = 2) -> float:
    """Images per second of `step`."""
    for _ in range(warm_up):
        step()
    wait(engine)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for _ in range(1 if engine.device == "cpu" else 20):  # a GPU is not waited for at every step
            step()
            count += config.batch_size * config.d_steps
        wait(engine)
    return count / (time.perf_counter() - began)


def wait(engine: Engine) -> None:
    if engine.device != "cpu":
        torch.cuda.synchronize(engine.device)


def share_of_card(config, engine: Engine, data: TrainingSet, found: float) -> str:
    """What `found` images/s multiply, against what the card multiplies at its best in the same precision."""
    plain = dataclasses.replace(engine, cuda_graph=False)
    state = State.fresh(config, plain)
    iteration = make_iteration(config, plain, state, BatchSource(data, config, torch.device(engine.device)))
    with FlopCounterMode(display=False) as counter:
        iteration.run(0.5)
    per_image = counter.get_total_flops() / (config.batch_size * config.d_steps)
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[engine.precision]
    a, b = (torch.randn(8192, 8192, device=engine.device, dtype=kind) for _ in range(2))
    for _ in range(5):
        a @ b
    wait(engine)
    began = time.perf_counter()
    for _ in range(30):
        a @ b
    wait(engine)
    card = 30 * 2 * 8192**3 / (time.perf_counter() - began)
    return f"{per_image / 1e9:.2f} GFLOP an image; {found * per_image / card:.1%} of {card / 1e12:.0f} TFLOP/s measured"


def bare(config, engine: Engine, data: TrainingSet, seconds: float, plain: bool) -> float:
    state = State.fresh(config, engine)
    generator, discriminator = state.generator, state.discriminator
    layout = torch.contiguous_format if plain else torch.channels_last
    generator.to(memory_format=layout)
    discriminator.to(memory_format=layout)
    fused = not plain
    optimizer_g = torch.optim.Adam(generator.parameters(), config.g_lr, betas=config.betas, fused=fused)
    optimizer_d = torch.optim.Adam(discriminator.parameters(), config.d_lr, betas=config.betas, fused=fused)
    short = engine.precision == "bf16" and not plain
    loss_d, loss_g = LOSSES[config.recipe]
    images = data.images.to(engine.device)

    def cast() -> contextlib.AbstractContextManager[object]:
        kind = torch.device(engine.device).type
        return torch.autocast(kind, dtype=torch.bfloat16) if short else contextlib.nullcontext()

    def make() -> torch.Tensor:
        with cast():
            return generator(torch.randn(config.batch_size, config.latent_dim, device=engine.device)).float()

    def judge(images: torch.Tensor) -> torch.Tensor:
        with cast():
            return discriminator(images).float()

    def step() -> None:
        for _ in range(config.d_steps):
            rows = torch.randint(len(images), (config.batch_size,), device=engine.device)
            reals = images[rows].float().div_(127.5).sub_(1).contiguous(memory_format=layout)
            fakes = make()
            optimizer_d.zero_grad(set_to_none=True)
            loss_d(config, judge, reals, fakes.detach()).backward()
            optimizer_d.step()
        optimizer_g.zero_grad(set_to_none=True)
        discriminator.requires_grad_(plain)
        loss_g(judge, reals, fakes).backward()
        discriminator.requires_grad_(True)
        optimizer_g.step()

    return rate(step, config, engine, seconds)


def dcgan_d(config, judge, reals, fakes):
    return F.softplus(-judge(reals)).mean() + F.softplus(judge(fakes)).mean()


def wgan_d(config, judge, reals, fakes):
    share = torch.rand(len(reals), 1, 1, 1, device=reals.device)
    between = (share * reals + (1 - share) * fakes).requires_grad_(True)
    real_logits = judge(reals)
    (slope,) = torch.autograd.grad(judge(between).sum(), between, create_graph=True)
    penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
    drift = config.drift * real_logits.square().mean()
    return judge(fakes).mean() - real_logits.mean() + config.gp_weight * penalty + drift


def r3gan_d(config, judge, reals, fakes):
    reals, fakes = reals.requires_grad_(True), fakes.requires_grad_(True)
    real_logits, fake_logits = judge(reals), judge(fakes)
    penalty = 0.0
    for logits, images in ((real_logits, reals), (fake_logits, fakes)):
        (slope,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        penalty = penalty + slope.square().sum((1, 2, 3)).mean()
    return F.softplus(fake_logits - real_logits).mean() + config.r1_gamma / 2 * penalty


LOSSES = {
    "dcgan": (dcgan_d, lambda judge, reals, fakes: F.softplus(-judge(fakes)).mean()),
    "wgan-gp": (wgan_d, lambda judge, reals, fakes: -judge(fakes).mean()),
    "r3gan-s": (r3gan_d, lambda judge, reals, fakes: F.softplus(judge(reals.detach()) - judge(fakes)).mean()),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="dcgan", choices=LOSSES)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--size", default="64")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--penalties", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ.setdefault("GAN_CACHE", str(Path(cache)))
        data = open_training_set("demo:landscapes", size=args.size)
        # no augmentation on either side
        asked = TrainOptions(model=args.model, batch_size=args.batch, augment="none", flip=False, kimg=1.0)
        config = resolve(asked, data.facts)
        on_gpu = args.device != "cpu"
        graphed = on_gpu and why_not_graphed(config, args.precision, 1) is None
        engine = Engine(device=args.device, precision=args.precision, cuda_graph=graphed)
        print(f"{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}, {args.precision}, {args.size} px")
        if args.penalties:
            free = dataclasses.replace(config, r1_gamma=0.0, r2_gamma=0.0)
            timed = {
                "with": lambda: house(config, engine, data, args.seconds),
                "without": lambda: house(free, engine, data, args.seconds),
            }
        else:
            timed = {
                "house": lambda: house(config, engine, data, args.seconds),
                "bare": lambda: bare(config, engine, data, args.seconds, plain=False),
                "plain": lambda: bare(config, engine, data, args.seconds, plain=True),
            }
        found = in_turns(timed, args.turns)
        if args.penalties:
            print(f"a step with R1 and R2 takes {found['without'] / found['with']:.2f} times one without")
        else:
            to_bare, to_plain = (found["house"] / found[name] for name in ("bare", "plain"))
            print(f"house / bare {to_bare:.3f}   house / plain {to_plain:.2f}")
            if on_gpu:
                print(share_of_card(config, engine, data, found["house"]))


def in_turns(timed, turns: int) -> dict[str, float]:
    """The median rate of each, one after the other in every turn."""
    found: dict[str, list[float]] = {name: [] for name in timed}
    for turn in range(turns):
        for name, run in timed.items():
            found[name].append(run())
        print(turn + 1, "  ".join(f"{name} {rates[-1]:.1f} img/s" for name, rates in found.items()), flush=True)
    return {name: statistics.median(rates) for name, rates in found.items()}


if __name__ == "__main__":
    main()
