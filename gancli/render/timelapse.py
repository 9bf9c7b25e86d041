"""The training of a run as a moving picture, from its fixed-latent samples."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gancli.errors import DataError
from gancli.files import read_json_lines
from gancli.text import clean

__all__ = ["Stage", "stages"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One sample of a run: its picture, the position, and the epoch if the log knows it."""

    path: Path
    nimg: int
    epoch: float | None

    @property
    def caption(self) -> str:
        """'epoch 12 · 24.0 kimg'."""
        kimg = f"{self.nimg / 1000:.{0 if self.nimg >= 100_000 else 1}f} kimg"
        if self.epoch is None:
            return kimg
        return f"epoch {self.epoch:.{0 if self.epoch >= 10 else 1}f} · {kimg}"


def stages(run: Path) -> list[Stage]:
    """The fixed-latent samples of `run` in order. Raises `DataError` when it has none."""
    epochs = {
        row["nimg"]: float(row["epoch"])
        for row in read_json_lines(run / "log.jsonl")[0]
        if isinstance(row.get("nimg"), int) and isinstance(row.get("epoch"), int | float)
    }
    epochs.setdefault(0, 0.0)
    found = []
    for path in sorted((run / "samples").glob("fixed-*.png")):
        match = re.fullmatch(r"fixed-(\d+)\.png", path.name)
        if match:
            nimg = int(match[1])
            found.append(Stage(path=path, nimg=nimg, epoch=epochs.get(nimg)))
    if not found:
        raise DataError(
            f"'{clean(run)}' has no samples/fixed-….png to make a timelapse of. "
            "Train a little longer, or make a walk: gan interpolate"
        )
    return sorted(found, key=lambda stage: stage.nimg)
