"""Runs of a few steps on real small sets: what is written, what is continued, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gancli.config import TrainOptions
from gancli.errors import CheckpointError, ConfigError, GanError, TrainingError, UsageError
from gancli.models.checkpoint import read_checkpoint
from gancli.models.load import load_generator
from gancli.training.session import open_session
from gancli.training.ticks import Tick


@pytest.fixture
def options(photo_folder: Path) -> TrainOptions:
    return TrainOptions(
        data=str(photo_folder),
        model="dcgan",
        size="16",
        width=8,
        batch_size=8,
        kimg=0.16,
        tick_kimg=0.064,
        device="cpu",
        precision="fp32",
        compile="off",
    )


def run(options: TrainOptions, out: Path, stop_after: int | None = None, **kwargs: Any) -> list[Tick]:
    """Trains to the end, or until `stop_after` ticks have been seen (then as if the process were killed)."""
    ticks = []
    session = open_session(options, out=out, **kwargs)
    loop = session.ticks()
    for tick in loop:
        ticks.append(tick)
        if stop_after is not None and len(ticks) >= stop_after:
            loop.close()  # type: ignore[attr-defined]
            break
    return ticks


def weights(out: Path) -> dict[str, torch.Tensor]:
    states = read_checkpoint(out / "last.pt").states
    flat = {f"{net}.{k}": v for net in ("generator", "generator_ema", "discriminator") for k, v in states[net].items()}
    for net in ("optimizer_g", "optimizer_d"):
        for index, state in states[net]["state"].items():
            flat |= {f"{net}.{index}.{k}": v for k, v in state.items()}
    return flat


def assert_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({}, id="dcgan"),
        pytest.param(
            {"model": "wgan-gp", "width": 8, "d_steps": 2, "lr_schedule": "fish"}, id="wgan-gp", marks=pytest.mark.slow
        ),
        pytest.param({"model": "vanilla", "width": 16, "r1_gamma": 1.0}, id="vanilla", marks=pytest.mark.slow),
        pytest.param({"augment": "diffaugment", "instance_noise": 0.1, "d_every": "2"}, id="augmented"),
    ],
)
def test_resume_equals_uninterrupted_run(options: TrainOptions, tmp_path: Path, change: dict[str, Any]) -> None:
    options = replace(options, **change)
    run(options, tmp_path / "whole")
    run(options, tmp_path / "parts", stop_after=1)
    run(options, tmp_path / "parts")
    assert_equal(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


def test_two_fresh_runs_are_equal(options: TrainOptions, tmp_path: Path) -> None:
    run(options, tmp_path / "a")
    run(options, tmp_path / "b")
    assert_equal(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_micro_batches_change_no_arithmetic_but_rounding(options: TrainOptions, tmp_path: Path) -> None:
    options = replace(options, model="vanilla", width=16, dropout=0.0, kimg=0.064)
    ends = []
    for name, micro in (("whole", 0), ("parts", 4)):
        session = open_session(options, out=tmp_path / name)
        session.engine = replace(session.engine, micro_batch=micro)
        assert [tick.row["nimg"] for tick in session.ticks()] == [64]
        ends.append(weights(tmp_path / name)["generator.layers.0.weight"])
    # The parts draw the generator's latents anew, so only the size of the change is comparable.
    assert ends[0].shape == ends[1].shape
    assert not torch.equal(ends[0], ends[1])


def test_a_run_writes_what_others_read(options: TrainOptions, tmp_path: Path) -> None:
    ticks = run(options, tmp_path / "run")
    out = tmp_path / "run"
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [row["tick"] for row in rows] == [1, 2, 3] == [tick.row["tick"] for tick in ticks]
    assert [row["nimg"] for row in rows] == [64, 128, 160]
    needed = [
        "tick",
        "nimg",
        "kimg",
        "epoch",
        "seconds",
        "images_per_s",
        "target_kimg",
        "loss_d",
        "loss_g",
        "loss_d_held_out",
        "d_real",
        "d_fake",
        "starts",
        "lr_g",
        "lr_d",
        "grad_norm_g",
        "grad_norm_d",
        "memory_mb",
        "diversity",
        "coverage",
        "near_duplicates",
        "copies",
    ]
    for row in rows:
        assert set(needed) <= set(row)
        assert row.keys() == rows[0].keys()
    assert 0 < rows[-1]["d_real"] < 1
    content = torch.load(out / "last.pt", weights_only=True)
    promised = [
        "format_version",
        "recipe",
        "config",
        "nimg",
        "draw",
        "generator",
        "generator_ema",
        "discriminator",
        "optimizer_g",
        "optimizer_d",
        "augment",
        "data_card",
    ]
    assert set(promised) <= set(content)
    assert content["nimg"] == 160
    names = sorted(path.name for path in (out / "samples").iterdir())
    assert names == sorted(f"{kind}-{nimg:010d}.png" for kind in ("fixed", "fresh") for nimg in (0, 64, 128, 160))
    stored = json.loads((out / "config.json").read_text())
    assert stored["config"]["batch_size"] == 8
    assert {"versions", "command", "machine", "engine"} <= set(stored)
    verdict = json.loads((out / "verdict.json").read_text())
    assert {"verdict", "since_tick", "best_tick", "evidence", "advice", "measures"} == set(verdict)
    assert load_generator(out).module(torch.zeros(2, 100)).shape == (2, 3, 16, 16)


def test_the_same_command_continues_then_says_finished(
    options: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = open_session(options)
    loop = first.ticks()
    next(iter(loop))
    loop.close()  # type: ignore[attr-defined]
    again = open_session(options)
    assert again.run.path == first.run.path
    assert not again.finished
    assert [tick.row["starts"] for tick in again.ticks()] == [2, 2]
    assert open_session(options).finished
    other = open_session(replace(options, seed=1))
    assert other.is_new
    assert other.run.path != first.run.path


def test_a_longer_length_goes_on(options: TrainOptions, tmp_path: Path) -> None:
    run(options, tmp_path / "run")
    ticks = run(replace(options, kimg=0.24), tmp_path / "run")
    assert ticks[-1].row["nimg"] == 240
    assert [row["nimg"] for row in open_session(replace(options, kimg=0.24), out=tmp_path / "run").run.rows()] == [
        64, 128, 160, 192, 240,
    ]  # fmt: skip


def test_minutes_are_used_though_the_machine_was_busy_when_its_rate_was_measured(
    options: TrainOptions, tmp_path: Path
) -> None:
    session = open_session(replace(options, kimg=None, minutes=0.05, tick_kimg=1000.0), out=tmp_path / "run")
    session.engine = replace(session.engine, images_per_s=10.0)
    rows = [tick.row for tick in session.ticks()]
    assert rows[0]["nimg"] < 60
    assert rows[-1]["seconds"] > 0.75 * 3
    assert read_checkpoint(tmp_path / "run" / "last.pt").extra["finished"]


def test_other_settings_are_refused_by_name(options: TrainOptions, tmp_path: Path) -> None:
    run(options, tmp_path / "run", stop_after=1)
    with pytest.raises(ConfigError, match="batch_size: 8 -> 4"):
        open_session(replace(options, batch_size=4), out=tmp_path / "run")


def test_changed_data_is_noticed_and_can_be_forced(options: TrainOptions, tmp_path: Path, photo_folder: Path) -> None:
    import shutil

    own = tmp_path / "photos"
    shutil.copytree(photo_folder, own)
    options = replace(options, data=str(own))
    run(options, tmp_path / "run", stop_after=1)
    (own / "photo 00.png").unlink()
    with pytest.raises(ConfigError, match="has changed"):
        open_session(options, out=tmp_path / "run")
    ticks = run(options, tmp_path / "run", force_data=True)
    assert ticks[-1].row["nimg"] == 160


def test_a_damaged_last_falls_back_to_the_checkpoint_before(options: TrainOptions, tmp_path: Path) -> None:
    run(options, tmp_path / "whole")
    run(options, tmp_path / "run", stop_after=2)
    newest = (tmp_path / "run" / "checkpoints").resolve() / "checkpoint-000000000128.pt"
    data = newest.read_bytes()
    for path in (newest, tmp_path / "run" / "last.pt"):
        path.unlink()
        path.write_bytes(data[: len(data) // 2])
    session = open_session(options, out=tmp_path / "run")
    assert session.checkpoint is not None
    assert session.checkpoint.nimg == 64
    assert any("64" in note or "0.1 kimg" in note for note in session.notes)
    assert [tick.row["tick"] for tick in session.ticks()] == [2, 3]
    assert_equal(weights(tmp_path / "whole"), weights(tmp_path / "run"))


def test_one_run_has_one_writer(options: TrainOptions, tmp_path: Path) -> None:
    loop = open_session(options, out=tmp_path / "run").ticks()
    next(iter(loop))
    with pytest.raises(TrainingError, match="Another process"):
        next(iter(open_session(options, out=tmp_path / "run").ticks()))
    loop.close()  # type: ignore[attr-defined]


def test_nan_rolls_back_three_times_then_says_diverged(
    options: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gancli.training.iteration import Iteration

    whole = Iteration.run

    def poisoned(self: Iteration, progress: float) -> None:
        whole(self, progress)
        if self.state.nimg > 100:
            next(self.state.generator.parameters()).data[0] = float("nan")

    session = open_session(options, out=tmp_path / "run")
    monkeypatch.setattr(Iteration, "run", poisoned)
    with pytest.raises(TrainingError, match="diverged"):
        list(session.ticks())
    verdict = json.loads((tmp_path / "run" / "verdict.json").read_text())
    assert verdict["verdict"] == "diverged"
    assert read_checkpoint(tmp_path / "run").nimg == 64


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"batch_size": 64}, ConfigError, "larger than the training set"),
        ({"model": "stylegan9"}, ConfigError, "Unknown model 'stylegan9'"),
        ({"size": "37"}, UsageError, "the nearest that works is 40"),
        ({"size": "huge"}, UsageError, "no size"),
        ({"gp_weight": 10.0}, ConfigError, "--gp: the model 'dcgan' has no use for it"),
        ({"loss": "wasserstein"}, ConfigError, "It can use"),
        ({"conditional": True}, ConfigError, "at least two classes"),
        ({"d_every": "0"}, ConfigError, "d-every"),
        ({"kimg": -1.0}, ConfigError, "--kimg -1 is out of range"),
        ({"precision": "fp16"}, ConfigError, "needs a GPU"),
        ({"device": "cuda:7"}, UsageError, "CUDA devices"),
        ({"data": "nowhere"}, GanError, "nothing at 'nowhere'"),
        ({"data": "toy:ring"}, ConfigError, "2-D points"),
    ],
)
def test_bad_settings_are_named(
    options: TrainOptions, tmp_path: Path, change: dict[str, Any], error: type[Exception], words: str
) -> None:
    if change.get("data") == "toy:ring":
        change = {**change, "size": None}
    with pytest.raises(error, match=words):
        open_session(replace(options, **change), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_ten_images_train_without_a_batch(options: TrainOptions, tmp_path: Path, photo_folder: Path) -> None:
    import shutil

    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(photo_folder.iterdir())[:10]:
        shutil.copy(path, few)
    session = open_session(replace(options, data=str(few), batch_size=None), out=tmp_path / "run")
    assert session.config.batch_size == 10
    assert session.config.num_held_out == 0
    assert [tick.row["nimg"] for tick in session.ticks()][-1] == 160


@pytest.mark.parametrize("damage", ["text", "truncated", "bit", "pickle", "config"])
def test_a_damaged_checkpoint_is_refused_in_words(options: TrainOptions, tmp_path: Path, damage: str) -> None:
    run(options, tmp_path / "run", stop_after=1)
    path = tmp_path / "run" / "last.pt"
    data = bytearray(path.read_bytes())
    bad = tmp_path / "bad.pt"
    if damage == "text":
        bad.write_text("hello")
    elif damage == "truncated":
        bad.write_bytes(data[: len(data) // 2])
    elif damage == "bit":
        data[len(data) // 2] ^= 0x10
        bad.write_bytes(data)
    elif damage == "pickle":
        torch.save({"format_version": 1, "recipe": "dcgan", "config": Path}, bad)
    else:
        content = torch.load(path, weights_only=True)
        content["config"]["width"] = 10**9
        torch.save(content, bad)
    with pytest.raises(CheckpointError, match=r"bad\.pt"):
        read_checkpoint(bad)


@pytest.mark.slow
def test_perceptrons_reach_both_arcs(tmp_path: Path) -> None:
    """By the numbers of the course project; with points of unit size before the discriminator they stayed one clump."""
    options = TrainOptions(
        data="toy:arcs",
        model="vanilla",
        width=64,
        latent_dim=100,
        batch_size=128,
        g_lr=2e-4,
        betas=(0.5, 0.999),
        dropout=0.3,
        label_smoothing=0.1,
        d_every="2",
        epochs=20.0,
        device="cpu",
        precision="fp32",
        compile="off",
    )
    *_, last = open_session(options, out=tmp_path / "run").ticks()
    assert 0.8 < last.row["diversity"] < 1.2
    assert last.row["coverage"] > 0.35  # .2 at most before
