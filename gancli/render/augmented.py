"""What the discriminator will see: reals under an augmentation, as a sheet to look at before training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gancli.data.augment import apply_augmentation, draw_augmentation
from gancli.data.batches import augment_variant
from gancli.data.dataset import TrainingSet, open_training_set
from gancli.data.streams import stream
from gancli.errors import UsageError
from gancli.models.checkpoint import read_checkpoint
from gancli.recipes import find_recipe
from gancli.render.grid import make_grid
from gancli.render.sampling import to_uint8

__all__ = ["augmentation_sheet", "sheet_of_run"]

_ROWS, _COLUMNS = 6, 8


_ADA_P = 0.5  # of a sheet where no run says it


def augmentation_sheet(
    data: TrainingSet, policy: str, p: float | None = None, *, flip: bool | None = None, **variant: Any
) -> npt.NDArray[np.uint8]:
    """Each row is one training image and seven draws of `policy`: uint8 [H, W, C].

    `p`: how often an operation strikes, 0 to 1; None: the policy's own, and .5 for ada, whose controller moves it.
    `flip`: is every second draw mirrored? None: as the data have it. `variant`: see `draw_augmentation`.
    """
    if data.facts.size == (0, 0):
        raise UsageError("--augment is for images; a toy's points are never augmented.")
    if p is None and policy == "ada":
        p = _ADA_P
    rows = data.train[torch.linspace(0, len(data.train) - 1, min(_ROWS, len(data.train))).long()]
    reals = data.images[rows].float() / 127.5 - 1
    repeated = reals.repeat_interleave(_COLUMNS - 1, dim=0)
    if data.facts.flip if flip is None else flip:
        turned = torch.rand(len(repeated), 1, 1, 1, generator=stream(0, "sheet-flip")) < 0.5
        repeated = torch.where(turned, repeated.flip(3), repeated)
    facts = data.facts
    plan = draw_augmentation(policy, len(repeated), facts.size, facts.channels, stream(0, "sheet"), p, **variant)
    augmented = apply_augmentation(repeated, plan).clamp(-1, 1)
    parts = augmented.reshape(len(rows), _COLUMNS - 1, *reals.shape[1:])
    together = torch.cat([reals[:, None], parts], dim=1).reshape(-1, *reals.shape[1:])
    return make_grid(to_uint8(together), columns=_COLUMNS)


def sheet_of_run(run: Path, policy: str) -> tuple[npt.NDArray[np.uint8], str]:
    """The sheet of what the discriminator of `run` sees now under `policy`, and a sentence on how often it strikes.

    Raises `CheckpointError`, or `DataError` when the run's data are not there any more.
    """
    checkpoint = read_checkpoint(run / "last.pt" if (run / "last.pt").is_file() else run)
    config = checkpoint.config
    size = None if config.is_points else f"{config.size[0]}x{config.size[1]}"
    data = open_training_set(config.data, size=size, seed=config.seed)
    changed = "" if data.facts.fingerprint == config.fingerprint else "; the data have changed since"
    if policy != config.augment:
        note = f"the run itself trains with --augment {config.augment}{changed}"
        return augmentation_sheet(data, policy, flip=config.flip), note
    p, note = None, "as the run trains"
    if policy == "ada":
        final = find_recipe(config.recipe).augment_p
        now = float(checkpoint.states["augment"].get("p", 0.0)) if final is None else final
        p = now or _ADA_P
        note = f"each operation strikes with a chance of {p:.2g}"
        if final is not None:
            note += ", as at the end of the rise"
        elif not now:
            note += "; in the run it has not risen from 0 yet"
    return augmentation_sheet(data, policy, p, flip=config.flip, **augment_variant(config)), note + changed
