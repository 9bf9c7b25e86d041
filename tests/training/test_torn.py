"""A power cut in the middle of any write: the file is torn, the process gone. The run goes on as if it had not been."""

from __future__ import annotations

import builtins
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gancli import files
from gancli.config import TrainOptions
from gancli.models import checkpoint as checkpoint_module
from gancli.models.checkpoint import read_checkpoint
from gancli.training.session import open_session


class PowerCut(BaseException):
    """Nothing in the code under test may catch this."""


class Mains:
    """Counts the writes that reach the disk; at number `cut` tears one in half, and none comes after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cut: int | None) -> None:
        self.count, self._cut = 0, cut
        for module in (files, checkpoint_module):
            monkeypatch.setattr(module, "os", self._os(module.os))
        monkeypatch.setattr(files, "open", self._open, raising=False)

    def _is_cut(self) -> bool:
        self.count += 1
        return self._cut is not None and self.count >= self._cut

    def _os(self, real: Any) -> Any:
        mains = self

        class Os:
            def __getattr__(self, name: str) -> Any:
                return getattr(real, name)

            def fsync(self, descriptor: int) -> None:
                if mains._is_cut():
                    if mains.count == mains._cut and not os.path.isdir(f"/proc/self/fd/{descriptor}"):
                        os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
                    raise PowerCut
                real.fsync(descriptor)

            def replace(self, *given: Any) -> None:
                mains._guard(lambda: real.replace(*given))

            def link(self, *given: Any) -> None:
                mains._guard(lambda: real.link(*given))

        return Os()

    def _guard(self, write: Callable[[], None]) -> None:
        if self._is_cut():
            raise PowerCut
        write()

    def _open(self, path: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
        file = builtins.open(path, mode, *given, **named)  # noqa: SIM115
        if "a" not in mode:
            return file
        mains, whole = self, file.write

        class Torn:
            def __enter__(self) -> Torn:
                return self

            def __exit__(self, *given: object) -> None:
                file.close()

            def __getattr__(self, name: str) -> Any:
                return getattr(file, name)

            def write(self, data: bytes) -> None:
                if mains._is_cut():
                    if mains.count == mains._cut:
                        whole(data[: len(data) // 2])
                    raise PowerCut
                whole(data)

        return Torn()


def options(photos: Path) -> TrainOptions:
    return TrainOptions(
        data=str(photos),
        model="vanilla",
        size="16",
        width=16,
        batch_size=8,
        kimg=0.096,
        tick_kimg=0.032,
        device="cpu",
        precision="fp32",
        compile="off",
    )


def train(photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch, cut: int | None = None) -> int:
    with monkeypatch.context() as context:
        mains = Mains(context, cut)
        try:
            loop = open_session(options(photos), out=out).ticks()
            for _ in loop:
                pass
        except PowerCut:
            assert cut is not None
        return mains.count


def end(out: Path) -> dict[str, torch.Tensor]:
    states = read_checkpoint(out / "last.pt").states
    return {f"{net}.{k}": v for net in ("generator", "generator_ema", "discriminator") for k, v in states[net].items()}


def check(photos: Path, whole: Path, torn: Path, monkeypatch: pytest.MonkeyPatch, cut: int) -> None:
    train(photos, torn, monkeypatch, cut)
    train(photos, torn, monkeypatch)
    expected, found = end(whole), end(torn)
    assert all(torch.equal(value, found[name]) for name, value in expected.items()), cut
    rows = [json.loads(line) for line in (torn / "log.jsonl").read_text().splitlines()]
    assert [(row["tick"], row["nimg"]) for row in rows] == [(1, 32), (2, 64), (3, 96)], cut


def test_a_torn_write_loses_nothing(photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = train(photo_folder, tmp_path / "whole", monkeypatch)
    assert writes > 20
    check(photo_folder, tmp_path / "whole", tmp_path / "torn", monkeypatch, round(0.62 * writes))


@pytest.mark.slow
def test_every_torn_write_loses_nothing(photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = train(photo_folder, tmp_path / "whole", monkeypatch)
    for cut in range(1, writes + 1):
        check(photo_folder, tmp_path / "whole", tmp_path / f"torn-{cut}", monkeypatch, cut)
