"""How well a picture fits the style that the discriminator has learned, after the WarGAN project's idea.

A logit alone says nothing, so it is placed among those of the training images, kept as quantiles in the checkpoint:
the images themselves may be gone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from gancli.metrics.features import to_float
from gancli.models.layers import MinibatchDeviation

__all__ = ["NUM_QUANTILES", "percentile", "score_images", "score_quantiles"]

NUM_QUANTILES = 101
_SAMPLE = 128  # training images that the quantiles are taken from at a checkpoint
_CHUNK = 32


@torch.no_grad()
def score_images(discriminator: nn.Module, images: Tensor, labels: Tensor | None = None) -> Tensor:
    """The discriminator's logit for each of `images`, uint8 [N, C, H, W] or points [N, 2]: float32 [N] on the CPU.

    A network that compares the pictures of a batch compares each with itself, so that a score does not depend on the
    others.
    It is used in evaluation mode and left as it was found.
    """
    weights = next(discriminator.parameters())
    comparing = [m for m in discriminator.modules() if isinstance(m, MinibatchDeviation)]
    groups = [m.group for m in comparing]
    was_training = discriminator.training
    discriminator.eval()
    for module in comparing:
        module.group = 1
    try:
        parts = []
        for start in range(0, len(images), _CHUNK):
            part = to_float(images[start : start + _CHUNK].to(weights.device))
            classes = () if labels is None else (labels[start : start + _CHUNK].to(weights.device),)
            parts.append(discriminator(part, *classes).float().flatten().cpu())
    finally:
        for module, group in zip(comparing, groups, strict=True):
            module.group = group
        discriminator.train(was_training)
    return torch.cat(parts) if parts else torch.empty(0)


def score_quantiles(discriminator: nn.Module, reals: Tensor, labels: Tensor | None = None) -> list[float]:
    """101 quantiles (0 %, 1 %, … 100 %) of the scores of at most 128 training images, evenly chosen from `reals`."""
    rows = torch.linspace(0, len(reals) - 1, min(len(reals), _SAMPLE)).round().long()
    scores = score_images(discriminator, reals[rows], None if labels is None else labels[rows])
    finite = scores[torch.isfinite(scores)].double().numpy()
    if not len(finite):
        return []
    return [float(q) for q in np.quantile(finite, np.linspace(0, 1, NUM_QUANTILES))]


def percentile(score: float, quantiles: Sequence[float]) -> float | None:
    """Where `score` stands among the training images, 0 to 100; None without quantiles."""
    if len(quantiles) != NUM_QUANTILES:
        return None
    below = float(np.searchsorted(quantiles, score, side="left"))
    above = float(np.searchsorted(quantiles, score, side="right"))
    if above > below:
        return min(100.0, (below + above - 1) / 2)
    if below in (0, NUM_QUANTILES):
        return 0.0 if below == 0 else 100.0
    low, high = quantiles[int(below) - 1], quantiles[int(below)]
    return (below - 1) + (score - low) / (high - low)
