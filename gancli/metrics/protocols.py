"""The two published protocols for counting modes, so that a figure can stand beside those of papers.

PacGAN's mixtures (Lin et al. 2018): 2,500 points of the ring or the grid. Stacked MNIST (Metz et al. 2017, as PacGAN
counts it): 26,000 pictures of three stacked digits, each channel classified, of 1,000 triples.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from gancli.data.toys import arc_shares
from gancli.errors import DataError, UsageError
from gancli.metrics.evaluation import wilson
from gancli.metrics.features import to_float
from gancli.metrics.modes import count_modes, histogram_kl, kl_floor

__all__ = ["NUM_POINTS", "NUM_STACKS", "arc_figures", "pacgan_figures", "stacked_figures", "train_digit_classifier"]

NUM_POINTS = 2500
NUM_STACKS = 26_000
_EPOCHS = 3
_LEAST_STEPS = 1200
_NEEDED_ACCURACY = 0.97


def pacgan_figures(points: Tensor, centres: Tensor, sigma: float) -> dict[str, dict[str, Any]]:
    """Figures of `points` [n, 2] against Gaussians at `centres` [K, 2] with `sigma`, in the toy's own units."""
    found = count_modes(points, centres, sigma)
    n = len(points)
    quality = wilson(found["high_quality"] or 0.0, n)
    shared = {"n_fakes": n, "features": "points", "protocol": "pacgan"}
    kl = found["reverse_kl"]
    return {
        "modes": {"value": found["modes"], "of": len(centres), **shared},
        "high_quality": {
            "value": quality.value,
            "low": quality.low,
            "high": quality.high,
            "perfect": 1 - math.exp(-4.5),
            **shared,
        },
        "reverse_kl": {"value": kl, "floor": kl_floor(len(centres), n), **shared},
        "mode_std": {"value": found["mode_std"], "perfect": 0.95**0.5, **shared},
    }


def arc_figures(points: npt.NDArray[np.float32]) -> dict[str, dict[str, Any]]:
    """Of `points` [n, 2] of toy:arcs: the share on each half circle, and of those within 3 of its radius of 10."""
    shares = {name: wilson(share, len(points)) for name, share in arc_shares(points).items()}
    shared = {"n_fakes": len(points), "features": "points"}
    return {name: {"value": s.value, "low": s.low, "high": s.high, **shared} for name, s in shares.items()}


def stacked_figures(stacks: Tensor, classifier: nn.Module, *, accuracy: float) -> dict[str, dict[str, Any]]:
    """Distinct digit triples among `stacks` uint8 [n, 3, H, W], and the KL of their histogram to the uniform one."""
    if stacks.ndim != 4 or stacks.shape[1] != 3:
        raise UsageError(
            f"--protocol stacked-mnist counts pictures of three stacked digits, three channels; this model makes "
            f"{stacks.shape[1] if stacks.ndim == 4 else 2}."
        )
    digits = [_digits(stacks[:, channel : channel + 1], classifier) for channel in range(3)]
    triples = 100 * digits[0] + 10 * digits[1] + digits[2]
    counts = torch.bincount(triples, minlength=1000)
    n = len(stacks)
    shared = {"n_fakes": n, "features": "digit classifier", "protocol": "stacked-mnist", "accuracy": accuracy}
    return {
        "modes": {"value": float((counts > 0).sum()), "of": 1000, **shared},
        "reverse_kl": {"value": histogram_kl(counts), "floor": kl_floor(1000, n), **shared},
    }


def train_digit_classifier(images: Tensor, labels: Tensor, *, seed: int = 0) -> tuple[nn.Module, float]:
    """A small convolutional classifier of digits and its accuracy on the last sixth, which it never sees.

    PacGAN's: conv 32, conv 64, pool, dense 128. `images` uint8 [N, 1, H, W], `labels` int64 [N] in 0..9; a few
    minutes for 60,000 on two cores. Raises `DataError` when it does not reach 97 %: the counts would mean nothing.
    """
    if images.shape[1] != 1 or len(images) < 600 or int(labels.max()) != 9:
        raise DataError(
            "--protocol stacked-mnist needs the labelled digits 0 to 9 to train its classifier: --data idx:FOLDER with "
            "MNIST's image and label files."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        order = torch.randperm(len(images))
        split = len(images) * 5 // 6
        network = _classifier()
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
        rounds = max(_EPOCHS, math.ceil(_LEAST_STEPS * 128 / split))
        for _ in range(rounds):
            for batch in torch.split(order[:split][torch.randperm(split)], 128):
                loss = functional.cross_entropy(network(_unit(images[batch])), labels[batch])
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
    network.eval().requires_grad_(False)
    test = order[split:]
    accuracy = float((_digits(images[test], network) == labels[test]).double().mean())
    if accuracy < _NEEDED_ACCURACY:
        raise DataError(
            f"The digit classifier is right for {accuracy:.1%} of unseen digits; below {_NEEDED_ACCURACY:.0%} its "
            "counts mean nothing. Give it all of MNIST: --data idx:FOLDER."
        )
    return network, accuracy


def _classifier() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(64 * 12 * 12, 128),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(128, 10),
    )


def _unit(images: Tensor) -> Tensor:
    """Digits at 28 x 28; the paper's 32 x 32 are 28 with a border of two."""
    images = to_float(images)
    if images.shape[-2:] == (32, 32):
        return images[..., 2:-2, 2:-2]
    if images.shape[-2:] != (28, 28):
        return functional.interpolate(images, (28, 28), mode="bilinear", antialias=True)
    return images


@torch.no_grad()
def _digits(images: Tensor, classifier: nn.Module) -> Tensor:
    return torch.cat([classifier(_unit(part)).argmax(1) for part in torch.split(images, 512)])
