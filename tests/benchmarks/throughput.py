"""Images per second of `gan train`'s loop against a bare loop of the same networks on the same cached tensor, in turns.

    python tests/benchmarks/throughput.py [--seconds 20] [--turns 3] [--precision fp32]

The bare loop is what one would write by hand: same networks, same fused Adam, same precision and memory format, one
index into the tensor, no flips, no average, no log. Prints each turn and the ratio of the medians. A plain loop in the
style of the public examples (NCHW, fp32, unfused) is timed beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from gancli.config import Engine, TrainOptions, resolve
from gancli.data.batches import BatchSource
from gancli.data.dataset import TrainingSet, open_training_set
from gancli.training.iteration import Iteration
from gancli.training.state import State


def house(config, engine: Engine, data: TrainingSet, seconds: float) -> float:
    state = State.fresh(config, engine)
    iteration = Iteration(config, engine, state, BatchSource(data, config, torch.device("cpu")))
    for _ in range(2):
        iteration.run(0.0)
    began, first = time.perf_counter(), state.nimg
    while time.perf_counter() - began < seconds:
        iteration.run(0.0)
    return (state.nimg - first) / (time.perf_counter() - began)


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

    def cast() -> contextlib.AbstractContextManager[object]:
        return torch.autocast("cpu", dtype=torch.bfloat16) if short else contextlib.nullcontext()

    def step() -> None:
        rows = torch.randint(len(data.images), (config.batch_size,))
        reals = data.images[rows].float().div_(127.5).sub_(1).contiguous(memory_format=layout)
        with cast():
            fakes = generator(torch.randn(config.batch_size, config.latent_dim)).float()
        optimizer_d.zero_grad(set_to_none=True)
        with cast():
            real_logits, fake_logits = discriminator(reals).float(), discriminator(fakes.detach()).float()
        (F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()).backward()
        optimizer_d.step()
        optimizer_g.zero_grad(set_to_none=True)
        discriminator.requires_grad_(plain)
        with cast():
            fake_logits = discriminator(fakes).float()
        F.softplus(-fake_logits).mean().backward()
        discriminator.requires_grad_(True)
        optimizer_g.step()

    for _ in range(2):
        step()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        step()
        count += config.batch_size
    return count / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--size", default="64")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ.setdefault("GAN_CACHE", str(Path(cache)))
        data = open_training_set("demo:landscapes", size=args.size)
        config = resolve(TrainOptions(model="dcgan", kimg=1.0), data.facts)
        engine = Engine(device="cpu", precision=args.precision)
        found: dict[str, list[float]] = {"house": [], "bare": [], "plain": []}
        print(f"{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}, {args.precision}, {args.size} px")
        for turn in range(args.turns):
            found["house"].append(house(config, engine, data, args.seconds))
            found["bare"].append(bare(config, engine, data, args.seconds, plain=False))
            found["plain"].append(bare(config, engine, data, args.seconds, plain=True))
            print(turn + 1, "  ".join(f"{name} {rates[-1]:.1f} img/s" for name, rates in found.items()))
        middle = {name: statistics.median(rates) for name, rates in found.items()}
        to_bare, to_plain = (middle["house"] / middle[name] for name in ("bare", "plain"))
        print(f"house / bare {to_bare:.3f}   house / plain {to_plain:.2f}")


if __name__ == "__main__":
    main()
