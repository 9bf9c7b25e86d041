"""What one update needs: reals, labels, latents and every other random input, all from the position in the run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gancli.config import TrainConfig
from gancli.data.augment import AugmentPlan, draw_augmentation
from gancli.data.dataset import TrainingSet
from gancli.data.streams import Sampler, normal, stream, uniform
from gancli.recipes import find_recipe

__all__ = ["Batch", "BatchSource", "augment_variant"]


def augment_variant(config: TrainConfig) -> dict[str, Any]:
    """How the recipe of `config` varies its own policy: keywords of `draw_augmentation`; none for another policy."""
    recipe = find_recipe(config.recipe)
    if config.augment != recipe.augment:
        return {}
    return {"colour": recipe.augment_colour, "cutout": recipe.augment_cutout}


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The inputs of one update for the whole batch.

    `reals` float [N, C, H, W] in [-1, 1] (or [N, 2]); `z` [N, latent_dim]; `mix` [N, 1, …] in [0, 1];
    `noise_real`, `noise_fake` N(0, 1) like `reals`, or None; `augmentation`: the same for reals and fakes, per image.
    """

    reals: Tensor
    labels: Tensor | None
    z: Tensor
    mix: Tensor | None
    noise_real: Tensor | None
    noise_fake: Tensor | None
    augmentation: AugmentPlan | None
    seed: int  # of what is drawn inside the networks (dropout)
    num_whole: int  # rows of the global batch, of which these may be a share

    def __len__(self) -> int:
        return len(self.reals)

    def tensors(self) -> list[Tensor]:
        """All that it holds, in one order: batches of the same kind can be copied into each other."""
        own = (self.reals, self.labels, self.z, self.mix, self.noise_real, self.noise_fake)
        return [x for x in own if x is not None] + (self.augmentation.tensors() if self.augmentation else [])

    def at(self, seed: int) -> Batch:
        """The same with another `seed`."""
        return replace(self, seed=seed)

    def part(self, start: int, stop: int) -> Batch:
        """Rows `start` to `stop`: a micro-batch, or a rank's share."""

        def cut(x: Tensor | None) -> Tensor | None:
            return None if x is None else x[start:stop]

        return Batch(
            reals=self.reals[start:stop],
            labels=cut(self.labels),
            z=self.z[start:stop],
            mix=cut(self.mix),
            noise_real=cut(self.noise_real),
            noise_fake=cut(self.noise_fake),
            augmentation=None if self.augmentation is None else self.augmentation.part(start, stop),
            seed=self.seed + start,
            num_whole=self.num_whole,
        )


class BatchSource:
    """Batches of `data` for a run with `config`, on `device`, as pure functions of (nimg, draw).

    Process `rank` of `world` draws as if it were alone, and takes its share of the rows.
    """

    def __init__(
        self, data: TrainingSet, config: TrainConfig, device: torch.device, rank: int = 0, world: int = 1
    ) -> None:
        self._rank, self._world = rank, world
        self._config = config
        self._variant = augment_variant(config)
        self.device = device
        self._images = data.images
        self._labels = data.labels if config.num_classes else None
        self._train = data.train
        self._sampler = Sampler(len(data.train), config.seed)
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if data.images.nbytes < free // 2:
                self._images = data.images.to(device)

    def discriminator_batch(self, nimg: int, draw: int, augment_p: float | None = None) -> Batch:
        """The batch that the discriminator sees at `nimg`: the next images of the epoch."""
        rows = self._train[self._sampler.indices(nimg, self._config.batch_size, draw)]
        return self._batch("d", rows, nimg, draw, augment_p)

    def generator_batch(self, nimg: int, draw: int, augment_p: float | None = None) -> Batch:
        """The generator's own batch at `nimg`: images drawn with replacement, fresh latents."""
        generator = stream(self._config.seed, "g-rows", nimg, draw)
        rows = self._train[torch.randint(len(self._train), (self._config.batch_size,), generator=generator)]
        return self._batch("g", rows, nimg, draw, augment_p)

    def block(self, nimg: int, count: int, draw: int) -> tuple[Tensor, Tensor]:
        """The reals and latents of several batches of points at once: the `count` from `nimg` on, [count, …] each."""
        rows = self._train[self._sampler.indices(nimg, count, draw)]
        z = normal((count, self._config.latent_dim), self._config.seed, "block-z", nimg, draw)
        return self._images[rows.to(self._images.device)].to(self.device), z.to(self.device)

    def _batch(self, who: str, rows: Tensor, nimg: int, draw: int, augment_p: float | None) -> Batch:
        config, seed, n = self._config, self._config.seed, len(rows)
        own = slice(n * self._rank // self._world, n * (self._rank + 1) // self._world)
        labels = self._labels[rows[own]].to(self.device) if self._labels is not None else None
        reals = self._reals(rows, own, nimg, draw, who)
        shape = (n, *reals.shape[1:])
        noise = bool(config.instance_noise)
        return Batch(
            reals=reals,
            labels=labels,
            z=normal((n, config.latent_dim), seed, f"{who}-z", nimg, draw)[own].to(self.device),
            mix=self._mix(shape, who, nimg, draw)[own] if config.gp_weight else None,
            noise_real=self._noise(shape, f"{who}-noise-real", nimg, draw)[own] if noise else None,
            noise_fake=self._noise(shape, f"{who}-noise-fake", nimg, draw)[own] if noise else None,
            augmentation=self._augmentation(shape, own, who, nimg, draw, augment_p),
            seed=stream(seed, f"{who}-networks", nimg, draw).initial_seed() // 2 + own.start,
            num_whole=n,
        )

    def _reals(self, rows: Tensor, own: slice, nimg: int, draw: int, who: str) -> Tensor:
        images = self._images[rows[own].to(self._images.device)]
        if self._config.is_points:
            return images.to(self.device)
        if self.device.type == "cuda" and images.device.type == "cpu":
            images = images.pin_memory()
        images = images.to(self.device, non_blocking=True).contiguous(memory_format=torch.channels_last)
        reals = images.to(torch.float32).mul_(1 / 127.5).sub_(1.0)
        if self._config.flip:
            turned = uniform((len(rows), 1, 1, 1), self._config.seed, f"{who}-flip", nimg, draw)[own] < 0.5
            reals = torch.where(turned.to(self.device), reals.flip(3), reals)
        return reals

    def _mix(self, shape: tuple[int, ...], who: str, nimg: int, draw: int) -> Tensor:
        return uniform((shape[0],) + (1,) * (len(shape) - 1), self._config.seed, f"{who}-mix", nimg, draw).to(
            self.device
        )

    def _noise(self, shape: tuple[int, ...], name: str, nimg: int, draw: int) -> Tensor:
        return normal(shape, self._config.seed, name, nimg, draw).to(self.device)

    def _augmentation(
        self, shape: tuple[int, ...], own: slice, who: str, nimg: int, draw: int, p: float | None
    ) -> AugmentPlan | None:
        policy = self._config.augment
        if policy in (None, "none") or self._config.is_points:
            return None
        generator = stream(self._config.seed, f"{who}-augment", nimg, draw)
        plan = draw_augmentation(policy, shape[0], (shape[3], shape[2]), shape[1], generator, p, **self._variant)
        return (plan if own == slice(0, shape[0]) else plan.part(own.start, own.stop)).to(self.device)
