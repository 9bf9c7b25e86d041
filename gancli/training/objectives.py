"""The losses and penalties: tensors in, tensors out. They know no network, optimizer, device or log."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "discriminator_loss",
    "drift_penalty",
    "generator_loss",
    "gradient_penalty",
    "squared_gradient_norm",
    "undecided_logit",
]


def discriminator_loss(
    objective: str, real_logits: Tensor, fake_logits: Tensor, smoothing: float = 0.0, margin: float = 1.0
) -> Tensor:
    """What the discriminator minimises: a scalar from logits [N] and [N], or [N, P] where patches are judged.

    non-saturating: E softplus(-D(x)) + E softplus(D(G(z))), with real targets 1 - `smoothing` (Goodfellow 2014);
    wasserstein: E D(G(z)) - E D(x) (Arjovsky 2017); hinge (Miyato 2018), each logit's margin drawn from `margin` to 1
    (Liu 2021); least-squares (Mao 2017);
    relativistic: E softplus(D(G(z)) - D(x)) on pairs (Jolicoeur-Martineau 2019, Huang 2024).
    """
    if objective == "non-saturating":
        real = F.softplus(-real_logits) + smoothing * real_logits
        return real.mean() + F.softplus(fake_logits).mean()
    if objective == "wasserstein":
        return fake_logits.mean() - real_logits.mean()
    if objective == "hinge":
        return F.relu(_margins(real_logits, margin) - real_logits).mean() + (
            F.relu(_margins(fake_logits, margin) + fake_logits).mean()
        )
    if objective == "least-squares":
        return 0.5 * ((real_logits - 1).square().mean() + fake_logits.square().mean())
    assert objective == "relativistic", objective
    return F.softplus(fake_logits - real_logits).mean()


def generator_loss(objective: str, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
    """What the generator minimises: a scalar from logits [N]; the relativistic pair needs the reals' as well."""
    if objective == "non-saturating":
        return F.softplus(-fake_logits).mean()
    if objective in ("wasserstein", "hinge"):
        return -fake_logits.mean()
    if objective == "least-squares":
        return 0.5 * (fake_logits - 1).square().mean()
    assert objective == "relativistic", objective
    assert real_logits is not None, "the relativistic pair compares with reals"
    return F.softplus(real_logits - fake_logits).mean()


def undecided_logit(objective: str, real_logits: Tensor, fake_logits: Tensor) -> Tensor | float:
    """The logit that takes an image neither for real nor for fake: a half between the targets of least-squares, the
    common mean where only differences of logits mean anything, else 0."""
    if objective in ("relativistic", "wasserstein"):
        return 0.5 * (real_logits.mean() + fake_logits.mean())
    return 0.5 if objective == "least-squares" else 0.0


def _margins(logits: Tensor, least: float) -> Tensor | float:
    return 1.0 if least == 1.0 else 1.0 - (1.0 - least) * torch.rand_like(logits)


def squared_gradient_norm(logits: Tensor, x: Tensor, scale: float = 1.0) -> Tensor:
    """|∇ₓ D(x)|² of each image, [N], differentiable: R1 on reals, R2 on fakes, times gamma / 2 (Mescheder 2018).

    Of half precision, `scale` lifts the way back to x and is taken off again before anything is squared.
    """
    total = logits.sum() if scale == 1.0 else logits.sum() * scale
    (gradient,) = torch.autograd.grad(total, x, create_graph=True)
    gradient = gradient.float() if scale == 1.0 else gradient.float() / scale
    return gradient.square().flatten(1).sum(1)


def gradient_penalty(logits: Tensor, x: Tensor, scale: float = 1.0) -> Tensor:
    """(|∇ₓ D(x)| - 1)² of each image, [N], two-sided (Gulrajani 2017, equation 3); `scale` as above."""
    # The root has no slope at exactly zero, where a fresh critic may stand.
    norm = (squared_gradient_norm(logits, x, scale) + 1e-12).sqrt()
    return (norm - 1).square()


def drift_penalty(real_logits: Tensor) -> Tensor:
    """E D(x)²: keeps a critic's output near zero (Karras 2018, section A.1)."""
    return real_logits.square().mean()
