"""`--grow-from` and `--init-from`: runs that begin from other runs, through the command's own door."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gancli.config import TrainConfig, TrainOptions, default_number
from gancli.errors import CheckpointError, ConfigError, UsageError
from gancli.models.checkpoint import read_checkpoint
from gancli.models.load import load_generator
from gancli.recipes import RECIPES
from gancli.training.beginning import read_beginning
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


def tiles(path: Path, side: int) -> np.ndarray:
    """The pictures of a grid, float [N, side, side, 3]."""
    sheet = np.asarray(Image.open(path).convert("RGB"), float)
    rows, columns = (length // (side + 2) for length in sheet.shape[:2])
    corners = [(2 + y * (side + 2), 2 + x * (side + 2)) for y in range(rows) for x in range(columns)]
    return np.stack([sheet[y : y + side, x : x + side] for y, x in corners])


def alpha(run: Path) -> float:
    return float(read_checkpoint(run / "last.pt").states["generator"]["alpha"])


def test_first_grid_after_growing_scaled_down_is_the_parents_last(
    parent: tuple[TrainOptions, Path], tmp_path: Path
) -> None:
    options, before = parent
    asked = replace(options, size=None, model=None, width=None, latent_dim=None, data=None)
    session = open_session(asked, out=tmp_path / "child", grow_from=before)
    assert session.config.data == options.data
    assert session.config.size == (32, 32)
    assert (session.config.recipe, session.config.width, session.config.grown) == ("wgan-gp", 8, 1)
    list(session.ticks())
    old = tiles(max((before / "samples").glob("fixed-*.png")), 16)
    new = tiles(min((tmp_path / "child" / "samples").glob("fixed-*.png")), 32)
    halved = new.reshape(*new.shape[:1], 16, 2, 16, 2, 3).mean((2, 4))
    assert len(old) == len(new) > 4
    assert np.abs(halved - old).max() <= 1  # of 255: rounding
    z = torch.randn(4, 8)
    small = load_generator(before / "last.pt").module(z)
    first = load_generator(sorted((tmp_path / "child" / "checkpoints").glob("*.pt"))[0]).module(z)
    assert torch.allclose(torch.nn.functional.avg_pool2d(first, 2), small, atol=1e-5)
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
    grown, tuned = read_beginning(None, run), read_beginning(run, None)
    assert grown is not None
    assert tuned is not None
    assert tuned.parent.nimg < grown.parent.nimg == read_checkpoint(before / "last.pt").nimg


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


def test_a_grown_run_that_goes_on_keeps_what_has_faded_in(parent: tuple[TrainOptions, Path], tmp_path: Path) -> None:
    options, before = parent
    asked = replace(options, size=None, kimg=0.032)
    list(open_session(asked, out=tmp_path / "child", grow_from=before).ticks())
    assert alpha(tmp_path / "child") == 1
    list(open_session(replace(asked, kimg=0.16), out=tmp_path / "child", grow_from=before).ticks())
    for path in (tmp_path / "child" / "checkpoints").glob("*.pt"):
        if read_checkpoint(path).nimg > 32:
            assert float(read_checkpoint(path).states["discriminator"]["alpha"]) == 1


def test_fine_tuning_begins_with_the_weights_and_a_new_position(
    parent: tuple[TrainOptions, Path], tmp_path: Path
) -> None:
    options, before = parent
    short = TrainOptions(data=options.data, kimg=0.032, batch_size=8, device="cpu", precision="fp32", compile="off")
    child = tmp_path / "child"
    session = open_session(replace(short, augment="none"), out=child, init_from=before)
    config = session.config
    assert (config.recipe, config.size, config.width, config.latent_dim) == ("wgan-gp", (16, 16), 8, 8)
    assert config.begun_from is not None
    assert any("begins" in line for line in session.plan.lines)
    list(session.ticks())
    first = read_checkpoint(min((child / "checkpoints").glob("*.pt")))
    assert first.nimg == 0
    start = read_checkpoint(before)
    for name in ("generator", "generator_ema", "discriminator"):
        for key, value in start.states[name].items():
            assert torch.equal(first.states[name][key], value), key
    assert not first.states["optimizer_g"]["state"]
    assert read_checkpoint(child / "last.pt").nimg == 32


def test_an_equal_run_from_other_weights_is_another_run(
    parent: tuple[TrainOptions, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, before = parent
    monkeypatch.chdir(tmp_path)
    opened = {}
    early = min((before / "checkpoints").glob("*.pt"))
    for name, source in (("plain", None), ("best", before / "last.pt"), ("early", early)):
        session = open_session(options, init_from=source)
        assert session.is_new, name
        list(session.ticks())
        opened[name] = session.run.path
    assert len(set(opened.values())) == 3
    for name, source in (("plain", None), ("best", before / "last.pt"), ("early", early)):
        again = open_session(options, init_from=source)
        assert (again.run.path, again.finished) == (opened[name], True)
    # a run that is named goes on without its parent, and not from another one
    assert open_session(options, out=opened["best"]).finished
    assert open_session(TrainOptions(), resume=opened["best"]).finished
    with pytest.raises(ConfigError, match="begun_from"):
        open_session(options, out=opened["best"], init_from=early)
    with pytest.raises(ConfigError, match="--init-from"):
        open_session(TrainOptions(kimg=1.0), like=opened["best"])


def test_a_grown_run_is_fine_tuned_without_fading_again(parent: tuple[TrainOptions, Path], tmp_path: Path) -> None:
    options, before = parent
    asked = replace(options, size=None, kimg=0.032)
    list(open_session(asked, out=tmp_path / "grown", grow_from=before).ticks())
    session = open_session(asked, out=tmp_path / "tuned", init_from=tmp_path / "grown" / "last.pt")
    assert (session.config.grown, session.config.size) == (1, (32, 32))
    list(session.ticks())
    first = read_checkpoint(min((tmp_path / "tuned" / "checkpoints").glob("*.pt")))
    assert float(first.states["generator"]["alpha"]) == alpha(tmp_path / "tuned") == 1


def test_growing_a_run_as_it_was_doubles_its_size(parent: tuple[TrainOptions, Path], tmp_path: Path) -> None:
    _, before = parent
    session = open_session(TrainOptions(kimg=0.016), out=tmp_path / "x", like=before, grow_from=before)
    assert session.config.size == (32, 32)
    assert session.config.d_steps == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": "32"}, "--grow-from doubles"),
        ({"model": "dcgan"}, "--model dcgan"),
        ({"latent_dim": 9}, "--latent-dim 9"),
        ({"conditional": True}, "--conditional"),
        ({"data": "toy:ring", "size": None}, "makes images"),
    ],
)
def test_fine_tuning_names_what_cannot_change(
    parent: tuple[TrainOptions, Path], tmp_path: Path, change: dict[str, object], message: str
) -> None:
    options, before = parent
    with pytest.raises(ConfigError, match=message):
        open_session(replace(options, **change), out=tmp_path / "x", init_from=before)  # type: ignore[arg-type]
    assert not (tmp_path / "x").exists()


def test_classes_are_taken_over_and_must_be_the_same(photo_folder: Path, tmp_path: Path) -> None:
    pictures = sorted(photo_folder.glob("*.png"))
    for names in (("elk", "owl"), ("elk", "yak")):
        for index, name in enumerate(names):
            (tmp_path / "-".join(names) / name).mkdir(parents=True)
            for picture in pictures[index::2]:
                shutil.copy(picture, tmp_path / "-".join(names) / name / picture.name)
    options = TrainOptions(
        data=str(tmp_path / "elk-owl"), model="dcgan", size="16", width=8, latent_dim=8, batch_size=8, kimg=0.016
    )
    options = replace(options, conditional=True, device="cpu", precision="fp32", compile="off")
    list(open_session(options, out=tmp_path / "parent").ticks())
    for where in ({"grow_from": tmp_path / "parent"}, {"init_from": tmp_path / "parent"}):
        few = TrainOptions(kimg=0.016, batch_size=8, device="cpu", data=str(tmp_path / "elk-yak"))
        with pytest.raises(ConfigError, match="elk, owl; this set has elk, yak"):
            open_session(few, out=tmp_path / "x", **where)
        with pytest.raises(ConfigError, match="elk, owl; this set has none"):
            open_session(replace(few, data=str(photo_folder)), out=tmp_path / "x", **where)
        session = open_session(replace(few, data=None), out=tmp_path / next(iter(where)), **where)
        assert session.config.num_classes == 2
        list(session.ticks())
        with pytest.raises(ConfigError, match=r"--no-conditional: .* was trained with classes"):
            open_session(replace(few, data=None), out=tmp_path / "x", given={"conditional"}, **where)


def test_points_are_fine_tuned_too(tmp_path: Path) -> None:
    few = TrainOptions(data="toy:ring", kimg=1.0, device="cpu", precision="fp32", compile="off")
    list(open_session(few, out=tmp_path / "ring").ticks())
    session = open_session(replace(few, data="toy:grid"), out=tmp_path / "grid", init_from=tmp_path / "ring")
    list(session.ticks())
    assert session.config.recipe == "toy"
    with pytest.raises(ConfigError, match="makes points"):
        open_session(replace(few, data="demo:landscapes"), out=tmp_path / "x", init_from=tmp_path / "ring")
    with pytest.raises(ConfigError, match="have no size"):
        open_session(replace(few, data=None), out=tmp_path / "x", grow_from=tmp_path / "ring")


@pytest.mark.parametrize("flag", ["init_from", "grow_from"])
def test_a_run_that_ended_before_its_first_checkpoint_begins_again_from_the_weights(
    parent: tuple[TrainOptions, Path], tmp_path: Path, flag: str
) -> None:
    options, before = parent
    asked = replace(options, size=None, kimg=0.016)
    session = open_session(asked, out=tmp_path / "child", **{flag: before})  # type: ignore[arg-type]
    session.run.create(session.config, session.engine, session.data.card)
    for where in ({"out": tmp_path / "child"}, {"resume": tmp_path / "child"}):
        again = replace(options, size="32" if flag == "grow_from" else "16") if "out" in where else TrainOptions()
        with pytest.raises(CheckpointError, match="before its first checkpoint"):
            open_session(again, **where)
    list(open_session(asked, out=tmp_path / "child", **{flag: before}).ticks())  # type: ignore[arg-type]
    list(open_session(asked, out=tmp_path / "whole", **{flag: before}).ticks())  # type: ignore[arg-type]
    again, whole = (read_checkpoint(tmp_path / name / "last.pt").states["generator"] for name in ("child", "whole"))
    assert all(torch.equal(again[key], value) for key, value in whole.items())


@pytest.mark.parametrize("flag", ["init_from", "grow_from"])
def test_how_the_parent_was_trained_is_taken_over(photo_folder: Path, tmp_path: Path, flag: str) -> None:
    """Its loss and the numbers that it had been given; what it had from its recipe or size follows; all can change."""
    few = TrainOptions(kimg=0.008, device="cpu", precision="fp32", compile="off")
    options = replace(few, data=str(photo_folder), model="sngan", size="16", width=8, loss="least-squares")
    options = replace(options, d_lr=3e-4, d_steps=2, augment="ada", batch_size=6)
    list(open_session(options, out=tmp_path / "parent").ticks())
    where = {flag: tmp_path / "parent"}
    config = open_session(few, out=tmp_path / "a", **where).config  # type: ignore[arg-type]
    assert (config.objective, config.augment, config.batch_size) == ("least-squares", "ada", 6)
    assert (config.d_lr, config.g_lr, config.d_steps) == (3e-4, RECIPES["sngan"].g_lr, 2)
    asked = replace(few, loss="hinge", batch_size=8, augment="none", seed=3)
    config = open_session(asked, out=tmp_path / "b", **where).config  # type: ignore[arg-type]
    assert (config.objective, config.augment, config.batch_size) == ("hinge", "none", 8)
    assert (config.seed, config.kimg) == (3, 0.008)


def test_a_penalty_that_goes_with_the_area_grows_with_it(photo_folder: Path, tmp_path: Path) -> None:
    few = TrainOptions(kimg=0.008, device="cpu", precision="fp32", compile="off")
    options = replace(few, data=str(photo_folder), model="compact", size="16", width=8, batch_size=8)
    list(open_session(options, out=tmp_path / "parent").ticks())
    config = open_session(few, out=tmp_path / "a", grow_from=tmp_path / "parent").config
    assert config.r1_gamma == default_number(RECIPES["compact"], "r1_gamma", (32, 32))
    assert config.r1_gamma != default_number(RECIPES["compact"], "r1_gamma", (16, 16))


@pytest.mark.parametrize("flag", ["init_from", "grow_from"])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_dropout_is_taken_over_and_where_it_cannot_change_it_is_named(
    photo_folder: Path, tmp_path: Path, dropout: float, flag: str
) -> None:
    few = TrainOptions(data=str(photo_folder), batch_size=8, kimg=0.008, device="cpu", precision="fp32", compile="off")
    options = replace(few, model="dcgan", size="16", width=8, latent_dim=8, dropout=dropout, flip=False)
    list(open_session(options, out=tmp_path / "parent").ticks())
    session = open_session(few, out=tmp_path / "child", **{flag: tmp_path / "parent"})  # type: ignore[arg-type]
    assert (session.config.dropout, session.config.flip) == (dropout, False)
    list(session.ticks())
    other = replace(few, dropout=0.3 if not dropout else 0.0)
    with pytest.raises(ConfigError, match="--dropout"):
        open_session(other, out=tmp_path / "x", **{flag: tmp_path / "parent"})  # type: ignore[arg-type]
    other = replace(few, flip=True)
    assert open_session(other, out=tmp_path / "y", **{flag: tmp_path / "parent"}).config.flip  # type: ignore[arg-type]


def test_an_export_is_nothing_to_begin_from(parent: tuple[TrainOptions, Path], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is an export"):
        open_session(parent[0], out=tmp_path / "x", init_from=tmp_path / "model.safetensors")
    with pytest.raises(UsageError, match="--grow-from begins one"):
        open_session(TrainOptions(), resume=parent[1], grow_from=parent[1])


def test_weights_of_any_kind_of_number_are_named_by_their_bytes(
    parent: tuple[TrainOptions, Path], tmp_path: Path
) -> None:
    content = torch.load(parent[1] / "last.pt", weights_only=True)
    content["generator"] = {name: value.bfloat16() for name, value in content["generator"].items()}
    torch.save(content, tmp_path / "half.pt")
    beginning = read_beginning(tmp_path / "half.pt", None)
    assert beginning is not None
    assert beginning.config(parent_config(parent[1]), parent[0]).begun_from is not None
    content["generator"]["dense.weight"] = 1.5
    torch.save(content, tmp_path / "odd.pt")
    with pytest.raises(CheckpointError, match="something else than tensors"):
        read_beginning(tmp_path / "odd.pt", None)
    content = torch.load(parent[1] / "last.pt", weights_only=True)
    content["config"]["grown"] = 3
    torch.save(content, tmp_path / "grown.pt")
    with pytest.raises(CheckpointError, match="cannot have doubled 3 times"):
        read_beginning(tmp_path / "grown.pt", None)


def parent_config(run: Path) -> TrainConfig:
    return read_checkpoint(run / "last.pt").config
