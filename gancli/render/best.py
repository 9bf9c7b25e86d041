"""Scores of samples by the discriminator, so that the best of many can be kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gancli.models.load import load_discriminator
from gancli.render.generator import Generator
from gancli.render.sampling import latents, pick_labels, render, run_chunks

__all__ = ["from_uint8", "score_seeds"]


def score_seeds(
    generator: Generator, seeds: Sequence[int], *, label: int | None = None, truncation: float = 1.0
) -> Iterator[list[float]]:
    """The discriminator's output for the picture of each seed, in order, chunk by chunk; higher looks more real.

    Each picture is shown to the discriminator alone, so that a score does not depend on its neighbours, and as the
    8-bit picture that is saved.
    """
    discriminator = load_discriminator(generator.path, device=str(generator.loaded.device))
    device = generator.loaded.device
    for start in range(0, len(seeds), 256):
        part = seeds[start : start + 256]
        labels = pick_labels(part, generator.config.num_classes, label)
        z = latents(part, generator.config.latent_dim)
        done = 0
        for images in render(generator.loaded, z, labels, truncation=truncation):
            reals = from_uint8(torch.from_numpy(images)).to(device)
            classes = None if labels is None else labels[done : done + len(images)].to(device)
            yield _alone(discriminator, reals, classes, device)
            done += len(images)


def from_uint8(images: Tensor) -> Tensor:
    """uint8 [N, H, W, C] as float [N, C, H, W] in [-1, 1]."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def _alone(discriminator: torch.nn.Module, images: Tensor, classes: Tensor | None, device: torch.device) -> list[float]:
    def compute(index: int) -> Tensor:
        one = slice(index, index + 1)
        out: Tensor = discriminator(images[one], None if classes is None else classes[one])
        return out.reshape(1)

    return [float(score) for score in run_chunks(compute, range(len(images)), device)]
