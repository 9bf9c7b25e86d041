"""The toy step by hand equals the plain one, and a run on it resumes bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from gancli.config import Engine, TrainConfig, TrainOptions, resolve
from gancli.data.batches import BatchSource
from gancli.data.dataset import TrainingSet, open_training_set
from gancli.training.engine import make_iteration
from gancli.training.fused import FusedToy, can_fuse, toy_gradients
from gancli.training.iteration import Iteration
from gancli.training.objectives import discriminator_loss, generator_loss, squared_gradient_norm
from gancli.training.schedules import fish_nimg
from gancli.training.state import State

ENGINE = Engine(device="cpu", precision="fp32", channels_last=False)


@pytest.fixture(scope="module")
def ring() -> TrainingSet:
    return open_training_set("toy:ring", seed=0)


def configure(data: TrainingSet, **given: Any) -> TrainConfig:
    return resolve(TrainOptions(data="toy:ring", kimg=10.0, **given), data.facts)


def test_gradients_by_hand_equal_those_of_autograd(ring: TrainingSet) -> None:
    config = configure(ring)
    state = State.fresh(config, ENGINE)
    generator, discriminator = state.generator.double(), state.discriminator.double()
    reals = ring.images[:32].double()
    z = torch.randn(32, config.latent_dim, dtype=torch.float64)
    fakes = generator(z)
    x, y = reals.clone().requires_grad_(), fakes.detach().requires_grad_()
    real_logits, fake_logits = discriminator(x), discriminator(y)
    penalty = squared_gradient_norm(real_logits, x).mean() + squared_gradient_norm(fake_logits, y).mean()
    loss_d = discriminator_loss("relativistic", real_logits, fake_logits) + 0.5 * 0.3 * penalty
    expected_d = torch.autograd.grad(loss_d, list(discriminator.parameters()))
    loss_g = generator_loss("relativistic", discriminator(fakes), real_logits.detach())
    expected_g = torch.autograd.grad(loss_g, list(generator.parameters()))
    flat = [torch.cat([p.detach().flatten() for p in net.parameters()]) for net in (generator, discriminator)]
    found_g, found_d, numbers = toy_gradients(*flat, reals, z, torch.tensor(0.3, dtype=torch.float64))
    for found, expected in ((found_g, expected_g), (found_d, expected_d)):
        assert torch.allclose(found, torch.cat([part.flatten() for part in expected]), rtol=1e-4, atol=1e-6)
    assert numbers[1].item() == pytest.approx(loss_g.item(), rel=1e-5)
    assert (numbers[4] + numbers[5]).item() == pytest.approx(penalty.item(), rel=1e-4)


def test_one_fused_step_is_adam_on_those_gradients(ring: TrainingSet) -> None:
    config = configure(ring)
    plain, fused = State.fresh(config, ENGINE), State.fresh(config, ENGINE)
    source = BatchSource(ring, config, torch.device("cpu"))
    runner = FusedToy(config, ENGINE, fused, source)
    for step in range(3):
        reals, z = (part[step * 256 : (step + 1) * 256] for part in source.block(0, 32 * 256, 0))
        flat = [
            torch.cat([p.detach().flatten() for p in net.parameters()])
            for net in (plain.generator, plain.discriminator)
        ]
        gradients = toy_gradients(*flat, reals, z, torch.tensor(config.r1_gamma))
        for net, gradient in ((plain.generator, gradients[0]), (plain.discriminator, gradients[1])):
            parts = torch.split(gradient, [p.numel() for p in net.parameters()])
            for parameter, part in zip(net.parameters(), parts, strict=True):
                parameter.grad = part.view(parameter.shape)
        plain.optimizer_g.step()
        plain.optimizer_d.step()
        runner.run(0.0)
    assert fused.nimg == 3 * 256
    for one, two in ((plain.generator, fused.generator), (plain.discriminator, fused.discriminator)):
        for (name, a), b in zip(one.named_parameters(), two.parameters(), strict=True):
            assert torch.allclose(a, b, rtol=1e-3, atol=1e-4), name
    means = runner.tally.means()
    assert means["r1"] > 0
    assert means["loss_d"] == pytest.approx(0.7, abs=0.6)


def test_stopping_and_going_on_from_a_saved_state_changes_nothing(ring: TrainingSet, tmp_path: Path) -> None:
    config = configure(ring)
    source = BatchSource(ring, config, torch.device("cpu"))
    whole, first = State.fresh(config, ENGINE), State.fresh(config, ENGINE)
    runner = FusedToy(config, ENGINE, whole, source)
    for step in range(40):
        runner.run(step / 40)
    runner = FusedToy(config, ENGINE, first, source)
    for step in range(17):
        runner.run(step / 40)
    content = first.content(config, ENGINE, {}, {})
    torch.save(content, tmp_path / "state.pt")
    saved = torch.load(tmp_path / "state.pt", weights_only=True)
    second = State.fresh(config, ENGINE)
    for name in ("generator", "generator_ema", "discriminator", "optimizer_g", "optimizer_d"):
        getattr(second, name).load_state_dict(saved[name])
    second.nimg = saved["nimg"]
    runner = FusedToy(config, ENGINE, second, source)
    for step in range(17, 40):
        runner.run(step / 40)
    for net in ("generator", "generator_ema", "discriminator"):
        for a, b in zip(getattr(whole, net).parameters(), getattr(second, net).parameters(), strict=True):
            assert torch.equal(a, b), net


def test_what_the_fused_step_does_not_know_runs_on_the_plain_one(ring: TrainingSet) -> None:
    source = BatchSource(ring, configure(ring), torch.device("cpu"))
    assert can_fuse(configure(ring))
    for given in ({"d_steps": 2}, {"d_every": "2"}, {"loss": "non-saturating"}, {"drift": 0.1}, {"r1_gamma": 1.0}):
        config = configure(ring, **given)
        iteration = make_iteration(config, ENGINE, State.fresh(config, ENGINE), source)
        assert isinstance(iteration, Iteration), given
        iteration.run(0.5)


def test_the_fish_schedule_is_that_of_the_plain_step(ring: TrainingSet) -> None:
    """Its stages belong to a whole run: this one ends in the first."""
    config = configure(ring, lr_schedule="fish")
    state = State.fresh(config, ENGINE)
    runner = make_iteration(config, ENGINE, state, BatchSource(ring, config, torch.device("cpu")))
    assert isinstance(runner, FusedToy)
    runner.run(0.9)
    assert state.optimizer_g.param_groups[0]["lr"] == config.g_lr
    state.nimg = fish_nimg(config.num_images)
    runner.run(0.9)
    assert state.optimizer_g.param_groups[0]["lr"] == pytest.approx(0.2 * config.g_lr)


@pytest.mark.slow
def test_compiled_step_equals_the_eager_one(ring: TrainingSet) -> None:
    config = configure(ring)
    source = BatchSource(ring, config, torch.device("cpu"))
    states = []
    for compiled in (False, True):
        state = State.fresh(config, ENGINE)
        engine = Engine(device="cpu", precision="fp32", compile=compiled, channels_last=False)
        runner = FusedToy(config, engine, state, source)
        for step in range(5):
            runner.run(step / 10)
        states.append(torch.cat([p.detach().flatten() for p in state.generator.parameters()]))
    assert torch.allclose(states[0], states[1], rtol=1e-3, atol=1e-4)
