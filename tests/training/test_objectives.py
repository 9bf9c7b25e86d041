"""Losses and penalties against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gancli.training.objectives import (
    discriminator_loss,
    drift_penalty,
    generator_loss,
    gradient_penalty,
    squared_gradient_norm,
)

ZERO = torch.zeros(4)


@pytest.mark.parametrize(
    ("objective", "d_at_zero", "g_at_zero"),
    [
        ("non-saturating", 2 * math.log(2), math.log(2)),
        ("wasserstein", 0.0, 0.0),
        ("hinge", 2.0, 0.0),
        ("least-squares", 0.5, 0.5),
        ("relativistic", math.log(2), math.log(2)),
    ],
)
def test_losses_at_equilibrium_are_the_published_constants(objective: str, d_at_zero: float, g_at_zero: float) -> None:
    assert float(discriminator_loss(objective, ZERO, ZERO)) == pytest.approx(d_at_zero)
    assert float(generator_loss(objective, ZERO, ZERO)) == pytest.approx(g_at_zero)


def test_one_sided_smoothing_is_the_cross_entropy_with_soft_real_targets() -> None:
    real, fake = torch.randn(8), torch.randn(8)
    bce = nn.functional.binary_cross_entropy_with_logits
    expected = bce(real, torch.full((8,), 0.9)) + bce(fake, torch.zeros(8))
    assert float(discriminator_loss("non-saturating", real, fake, 0.1)) == pytest.approx(float(expected), rel=1e-6)


def test_a_drawn_margin_counts_each_logit_by_its_own_and_no_logit_beyond_one() -> None:
    torch.manual_seed(0)
    inside, outside = torch.zeros(4000), torch.ones(4000)
    loss = float(discriminator_loss("hinge", inside, inside, margin=0.8))
    assert loss == pytest.approx(2 * 0.9, abs=0.01)  # the mean of U(.8, 1), for reals and for fakes
    assert float(discriminator_loss("hinge", outside, -outside, margin=0.8)) == 0.0


def test_patches_are_judged_one_by_one() -> None:
    patches = torch.tensor([[3.0, -1.0]])  # their mean is beyond the margin, one of them is not
    assert float(discriminator_loss("hinge", patches, -patches)) == pytest.approx(2 * (0 + 2) / 2)
    assert float(discriminator_loss("hinge", patches.mean(1), -patches.mean(1))) == 0.0


def test_penalties_of_a_linear_discriminator_are_its_weight() -> None:
    weight = torch.randn(3 * 5 * 5)
    x = torch.randn(6, 3, 5, 5, requires_grad=True)
    logits = x.flatten(1) @ weight
    norm = float(weight.norm())
    assert torch.allclose(squared_gradient_norm(logits, x), torch.full((6,), norm**2), rtol=1e-5)
    assert torch.allclose(gradient_penalty(logits, x), torch.full((6,), (norm - 1) ** 2), rtol=1e-4)


def test_gradient_penalty_moves_the_weights() -> None:
    layer = nn.Linear(4, 1)
    x = torch.randn(3, 4, requires_grad=True)
    gradient_penalty(layer(x).squeeze(1), x).mean().backward()
    norm = layer.weight.detach().norm()
    expected = 2 * (norm - 1) * layer.weight.detach() / norm
    assert layer.weight.grad is not None
    assert torch.allclose(layer.weight.grad, expected, rtol=1e-4)


def test_drift_is_the_mean_square_of_the_real_logits() -> None:
    assert float(drift_penalty(torch.tensor([1.0, -3.0]))) == pytest.approx(5.0)
