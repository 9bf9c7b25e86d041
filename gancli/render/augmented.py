"""What the discriminator will see: reals under an augmentation, as a sheet to look at before training."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from gancli.data.augment import apply_augmentation, draw_augmentation
from gancli.data.dataset import TrainingSet
from gancli.data.streams import stream
from gancli.errors import UsageError
from gancli.render.grid import make_grid
from gancli.render.sampling import to_uint8

__all__ = ["augmentation_sheet"]

_ROWS, _COLUMNS = 6, 8


def augmentation_sheet(data: TrainingSet, policy: str, p: float | None = None) -> npt.NDArray[np.uint8]:
    """Each row is one training image and seven draws of `policy`: uint8 [H, W, C].

    `p`: how often an operation strikes, 0 to 1; None: the policy's own, and .5 for ada, whose controller moves it.
    """
    if data.facts.size == (0, 0):
        raise UsageError("--augment is for images; a toy's points are never augmented.")
    if p is None and policy == "ada":
        p = 0.5
    rows = data.train[torch.linspace(0, len(data.train) - 1, min(_ROWS, len(data.train))).long()]
    reals = data.images[rows].float() / 127.5 - 1
    repeated = reals.repeat_interleave(_COLUMNS - 1, dim=0)
    plan = draw_augmentation(policy, len(repeated), data.facts.size, data.facts.channels, stream(0, "sheet"), p)
    augmented = apply_augmentation(repeated, plan).clamp(-1, 1)
    parts = augmented.reshape(len(rows), _COLUMNS - 1, *reals.shape[1:])
    together = torch.cat([reals[:, None], parts], dim=1).reshape(-1, *reals.shape[1:])
    return make_grid(to_uint8(together), columns=_COLUMNS)
