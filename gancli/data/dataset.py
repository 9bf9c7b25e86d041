"""`gan train DATA`: from what a person names to one array of images (or points), split into training and held-out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gancli.config import DataFacts
from gancli.data.cache import Digests, digests_of, fingerprint_of
from gancli.data.sources import Loaded, open_source
from gancli.errors import DataError
from gancli.text import clean, plural

__all__ = ["STACKED", "TrainingSet", "open_training_set"]

STACKED = "stacked-"  # before the name of a set of triples, as a run remembers it


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """Everything a run needs of its data.

    `images`: uint8 [N, C, H, W], or float32 [N, 2] for points (divided by `scale`). `labels`: int64 [N], or None.
    `train` and `held_out` are the rows of each split, int64. `skipped`: (name, reason).
    """

    facts: DataFacts
    images: Tensor
    labels: Tensor | None
    train: Tensor
    held_out: Tensor
    skipped: list[tuple[str, str]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    card: dict[str, Any] = field(default_factory=dict)
    scale: float = 1.0


def open_training_set(spec: str, *, size: str | None = None, seed: int = 0, stacked: bool = False) -> TrainingSet:
    """The training set that `spec` names: a folder, zip, WebDataset shards, `idx:`, `torchvision:`, `demo:`, `toy:`.

    `size`: 'N' or 'WxH' in px; None: the set's own size, 64 for a plain folder. `stacked`: random triples of grey
    images as colour ones (Stacked MNIST). Raises `DataError` or `UsageError` saying what was looked for.
    """
    if spec.startswith(STACKED):
        spec, stacked = spec.removeprefix(STACKED), True
    loaded = open_source(spec, size, seed)
    if len(loaded.images) < 2:
        reasons = (
            f" Skipped: {'; '.join(f'{clean(n, 60)}: {r}' for n, r in loaded.skipped[:3])}." if loaded.skipped else ""
        )
        raise DataError(
            f"'{clean(spec)}' has {plural(len(loaded.images), 'usable image')}; training needs at least two.{reasons}"
        )
    if stacked:
        from gancli.data.stacked import stack_digits

        images = stack_digits(loaded.images, seed, spec)
        origins = digests_of(np.arange(len(images)))  # at every size the same triples
        loaded = Loaded(spec=STACKED + loaded.spec, images=images, flip=False, card=loaded.card, origins=origins)
    return _split(loaded)


def _split(loaded: Loaded) -> TrainingSet:
    images = loaded.images if loaded.images.flags.writeable else loaded.images.copy()
    labels = loaded.labels if loaded.labels is not None else np.zeros(len(images), np.int64)
    digests = digests_of(images) if loaded.digests is None else loaded.digests
    held = _held_out(loaded, digests)
    points = images.ndim == 2
    facts = DataFacts(
        spec=loaded.spec,
        fingerprint=fingerprint_of(images, digests, labels),
        size=(0, 0) if points else (images.shape[3], images.shape[2]),
        channels=images.shape[1],
        num_images=int((~held).sum()),
        num_held_out=int(held.sum()),
        class_names=loaded.class_names,
        flip=loaded.flip,
    )
    card = {"images": len(images), **loaded.card}
    return TrainingSet(
        facts=facts,
        images=torch.from_numpy(images),
        labels=torch.from_numpy(labels) if len(loaded.class_names) > 1 else None,
        train=torch.from_numpy(np.flatnonzero(~held)),
        held_out=torch.from_numpy(np.flatnonzero(held)),
        skipped=loaded.skipped,
        names=loaded.names,
        card=card,
        scale=loaded.scale,
    )


def _held_out(loaded: Loaded, digests: Digests) -> npt.NDArray[np.bool_]:
    """Which rows are held out: as the manifest says; else one in sixteen (at most 1000) by a hash. Below 50 none.

    The hash is the same at every size, so that a grown run holds out what its parent did, and for equal pixels, so that
    copies never straddle the splits.
    """
    held = np.zeros(len(digests), bool)
    if len(digests) < 50:
        return held
    if loaded.held_out_names:
        held[:] = [name in loaded.held_out_names for name in loaded.names]
        if 0 < held.sum() < len(digests) - 1:
            return held
        held[:] = False
    hashes = digests if loaded.origins is None else _least_of_equals(loaded.origins, digests)
    return hashes < np.uint64(min(1 / 16, 1000 / len(digests)) * 2**64)


def _least_of_equals(origins: Digests, digests: Digests) -> Digests:
    """`origins`, the least of them for all rows whose pixels are equal."""
    _, kinds = np.unique(digests, return_inverse=True)
    least = np.full(len(digests), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(least, kinds, origins)
    return least[kinds]
