"""Diversity, doubles, copies and rank, all relative to what the reals show among themselves.

Nothing here knows an absolute scale: a set of nearly identical pictures is its own measure.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gancli.metrics.features import FeatureSpace, small_pixels, to_float

__all__ = [
    "CopyFinder",
    "CopySearch",
    "count_distinct",
    "double_share",
    "effective_rank",
    "leave_one_out",
    "mean_distance",
    "nearest",
]

_NEAR = 0.3  # of the reals' median distance to their nearest neighbour: closer is a near-duplicate
_COPY = 0.5  # of the distance from the training image to its own nearest neighbour: closer is a copy
_SIDE = 12  # pixels a side in which blurred copies are looked for
# Root mean square over 8 by 8 pixels: four levels of 255. Saving anew as a JPEG of quality 60 changes up to 3.9 of
# them, other photographs of the same kind are 15 and more away.
_SAME = 4 / 127.5
_CHUNK = 512


def mean_distance(points: Tensor) -> float:
    """Mean distance of all pairs of `points` [n, d], n >= 2."""
    return float(torch.pdist(points).mean())


def count_distinct(images: Tensor, most: int = 64) -> int:
    """How many of `images` uint8 [N, C, H, W] there are when doubles count once; counted up to `most`.

    Doubles, mirrored or not, are equal as 8 by 8 pixels to within what saving anew changes: what a curated set's
    manifest calls one, and a plain folder cannot tell. Pictures that are only alike are distinct.
    """
    parts = [to_float(part) for part in torch.split(images, _CHUNK)]
    plain = torch.cat([small_pixels(part) for part in parts])
    mirrored = torch.cat([small_pixels(part.flip(-1)) for part in parts])
    reach, count = _SAME * plain.shape[1] ** 0.5, 0
    while len(plain) and count < most:
        others = torch.minimum((plain - plain[0]).norm(dim=1), (mirrored - plain[0]).norm(dim=1)) > reach
        plain, mirrored, count = plain[others], mirrored[others], count + 1
    return count


def leave_one_out(points: Tensor) -> Tensor:
    """Distance of each of `points` [n, d] to its nearest other one: [n]; exact doubles give 0."""
    parts = []
    for start, part in zip(range(0, len(points), _CHUNK), torch.split(points, _CHUNK), strict=True):
        distance = torch.cdist(part, points)
        distance.diagonal(start).fill_(torch.inf)
        parts.append(distance.min(1).values)
    return torch.cat(parts)


def nearest(points: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """For each of `points` [n, d] its distance to the nearest of `others` [m, d], and that one's index: [n], [n]."""
    parts = [torch.cdist(part, others).min(1) for part in torch.split(points, _CHUNK)]
    return torch.cat([p.values for p in parts]), torch.cat([p.indices for p in parts])


def double_share(points: Tensor, real_distance: float) -> float:
    """Share of `points` [n, d] with another one nearer than 0.3 of `real_distance`.

    `real_distance` is the reals' median leave-one-out distance in a sample of the same size n.
    """
    return float((leave_one_out(points) < max(_NEAR * real_distance, 1e-9)).double().mean())


def effective_rank(points: Tensor, total: float | None = None) -> tuple[float, float]:
    """exp of the entropy of the covariance's eigenvalues of `points` [n, d], and their sum (the total variance).

    Roy and Vetterli, "The effective rank". With `total`, the variance of the reals, the rank is scaled down by the
    share of it that is there: noise around one picture has many directions and no extent.
    """
    centred = (points - points.mean(0)).double()
    variances = torch.linalg.eigvalsh(centred @ centred.T / max(len(points) - 1, 1)).clamp_min(0)
    variance = float(variances.sum())
    if variance <= 0:
        return 0.0, 0.0
    shares = variances[variances > 0] / variance
    rank = float(torch.exp(-(shares * shares.log()).sum()))
    if total is not None:
        rank *= min(1.0, variance / total) if total > 0 else 1.0
    return rank, variance


class CopyFinder:
    """Finds fakes that are training images.

    A fake copies a training image when it is nearer to it than half the distance from that image to the nearest
    other one: a local scale, so that dense and sparse corners of a set are judged alike, and a blurred average of
    many images is no copy. What the same rule says of training images, each left out in turn, is `baseline`: sets of
    nearly identical pictures have "copies" by nature.

    Args:
        train: features of the training images [N, d], N >= 3.
    """

    def __init__(self, train: Tensor) -> None:
        self.train = train
        some = torch.linspace(0, len(train) - 1, min(len(train), _CHUNK), device=train.device).round().long()
        distance, index = _nearest_others(train, some, some[:, None])
        # Exact doubles in the set say nothing about its scale.
        self._tiny = 1e-4 * float(distance[:, 0].median()) + 1e-9
        scale = self._scale(index[:, 0], torch.stack([index[:, 0], some], 1))
        self.baseline = float((distance[:, 0] < _COPY * scale).double().mean())

    def __call__(self, points: Tensor, mirrored: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Which of `points` [n, d] are copies (bool [n]), their distances [n] and the nearest images' indices [n].

        `mirrored` are the features of the same fakes mirrored: a run that flips its reals copies in both hands.
        """
        distance, index = nearest(points, self.train)
        if mirrored is not None:
            other, where = nearest(mirrored, self.train)
            index = torch.where(other < distance, where, index)
            distance = torch.minimum(distance, other)
        return distance < _COPY * self.scale_of(index), distance, index

    def scale_of(self, index: Tensor) -> Tensor:
        """The distance of the training images at `index` [n] to their nearest other ones [n]."""
        return self._scale(index, index[:, None])

    def _scale(self, index: Tensor, without: Tensor) -> Tensor:
        distance, _ = _nearest_others(self.train, index, without)
        return torch.where(distance[:, 0] > self._tiny, distance[:, 0], distance[:, 1])


class CopySearch:
    """Copies as pictures, not as features: a fake copies a training image if it does by either of two measures.

    Random features see an exact copy among similar pictures; twelve pixels a side still see one that is blurred or
    noisy, as networks copy. Mirrored fakes count as well. Points of another kind than pictures have no copies.

    Args:
        reals: the training images, uint8 [N, C, H, W], N >= 3, on any device.
        space: their feature space.
    """

    def __init__(self, reals: Tensor, space: FeatureSpace) -> None:
        self._space = space
        self._finders = [CopyFinder(measure(reals)) for measure in self._measures]
        self.baseline = max(finder.baseline for finder in self._finders)

    def __call__(self, fakes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Which of `fakes` (uint8 or float in [-1, 1]) are copies (bool [n]), how near they are to the nearest
        training image in that one's distance to its own nearest other [n], and its index [n]."""
        found = []
        for measure, finder in zip(self._measures, self._finders, strict=True):
            copied, distance, index = finder(measure(fakes), measure(fakes.flip(-1)))
            found.append((copied, distance / finder.scale_of(index).clamp_min(1e-9), index))
        (copied, ratio, index), (also, other, where) = found
        return copied | also, torch.minimum(ratio, other), torch.where(other < ratio, where, index)

    @property
    def _measures(self) -> tuple[Callable[[Tensor], Tensor], ...]:
        return self._space, self._pixels

    def _pixels(self, images: Tensor) -> Tensor:
        parts = [small_pixels(to_float(part.to(self._space.device)), _SIDE) for part in torch.split(images, _CHUNK)]
        return torch.cat(parts)


def _nearest_others(points: Tensor, index: Tensor, without: Tensor) -> tuple[Tensor, Tensor]:
    """Distances and indices [n, 2] of the two nearest of `points` to those at `index` [n], leaving out `without`."""
    parts = []
    for some, left_out in zip(torch.split(index, _CHUNK), torch.split(without, _CHUNK), strict=True):
        distance = torch.cdist(points[some], points)
        distance.scatter_(1, left_out, torch.inf)
        parts.append(distance.topk(2, largest=False))
    return torch.cat([p.values for p in parts]), torch.cat([p.indices for p in parts])
