"""gan: from an idea to a trained image generator and a moving picture.

    import gancli

    generator = gancli.load("runs/dcgan-mountains-64")
    images = generator.sample(seeds=range(16))      # uint8 [16, H, W, C]
    frames = generator.walk([3, 14, 15], even=True)  # uint8 [180, H, W, C], a closed loop

    for tick in gancli.train(gancli.TrainOptions(data="photos", model="dcgan", minutes=15)):
        print(tick.row["kimg"], tick.verdict.verdict)

    gancli.scrape(config)  yields what happens while a raw set is collected (gancli.ScrapeConfig)
    gancli.curate(folder)  yields findings while a training set is made (gancli.CurateOptions)

Importing gancli imports none of torch, numpy or Pillow; each name brings what it needs when it is first used.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from gancli.config import TrainOptions
    from gancli.curate.options import CurateOptions
    from gancli.curate.process import curate
    from gancli.errors import GanError
    from gancli.render.generator import Generator, Images, load
    from gancli.scrape.config import ScrapeConfig
    from gancli.scrape.run import scrape
    from gancli.training.session import Session, open_session
    from gancli.training.ticks import Tick

__all__ = [
    "CurateOptions",
    "GanError",
    "Generator",
    "Images",
    "ScrapeConfig",
    "Session",
    "Tick",
    "TrainOptions",
    "curate",
    "load",
    "open_session",
    "scrape",
    "train",
]

_HOMES = {
    "CurateOptions": "gancli.curate.options",
    "GanError": "gancli.errors",
    "Generator": "gancli.render.generator",
    "Images": "gancli.render.generator",
    "ScrapeConfig": "gancli.scrape.config",
    "Session": "gancli.training.session",
    "Tick": "gancli.training.ticks",
    "TrainOptions": "gancli.config",
    "load": "gancli.render.generator",
    "open_session": "gancli.training.session",
}
_ROOMS = ("curate", "scrape")  # a room and the function of the same name in it


def train(options: TrainOptions, *, out: Path | str | None = None, resume: Path | str | None = None) -> Iterator[Tick]:
    """Trains as `gan train` does, and yields a `Tick` at each report: its row of log.jsonl, verdict and time left.

    The same options continue the run that is there. `out` names the run folder, `resume` a run to continue; to learn
    the folder that is chosen without them, use `open_session(options)`, its `.run.path` and its `.ticks()`.
    Raises `GanError`s naming the setting that does not fit.
    """
    from pathlib import Path

    from gancli.training.session import open_session

    session = open_session(
        options,
        out=None if out is None else Path(out),
        resume=None if resume is None else Path(resume),
    )
    yield from session.ticks()


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"gancli.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'gancli' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Room(ModuleType):
    """A room that can be called by its own name: `gancli.scrape(...)` is `gancli.scrape.scrape(...)`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(self, self.__name__.rpartition(".")[2])(*args, **kwargs)


class _Package(ModuleType):
    """Importing a room binds it here as a module; this keeps `gancli.scrape(...)` and `gancli.curate(...)` callable."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _ROOMS and type(value) is ModuleType:
            value.__class__ = _Room
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
