"""The log for TensorBoard: the numbers of every tick and both grids, drawn from log.jsonl, which stays the truth."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from gancli.errors import DiskError, MissingExtraError
from gancli.images import read_image

__all__ = ["Board", "need_tensorboard"]


def need_tensorboard() -> None:
    """Raises `MissingExtraError` where TensorBoard is not installed; asked before any work starts."""
    if importlib.util.find_spec("tensorboard") is None:
        raise MissingExtraError("--tensorboard", "tensorboard")


class Board:
    """Writes RUN/tensorboard. What `rows` say replaces what an earlier start wrote, so that both always agree."""

    def __init__(self, run_dir: Path, rows: list[dict[str, Any]]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._run_dir = run_dir
        folder = run_dir / "tensorboard"
        try:
            self._writer = SummaryWriter(str(folder), purge_step=0)
        except OSError as error:
            raise DiskError.from_os(error, folder) from error
        for row in rows:
            self.add(row)

    def add(self, row: dict[str, Any]) -> None:
        """One tick: its numbers over nimg, and the grids of its position."""
        nimg = int(row["nimg"])
        for name, value in row.items():
            if isinstance(value, int | float) and not isinstance(value, bool) and name != "nimg":
                self._writer.add_scalar(f"{_group(name)}/{name}", value, nimg)
        for kind in ("fixed", "fresh"):
            path = self._run_dir / "samples" / f"{kind}-{nimg:010d}.png"
            if path.is_file():
                picture = np.asarray(read_image(path))
                self._writer.add_image(
                    f"samples/{kind}", picture, nimg, dataformats="HW" if picture.ndim == 2 else "HWC"
                )
        self._writer.flush()

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()


def _group(name: str) -> str:
    if name.startswith(("loss", "d_real", "d_fake")):
        return "losses"
    if name in ("tick", "kimg", "epoch", "seconds", "images_per_s", "target_kimg", "starts", "memory_mb", "draw"):
        return "run"
    return "training" if name.startswith(("lr_", "grad_", "r1", "r2", "gp")) else "health"
