"""--config begins another run like one before; --tensorboard shows what log.jsonl says."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gancli.cli.app import app
from gancli.config import DataFacts, TrainConfig, TrainOptions, resolve
from gancli.errors import CheckpointError, ConfigError, MissingExtraError, UsageError
from gancli.training.repeat import as_before, read_config
from gancli.training.session import open_session


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> Path:
    """A run of one tick with settings of its own."""
    out = tmp_path_factory.mktemp("before") / "run"
    options = TrainOptions(
        data=str(photo_folder),
        model="dcgan",
        size="16",
        width=8,
        batch_size=8,
        latent_dim=20,
        d_lr=1e-4,
        kimg=0.032,
        seed=5,
        flip=False,
        keep=1,
        device="cpu",
        precision="fp32",
        compile="off",
    )
    assert len(list(open_session(options, out=out).ticks())) >= 1
    return out


def stored(run: Path) -> TrainConfig:
    return read_config(run)


def test_config_repeats_a_run_from_the_run_its_file_or_a_checkpoint(before: Path, tmp_path: Path) -> None:
    for number, like in enumerate((before, before / "config.json", before / "last.pt")):
        session = open_session(TrainOptions(), like=like, out=tmp_path / str(number))
        assert session.is_new
        assert session.config == stored(before)
        assert not session.notes


def test_config_changes_what_else_is_given_and_nothing_more(before: Path, tmp_path: Path) -> None:
    session = open_session(TrainOptions(batch_size=4, kimg=0.064), like=before, out=tmp_path / "run")
    assert stored(before).difference(session.config) == ["batch_size: 8 -> 4", "kimg: 0.032 -> 0.064"]


def test_a_default_that_stands_on_the_command_line_counts(before: Path, tmp_path: Path) -> None:
    command = ["train", "--config", str(before), "--seed", "0", "--keep", "3", "--dry-run", "--json"]
    result = CliRunner().invoke(app, [*command, "-o", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    options = TrainOptions(seed=0)
    assert as_before(options, stored(before)).seed == 5
    assert as_before(options, stored(before), given={"seed"}).seed == 0
    assert as_before(TrainOptions(flip=False, dropout=0.0), stored(before)).dropout == 0.0


def test_one_rate_moves_both_and_another_model_brings_its_own_numbers(before: Path) -> None:
    config = stored(before)
    assert as_before(TrainOptions(g_lr=1e-3), config, adapts=True).d_lr is None
    changed = as_before(TrainOptions(model="wgan-gp"), config, adapts=True)
    assert (changed.width, changed.latent_dim, changed.seed, changed.size) == (8, 20, 5, "16x16")
    assert (changed.loss, changed.betas, changed.d_steps) == (None, None, None)


def test_changed_pixels_are_said(before: Path, tmp_path: Path) -> None:
    config = json.loads((before / "config.json").read_text())["config"]
    (tmp_path / "config.json").write_text(json.dumps(config | {"fingerprint": "0" * 24}))
    session = open_session(TrainOptions(), like=tmp_path / "config.json", out=tmp_path / "run")
    assert any("have changed" in note for note in session.notes)


def test_bad_configs_are_refused_in_words(before: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no run and no file"):
        read_config(tmp_path / "nothing")
    (tmp_path / "text.json").write_text("hello")
    with pytest.raises(ConfigError, match="is not JSON"):
        read_config(tmp_path / "text.json")
    (tmp_path / "odd.json").write_text('{"width": 8, "moon": 1}')
    with pytest.raises(ConfigError, match="unknown"):
        read_config(tmp_path / "odd.json")
    (tmp_path / "moon.json").write_text(json.dumps(stored(before).to_dict() | {"width": 10**9}))
    with pytest.raises(ConfigError, match="out of range"):
        read_config(tmp_path / "moon.json")
    with pytest.raises(UsageError, match="Give one of them"):
        open_session(TrainOptions(), like=before, resume=before)


def test_resume_takes_size_and_seed_from_the_run(before: Path, tmp_path: Path) -> None:
    shutil.copytree(before, tmp_path / "run")
    session = open_session(TrainOptions(kimg=0.048), resume=tmp_path / "run")
    assert not session.is_new
    assert session.config.size == (16, 16)
    assert [tick.row["nimg"] for tick in session.ticks()][-1] == 48


def test_missing_tensorboard_is_said_before_work_starts(
    photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"gancli\[tensorboard\]"):
        open_session(TrainOptions(data="nowhere", tensorboard=True), out=tmp_path / "run")


@pytest.mark.filterwarnings("default")  # of protobuf and setuptools, not ours
def test_tensorboard_shows_what_the_log_says(before: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    shutil.copytree(before, tmp_path / "run")
    options = TrainOptions(kimg=0.064, tensorboard=True)
    for kimg in (0.048, 0.064):  # the second start writes the log anew
        list(open_session(replace(options, kimg=kimg), resume=tmp_path / "run").ticks())
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    shown = events.Scalars("losses/loss_d")
    assert [event.step for event in shown] == [row["nimg"] for row in rows]
    assert [event.value for event in shown] == pytest.approx([row["loss_d"] for row in rows], rel=1e-6)
    assert {"samples/fixed", "samples/fresh"} <= set(events.Tags()["images"])
    assert events.Images("samples/fixed")[-1].step == 64


def test_numbers_that_go_with_the_area_follow_the_size_and_the_recipe(photo_folder: Path, tmp_path: Path) -> None:
    few = TrainOptions(data=str(photo_folder), size="16", width=8, latent_dim=8, batch_size=8, kimg=0.016)
    few = replace(few, device="cpu", precision="fp32", compile="off")
    list(open_session(few, out=tmp_path / "run").ticks())
    config = stored(tmp_path / "run")
    assert (config.recipe, config.r1_gamma) == ("compact", 0.03125)

    def again(where: dict[str, Path] | None = None, **changed: object) -> TrainConfig:
        asked = TrainOptions(**changed)  # type: ignore[arg-type]
        name = f"run{len(list(tmp_path.iterdir()))}"
        session = open_session(asked, like=tmp_path / "run", out=tmp_path / name, **(where or {}))  # type: ignore[arg-type]
        (tmp_path / name).mkdir()
        return session.config

    assert again(size="32").r1_gamma == again({"grow_from": tmp_path / "run"}).r1_gamma == 0.125
    assert again(model="dcgan").r1_gamma is None
    assert again(model="vanilla").r1_gamma == 0.0
    assert again(r1_gamma=0.5).r2_gamma == 0.03125
    mine = open_session(replace(few, r1_gamma=0.7), out=tmp_path / "mine")
    list(mine.ticks())
    assert open_session(TrainOptions(size="32"), like=tmp_path / "mine", out=tmp_path / "z").config.r1_gamma == 0.7


def test_points_like_images_take_no_size_and_no_recipe_from_them(before: Path, tmp_path: Path) -> None:
    config = open_session(TrainOptions(data="toy:grid", kimg=1.0), like=before, out=tmp_path / "points").config
    assert (config.recipe, config.seed, config.size) == ("toy", 5, (0, 0))
    ring = tmp_path / "ring"
    list(open_session(TrainOptions(data="toy:ring", kimg=1.0, device="cpu", compile="off"), out=ring).ticks())
    config = open_session(TrainOptions(data=stored(before).data, kimg=0.016), like=ring, out=tmp_path / "images").config
    assert config.recipe == "compact"


def test_labels_are_smoothed_again_when_the_loss_has_some_again(photo_folder: Path) -> None:
    stored = resolve(TrainOptions(model="vanilla", loss="hinge"), FACTS)
    asked = as_before(TrainOptions(loss="non-saturating"), stored, adapts=True)
    assert resolve(asked, FACTS).label_smoothing == 0.1


FACTS = DataFacts(spec="x", fingerprint="0", size=(16, 16), channels=3, num_images=60, num_held_out=0)
