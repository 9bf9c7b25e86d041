"""The main directions of a generator: along which its pictures vary most."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from gancli.render.generator import Generator
from gancli.render.sampling import pick_labels
from gancli.render.seeds import STREAM_DIRECTIONS, stream

__all__ = ["main_directions"]

_NUM_SAMPLES = 1024
_SIDE = 16


def main_directions(generator: Generator, count: int = 8) -> tuple[Tensor, npt.NDArray[np.float64]]:
    """Unit latents [count, latent_dim] along which small pictures vary most, and the share of variance of each [count].

    Principal components of the pictures of many latents, seen small, and the latent that goes with each by regression
    (Härkönen et al. 2020, GANSpace, section 2.2, with pictures as the features, which every recipe has).
    Orthogonal to one another. Raises `CheckpointError` for a toy.
    """
    generator.need_images("Exploring")
    dim = generator.config.latent_dim
    numbers = stream(0, STREAM_DIRECTIONS).standard_normal((_NUM_SAMPLES, dim)).astype(np.float32)
    z = torch.from_numpy(numbers)
    features = _small_pictures(generator, z)
    features = features - features.mean(0)
    _u, sizes, components = torch.linalg.svd(features, full_matrices=False)
    count = min(count, dim, len(components))
    coordinates = features @ components[:count].T
    weights = torch.linalg.lstsq(coordinates / coordinates.std(0), z).solution
    basis, triangle = torch.linalg.qr(weights.T)
    directions = basis.T[:count] * torch.sign(torch.diagonal(triangle))[:count, None]
    share = (sizes.square() / sizes.square().sum())[:count]
    return directions.contiguous(), share.double().numpy()


def _small_pictures(generator: Generator, z: Tensor) -> Tensor:
    """The pictures of `z` at about 16 px: [N, F]."""
    module, device = generator.loaded.module, generator.loaded.device
    labels: Any = pick_labels(range(len(z)), generator.config.num_classes)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(z), 32):
            part = slice(start, start + 32)
            images = module(z[part].to(device), None if labels is None else labels[part].to(device))
            small = nn.functional.adaptive_avg_pool2d(
                images, (min(_SIDE, images.shape[2]), min(_SIDE, images.shape[3]))
            )
            parts.append(small.flatten(1).float().cpu())
    return torch.cat(parts)
