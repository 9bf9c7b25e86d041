"""A run opened by several processes: the first does what one alone would, the others are told what it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gancli.config import Engine, TrainConfig, TrainOptions
from gancli.data.dataset import open_training_set
from gancli.errors import ConfigError, DataError
from gancli.training.plan import Plan
from gancli.training.ranks import Ranks
from gancli.training.run import RunFolder
from gancli.training.session import Session, open_session

__all__ = ["open_together"]


def open_together(options: TrainOptions, ranks: Ranks, *, say: Callable[[str], None], **where: Any) -> Session:
    """`open_session(options, **where)`, in each of the processes `ranks`.

    Raises its errors in the first, and in any other `DataError` where that one does not see the same data.
    """
    if ranks.world == 1:
        return open_session(options, say=say, **where)
    if ranks.is_first:
        session = open_session(options, say=say, **where)
        # sums of gradients stand between the kernels of a step
        session = replace(session, ranks=ranks, engine=replace(session.engine, cuda_graph=False))
        if session.config.batch_size < ranks.world:
            raise ConfigError(
                f"--batch {session.config.batch_size} has not one image for each of {ranks.world} processes. "
                f"Give at least {ranks.world}, or start fewer."
            )
        ranks.told([session.config.to_dict(), session.engine.to_dict(), str(session.run.path), session.finished])
        return session
    config_dict, engine_dict, path, finished = ranks.told(None)
    config = TrainConfig.from_dict(config_dict)
    engine = Engine(**engine_dict)
    if engine.device.startswith("cuda"):
        engine = replace(engine, device=f"cuda:{ranks.local_rank}")
        torch.cuda.set_device(engine.device)
    size = None if config.is_points else f"{config.size[0]}x{config.size[1]}"
    data = open_training_set(config.data, size=size, seed=config.seed)
    if data.facts.fingerprint != config.fingerprint:
        raise DataError(
            f"Process {ranks.rank} sees other data at '{config.data}' than the first. Copy the same set there."
        )
    return Session(
        config=config,
        engine=engine,
        data=data,
        run=RunFolder(Path(path)),
        checkpoint=None,
        plan=Plan(figures={}, lines=(), warnings=()),
        is_new=False,
        finished=finished,
        notes=[],
        ranks=ranks,
    )
