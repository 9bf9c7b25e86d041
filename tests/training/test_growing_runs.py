"""`--grow-from`: from a run at half the size, through the command's own door."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gancli.config import TrainOptions
from gancli.errors import ConfigError, UsageError
from gancli.models.checkpoint import read_checkpoint
from gancli.models.load import load_generator
from gancli.training.growth import read_parent
from gancli.training.session import open_session


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> tuple[TrainOptions, Path]:
    options = TrainOptions(
        data=str(photo_folder),
        model="wgan-gp",
        size="16",
        width=8,
        latent_dim=8,
        batch_size=8,
        d_steps=1,
        kimg=0.032,
        device="cpu",
        precision="fp32",
        compile="off",
    )
    out = tmp_path_factory.mktemp("grown") / "parent"
    list(open_session(options, out=out).ticks())
    return options, out


def test_first_grid_after_growing_scaled_down_is_the_parents_last(
    parent: tuple[TrainOptions, Path], tmp_path: Path
) -> None:
    options, before = parent
    asked = replace(options, size=None, model=None, width=None, latent_dim=None)
    session = open_session(asked, out=tmp_path / "child", grow_from=before / "last.pt")
    assert session.config.size == (32, 32)
    assert (session.config.recipe, session.config.width, session.config.grown) == ("wgan-gp", 8, 1)
    list(session.ticks())
    old = np.asarray(Image.open(sorted((before / "samples").glob("fixed-*.png"))[-1]).convert("RGB"), float)
    new = Image.open(sorted((tmp_path / "child" / "samples").glob("fixed-*.png"))[0]).convert("RGB")
    z = torch.randn(4, 8)
    small = load_generator(before / "last.pt").module(z)
    first = load_generator(sorted((tmp_path / "child" / "checkpoints").glob("*.pt"))[0]).module(z)
    assert torch.allclose(torch.nn.functional.avg_pool2d(first, 2), small, atol=1e-5)
    assert new.size[0] > old.shape[1]
    last = read_checkpoint(tmp_path / "child" / "last.pt")
    assert last.config.grown == 1
    assert float(last.states["generator"]["alpha"]) > 0
    assert load_generator(tmp_path / "child").module(z).shape == (4, 3, 32, 32)


def test_grown_runs_grow_again_and_are_found_again(parent: tuple[TrainOptions, Path], tmp_path: Path) -> None:
    options, before = parent
    asked = replace(options, size=None, kimg=0.016)
    for name, source in (("a", before), ("b", tmp_path / "a")):
        list(open_session(asked, out=tmp_path / name, grow_from=source).ticks())
    assert load_generator(tmp_path / "b").module(torch.randn(1, 8)).shape == (1, 3, 64, 64)
    assert open_session(asked, out=tmp_path / "b", grow_from=tmp_path / "a").finished


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": "48"}, "--size 32"),
        ({"model": "dcgan"}, "--model dcgan"),
        ({"width": 16}, "--width 16"),
    ],
)
def test_growing_at_another_ratio_or_recipe_names_what_works(
    parent: tuple[TrainOptions, Path], tmp_path: Path, change: dict[str, object], message: str
) -> None:
    options, before = parent
    asked = replace(replace(options, size=None, model=None, width=None), **change)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=message):
        open_session(asked, out=tmp_path / "x", grow_from=before)
    assert not (tmp_path / "x").exists()


def test_growing_takes_a_run_as_it_ended_whatever_was_best(parent: tuple[TrainOptions, Path], tmp_path: Path) -> None:
    _, before = parent
    run = shutil.copytree(before, tmp_path / "run")
    first = min((run / "checkpoints").glob("*.pt"))
    (run / "best.pt").unlink(missing_ok=True)
    shutil.copy(first, run / "best.pt")
    assert read_checkpoint(run).nimg < read_parent(run).nimg == read_checkpoint(before / "last.pt").nimg


def test_a_grown_run_is_resumed_without_its_parent(parent: tuple[TrainOptions, Path], tmp_path: Path) -> None:
    options, before = parent
    asked = replace(options, size=None, kimg=0.016)
    list(open_session(asked, out=tmp_path / "child", grow_from=before).ticks())
    session = open_session(TrainOptions(kimg=0.032), resume=tmp_path / "child")
    assert session.config.grown == 1
    assert list(session.ticks())[-1].row["nimg"] == 32
    with pytest.raises(ConfigError, match="--grow-from"):
        open_session(TrainOptions(kimg=0.032), out=tmp_path / "again", like=tmp_path / "child")


def test_two_beginnings_are_one_too_many(parent: tuple[TrainOptions, Path], tmp_path: Path) -> None:
    options, before = parent
    with pytest.raises(UsageError, match="--grow-from and --init-from"):
        open_session(options, out=tmp_path / "x", grow_from=before, init_from=before)
    with pytest.raises(UsageError, match="--resume continues"):
        open_session(options, resume=before, init_from=before)
