"""A planted collapse: what --on-collapse stop and rollback do about it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gancli.config import TrainOptions
from gancli.metrics.advice import advise
from gancli.metrics.health import HealthMonitor
from gancli.metrics.verdict import judge
from gancli.models.checkpoint import read_checkpoint
from gancli.training.iteration import Iteration
from gancli.training.rescue import has_failed, next_cure
from gancli.training.session import Session, open_session

CURE = {"r1_gamma": 10.0}


@pytest.fixture
def options(photo_folder: Path) -> TrainOptions:
    return TrainOptions(
        data=str(photo_folder),
        model="vanilla",
        size="16",
        width=16,
        batch_size=8,
        kimg=1.28,
        tick_kimg=0.064,
        keep=2,
        device="cpu",
        precision="fp32",
        compile="off",
    )


WELL = {
    "diversity": 0.9,
    "coverage": 1.0,
    "raw_diversity": 0.9,
    "raw_coverage": 1.0,
    "cluster_overlap": 0.9,
    "near_duplicates": 0.0,
    "latent_sensitivity": 1.0,
    "distance_to_reals": 1.0,
    "roughness": 1.0,
    "effective_rank": 0.9,
}
SICK = WELL | {
    "diversity": 0.01,
    "coverage": 0.1,
    "cluster_overlap": 0.1,
    "near_duplicates": 1.0,
    "effective_rank": 0.02,
}


def plant(monkeypatch: pytest.MonkeyPatch, cures: tuple[dict[str, Any], ...]) -> None:
    """From .5 kimg on the measures are a collapse's, until the config holds one of `cures`; the rest is as it is."""
    run, measure, sick = Iteration.run, HealthMonitor.measure, [False]

    def step(self: Iteration, progress: float) -> None:
        run(self, progress)
        is_well = any(all(getattr(self.config, k) == v for k, v in cure.items()) for cure in cures)
        sick[0] = self.state.nimg > 500 and not is_well

    def planted(self: HealthMonitor, *args: Any, **kwargs: Any) -> Any:
        return measure(self, *args, **kwargs) | (SICK if sick[0] else WELL)

    monkeypatch.setattr(Iteration, "run", step)
    monkeypatch.setattr(HealthMonitor, "measure", planted)


def notes(session: Session) -> list[str]:
    return [tick.note for tick in session.ticks() if tick.note]


@pytest.mark.slow
def test_stop_ends_the_run_at_the_collapse(
    options: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, ())
    session = open_session(replace(options, on_collapse="stop"), out=tmp_path / "run")
    ticks = list(session.ticks())
    assert ticks[-1].verdict.verdict == "collapsed"
    assert "stopped at a collapse" in ticks[-1].note
    assert 500 < ticks[-1].row["nimg"] < 1280


@pytest.mark.slow
def test_rollback_returns_to_the_best_tick_and_changes_one_thing(
    options: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, (CURE,))
    out = tmp_path / "run"
    session = open_session(replace(options, on_collapse="rollback"), out=out)
    (note,) = notes(session)
    assert "back to tick" in note
    assert note.endswith("from now on --r1 10")
    # the run went on to its end from a checkpoint that knows the change; config.json is as it was
    last = read_checkpoint(out / "last.pt")
    assert (last.nimg, last.config.r1_gamma, last.draw) == (1280, 10.0, 1)
    assert json.loads((out / "config.json").read_text())["config"]["r1_gamma"] == 0.0
    # the log has one line a tick; what was undone is kept beside it
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [row["tick"] for row in rows] == list(range(1, len(rows) + 1))
    assert [row["nimg"] for row in rows] == sorted({row["nimg"] for row in rows})
    (record,) = (json.loads(line) for line in (out / "rollbacks.jsonl").read_text().splitlines())
    assert record["verdict"]["verdict"] in ("collapsed", "collapsing")
    assert [row["nimg"] for row in record["rows"]][-1] == record["from_nimg"]
    assert record["to_nimg"] <= 512
    undone = {path.name for path in (out / "samples" / "rolled-back-1").iterdir()}
    assert f"fixed-{record['from_nimg']:010d}.png" in undone
    assert read_checkpoint(out / "best.pt").nimg in [row["nimg"] for row in rows]


@pytest.mark.slow
def test_a_rollback_survives_the_end_of_the_process(
    options: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, (CURE,))
    options = replace(options, on_collapse="rollback")
    list(open_session(options, out=tmp_path / "whole").ticks())
    loop = open_session(options, out=tmp_path / "parts").ticks()
    while not next(loop).note:
        pass
    loop.close()  # type: ignore[attr-defined]
    assert notes(open_session(options, out=tmp_path / "parts")) == []
    whole, parts = (read_checkpoint(tmp_path / name / "last.pt") for name in ("whole", "parts"))
    assert whole.config == parts.config
    for name, value in whole.states["generator"].items():
        assert torch.equal(value, parts.states["generator"][name]), name


@pytest.mark.slow
def test_after_three_rollbacks_it_goes_on_as_it_is(
    options: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, ())
    found = notes(open_session(replace(options, on_collapse="rollback"), out=tmp_path / "run"))
    flags = [note.split("from now on ")[-1] for note in found]
    assert flags == ["--r1 10", "--augment diffaugment", "--batch 4; the last change that is tried"]
    assert read_checkpoint(tmp_path / "run" / "last.pt").nimg == 1280


def test_a_run_that_was_never_well_is_given_half_of_its_length(options: TrainOptions, tmp_path: Path) -> None:
    config = replace(open_session(options, out=tmp_path / "run").config, on_collapse="rollback")
    rows = [{"tick": i, "nimg": 1000 * i, "kimg": float(i), "target_kimg": 10.0, **SICK} for i in range(1, 8)]
    verdict = judge(rows, num_images=60)
    assert (verdict.verdict, verdict.since_tick) == ("collapsed", 1)
    assert not has_failed(config, verdict, rows[:4], ())
    assert has_failed(config, verdict, rows[:5], ())
    assert has_failed(config, verdict, rows, [{"coverage": 0.05}])
    assert not has_failed(config, verdict, rows, [{"coverage": 0.05}] * 3)
    better = [row | {"coverage": 0.3} for row in rows]
    assert not has_failed(config, verdict, better, [{"coverage": 0.1}])  # the change has helped
    rising = [row | {"coverage": 0.05 * i} for i, row in enumerate(rows, 1)]
    assert not has_failed(config, verdict, rising, ())
    well = [row | WELL for row in rows[:3]] + rows[3:]
    assert has_failed(config, judge(well[:5], num_images=60), well[:5], ())


def test_every_cure_is_named_by_the_advice(options: TrainOptions, tmp_path: Path) -> None:
    config = open_session(options, out=tmp_path / "run").config
    tips = " ".join(advise("collapsed", best_tick=1, num_images=60, held_out=True))
    tips += " ".join(advise("cycling", best_tick=1, num_images=60, held_out=True))
    seen = []
    for _ in range(5):
        flag, changes = next_cure(config)
        config = replace(config, **changes)
        seen.append(flag.split()[0])
    assert seen[:2] == ["--r1", "--augment"]
    assert seen[-1] == "--lr"
    assert all(flag in tips for flag in seen)


def test_what_turned_into_noise_goes_on_at_half_its_rate(options: TrainOptions, tmp_path: Path) -> None:
    config = replace(open_session(options, out=tmp_path / "run").config, on_collapse="rollback")
    garbage = {"roughness": 3.0, "distance_to_reals": 2.6, "kid": 122.0, "near_duplicates": 0.0}
    rows = [{"tick": i, "nimg": 1000 * i, "kimg": float(i), "target_kimg": 10.0, **WELL} for i in range(1, 6)]
    rows += [rows[-1] | garbage | {"tick": i, "kimg": float(i)} for i in range(6, 9)]
    verdict = judge(rows, num_images=60)
    assert (verdict.verdict, verdict.since_tick) == ("diverged", 6)
    assert has_failed(config, verdict, rows, ())
    flag, changes = next_cure(config, verdict.verdict)
    assert (flag, changes["g_lr"]) == (f"--lr {config.g_lr / 2:g}", config.g_lr / 2)
    assert any("--lr" in tip for tip in verdict.advice)


def test_a_run_that_learns_too_fast_is_put_back_to_its_recipes_rates_first(
    options: TrainOptions, tmp_path: Path
) -> None:
    config = open_session(replace(options, g_lr=0.01), out=tmp_path / "run").config
    flag, changes = next_cure(config)
    assert (flag, changes) == ("--lr 0.0002 --d-lr 0.0002", {"g_lr": 2e-4, "d_lr": 2e-4})
    tips = advise("collapsed", best_tick=None, num_images=60, held_out=True, config=config)
    assert tips[0].startswith(flag)
    assert next_cure(replace(config, **changes))[0] == "--r1 10"
