"""The latent whose picture is nearest to a given one, so that one can walk between photographs.

Many random latents are looked at, the nearest few are moved by gradient descent, and the best of them is followed to
its minimum by a quasi-Newton method (Liu and Nocedal 1989, L-BFGS).
Near means: near in features, either of a fixed random network (its weights from a seed, so that distances of different
runs compare) or of the run's own discriminator. A random multi-scale network sees colour, layout and texture without
being trained (Saxe et al. 2011, "On random weights and unsupervised feature learning").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gancli.errors import UsageError
from gancli.models.load import load_discriminator
from gancli.render.best import from_uint8
from gancli.render.generator import Generator
from gancli.render.sampling import pick_labels, to_uint8
from gancli.text import clean

__all__ = ["FEATURES", "Projection", "project"]

Bytes = npt.NDArray[np.uint8]
FEATURES = ("random", "discriminator")
_NUM_LOOKED_AT = 512
_NUM_TO_COMPARE = 64
_SHOWN_EVERY = 10
_FAR_SEED = 2**62  # seeds nobody samples, so that finding a sample again is no accident


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Where the search stands. `distance` is the root mean square difference of the features; `typical` the median of
    that between the picture and random samples, so `distance / typical` near 0 is found and near 1 is lost."""

    step: int
    num_steps: int
    latent: npt.NDArray[np.float32]
    label: int | None
    image: Bytes
    distance: float
    typical: float
    features: str


def project(
    generator: Generator,
    target: Bytes,
    *,
    features: str = "random",
    starts: int = 4,
    steps: int = 300,
    label: int | None = None,
    seed: int = 0,
) -> Iterator[Projection]:
    """Searches the latent of `target` uint8 [H, W, C] (the generator's own size), yielding about every tenth step.

    The last one yielded is the best found, its `image` rendered as `gan sample` would. Raises `UsageError` for unknown
    features or numbers out of range, `CheckpointError` for a toy.
    """
    generator.need_images("A projection")
    if features not in FEATURES:
        raise UsageError(f"--features '{clean(features, 40)}': choose random or discriminator.")
    if not 1 <= starts <= 64 or not 1 <= steps <= 10_000:
        raise UsageError(f"{starts} starts of {steps} steps: 1 to 64 starts, 1 to 10000 steps.")
    device = generator.loaded.device
    wanted_image = from_uint8(torch.from_numpy(target.copy())[None]).to(device)
    if label is not None:
        pick_labels([0], generator.config.num_classes, label)
    see = _features(generator, features, wanted_image)
    with torch.no_grad():
        wanted = see(wanted_image)
    z, labels, typical = _first_looks(generator, see, wanted, starts, label, seed)
    yield from _descend(generator, see, wanted, z, labels, typical, steps, features)


def distance(one: Tensor, other: Tensor) -> Tensor:
    """The root mean square difference of features [N, F]: [N]."""
    return (one - other).square().mean(1).add(1e-16).sqrt()


_See = Callable[[Tensor], Tensor]


@dataclass
class _Best:
    """The nearest latent [latent_dim] so far, its label, and how near it is."""

    z: Tensor
    label: Tensor | None
    distance: float = math.inf


def _descend(
    generator: Generator,
    see: _See,
    wanted: Tensor,
    z: Tensor,
    labels: Tensor | None,
    typical: float,
    steps: int,
    features: str,
) -> Iterator[Projection]:
    """Adam on all starts for a quarter of the steps, then a quasi-Newton descent from the nearest of them.

    The picture changes a thousand times as fast along some directions of the latent as along others: first-order steps
    stay at 5 to 15 % of a random sample's distance, where L-BFGS reaches 1 %.
    """
    module = generator.loaded.module
    best = _Best(z[0], None if labels is None else labels[0])

    def losses(z: Tensor, labels: Tensor | None) -> Tensor:
        reached = distance(see(module(z, labels)), wanted)
        lowest = int(reached.argmin())
        if reached[lowest].item() < best.distance:
            best.distance, best.z = reached[lowest].item(), z.detach()[lowest].clone()
            best.label = None if labels is None else labels[lowest]
        beyond = (z.square().mean(1) - 1).clamp_min(0).square()
        return (reached / typical).square() + 0.01 * beyond

    def found(step: int) -> Projection:
        label = None if best.label is None else best.label[None]
        with torch.no_grad():
            image = to_uint8(module(best.z[None], label))[0]
        return Projection(
            step=step,
            num_steps=steps,
            latent=best.z.reshape(generator.config.latent_dim).cpu().numpy(),
            label=None if best.label is None else int(best.label),
            image=image,
            distance=best.distance,
            typical=typical,
            features=features,
        )

    broad = max(1, steps // 4)
    for step in _broadly(losses, z, labels, broad):
        yield found(step)
    for step in _finely(losses, best, steps - broad):
        yield found(broad + step)


_Losses = Callable[[Tensor, Tensor | None], Tensor]


def _broadly(losses: _Losses, z: Tensor, labels: Tensor | None, steps: int) -> Iterator[int]:
    """Adam on every start; yields about every tenth step."""
    z = z.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([z], lr=0.1, betas=(0.9, 0.99))
    for step in range(1, steps + 1):
        (z.grad,) = torch.autograd.grad(losses(z, labels).sum(), z)
        optimizer.step()
        if step % _SHOWN_EVERY == 0 or step == steps:
            yield step


def _finely(losses: _Losses, best: _Best, steps: int) -> Iterator[int]:
    """L-BFGS from the best, a step being one look at the gradient; yields about every tenth."""
    z = best.z[None].clone().requires_grad_(True)
    labels = None if best.label is None else best.label[None]
    optimizer = torch.optim.LBFGS([z], history_size=40, line_search_fn="strong_wolfe", tolerance_change=1e-12)
    done = 0

    def closure() -> Tensor:
        nonlocal done
        done += 1
        loss = losses(z, labels).sum()
        (z.grad,) = torch.autograd.grad(loss, z)
        return loss.detach()

    while done < steps:
        before = done
        optimizer.param_groups[0]["max_iter"] = min(_SHOWN_EVERY, steps - done)
        optimizer.param_groups[0]["max_eval"] = min(_SHOWN_EVERY, steps - done)
        optimizer.step(closure)  # type: ignore[no-untyped-call]
        if done - before <= 1:  # as near as numbers of 32 bits allow
            done = steps
        yield min(done, steps)


def _first_looks(
    generator: Generator, see: _See, wanted: Tensor, starts: int, label: int | None, seed: int
) -> tuple[Tensor, Tensor | None, float]:
    """The `starts` nearest of many random latents, their labels, and the median distance of a random sample."""
    device, num_classes = generator.loaded.device, generator.config.num_classes
    first = _FAR_SEED + seed % 2**32 * _NUM_LOOKED_AT
    seeds = range(first, first + _NUM_LOOKED_AT)
    z = generator.latents(seeds).to(device)
    labels = pick_labels(seeds, num_classes, label)
    labels = None if labels is None else labels.to(device)
    parts = []
    with torch.no_grad():
        for start in range(0, len(z), 32):
            part = slice(start, start + 32)
            images = generator.loaded.module(z[part], None if labels is None else labels[part])
            parts.append(distance(see(images), wanted))
    reached = torch.cat(parts)
    order = reached.argsort()[:starts]
    return z[order], None if labels is None else labels[order], float(reached[:_NUM_TO_COMPARE].median())


def _features(generator: Generator, name: str, like: Tensor) -> _See:
    """What sees a picture [N, C, H, W] as numbers [N, F], every part of the same weight."""
    if name == "random":
        return _RandomEye(generator.channels).to(like.device)
    discriminator = load_discriminator(generator.path, device=str(like.device))

    def see(images: Tensor) -> Tensor:
        seen: Tensor = discriminator.features(images)  # type: ignore[operator]
        return seen.flatten(1)

    return see


class _RandomEye(nn.Module):
    """Random 3x3 filters with leaky ReLU on four scales of the picture, and the small picture itself."""

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(20)
        first = torch.randn(width, channels, 3, 3, generator=draw) / (9 * channels) ** 0.5
        second = torch.randn(width, width, 3, 3, generator=draw) / (9 * width) ** 0.5
        self.register_buffer("first", first)
        self.register_buffer("second", second)

    def forward(self, images: Tensor) -> Tensor:
        seen = []
        for _ in range(4):
            x = F.leaky_relu(F.conv2d(images, self.get_buffer("first"), padding=1), 0.2)
            x = F.leaky_relu(F.conv2d(x, self.get_buffer("second"), stride=2, padding=1), 0.2)
            seen += [images.flatten(1), x.flatten(1)]
            if min(images.shape[2:]) < 8:
                break
            images = F.avg_pool2d(images, 2)
        weights = [1 / len(seen) ** 0.5 / part.shape[1] ** 0.5 for part in seen]
        total = sum(part.shape[1] for part in seen)
        return torch.cat([part * weight * total**0.5 for part, weight in zip(seen, weights, strict=True)], dim=1)
