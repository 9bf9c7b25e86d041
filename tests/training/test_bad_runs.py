"""Runs that somebody or something has tampered with, and two who want the same one: words, never a traceback."""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gancli.config import DataFacts, TrainConfig, TrainOptions, resolve
from gancli.errors import CheckpointError, ConfigError, DiskError, GanError, TrainingError
from gancli.models.checkpoint import link_or_copy, read_checkpoint
from gancli.models.devices import pick_device
from gancli.training.session import open_session

FACTS = DataFacts(spec="x", fingerprint="0", size=(64, 64), channels=3, num_images=100, num_held_out=0)


@pytest.fixture
def options(photo_folder: Path) -> TrainOptions:
    return TrainOptions(
        data=str(photo_folder),
        model="vanilla",
        size="16",
        width=8,
        batch_size=8,
        kimg=0.048,
        tick_kimg=0.016,
        device="cpu",
        precision="fp32",
        compile="off",
    )


def train(options: TrainOptions, out: Path) -> dict[str, Any]:
    list(open_session(options, out=out).ticks())
    return read_checkpoint(out / "last.pt").states["generator"]


def test_of_two_that_begin_the_same_run_one_trains_and_the_other_is_told(options: TrainOptions, tmp_path: Path) -> None:
    out = tmp_path / "run"
    first, second = (open_session(options, out=out) for _ in range(2))
    second.engine = replace(second.engine, tick_kimg=1.0)  # measured a moment later, so another one
    ticks = first.ticks()
    next(ticks)
    config = (out / "config.json").read_bytes()
    with pytest.raises(TrainingError, match="Another process is training"):
        next(second.ticks())
    list(ticks)
    with pytest.raises(TrainingError, match=r"has begun the run .* meanwhile. The same command again"):
        next(second.ticks())
    assert (out / "config.json").read_bytes() == config
    # the one that was told so has left nothing locked
    assert list(open_session(replace(options, kimg=0.064), out=out).ticks())


@pytest.mark.parametrize(
    "damage",
    ["cut", *(pytest.param(name, marks=pytest.mark.slow) for name in ("zeros", "text", "nothing", "another run"))],
)
def test_a_spoilt_last_is_said_and_the_run_ends_where_it_would_have(
    options: TrainOptions, tmp_path: Path, damage: str
) -> None:
    whole = train(replace(options, kimg=0.08), tmp_path / "whole")
    out = tmp_path / "run"
    train(options, out)
    last = out / "last.pt"
    size = last.stat().st_size
    if damage == "another run":
        train(replace(options, model="dcgan", dropout=None), tmp_path / "other")
        spoilt = (tmp_path / "other" / "last.pt").read_bytes()
    else:
        spoilt = {"cut": last.read_bytes()[: size // 2], "zeros": bytes(size), "text": b"hello", "nothing": b""}[damage]
    last.write_bytes(spoilt)  # in place: the newest checkpoint is the same file
    session = open_session(replace(options, kimg=0.08), out=out)
    assert any("going on from the checkpoint before, at 0.0 kimg" in note for note in session.notes)
    list(session.ticks())
    found = read_checkpoint(last).states["generator"]
    assert all(torch.equal(value, found[name]) for name, value in whole.items())


def test_best_is_the_last_resort(options: TrainOptions, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(replace(options, keep=1), out)
    best = (out / "best.pt").read_bytes()
    (out / "best.pt").unlink()
    (out / "best.pt").write_bytes(best)  # a file of its own
    for path in (out / "last.pt", *(out / "checkpoints").iterdir()):
        path.write_bytes(b"")
    assert open_session(replace(options, keep=1, kimg=0.064), out=out).checkpoint is not None
    (out / "best.pt").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"No checkpoint of .* can be read"):
        open_session(replace(options, keep=1, kimg=0.064), out=out)


def test_a_run_from_a_newer_version_is_refused_in_words(options: TrainOptions, tmp_path: Path) -> None:
    train(options, tmp_path / "run")
    stored = json.loads((tmp_path / "run" / "config.json").read_text())
    for number, part in enumerate(("config", "engine")):
        newer = tmp_path / f"newer-{number}"
        shutil.copytree(tmp_path / "run", newer)
        changed = stored | {part: stored[part] | {"warp_drive": 9}}
        (newer / "config.json").write_text(json.dumps(changed))
        with pytest.raises(ConfigError, match="another version of gan"):
            open_session(options, out=newer)
    content = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    for path in list(tmp_path.glob("run/**/*.pt")):
        path.unlink()
    torch.save(content | {"format_version": 99}, tmp_path / "run" / "last.pt")
    with pytest.raises(CheckpointError, match="format 99; this version of gan reads up to"):
        open_session(options, out=tmp_path / "run")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(name=st.sampled_from(sorted(resolve(TrainOptions(model="dcgan", kimg=1.0), FACTS).to_dict())), value=VALUES)
def test_a_config_written_by_hand_is_taken_or_refused(name: str, value: Any) -> None:
    stored = resolve(TrainOptions(model="dcgan", kimg=1.0), FACTS).to_dict() | {name: value}
    with contextlib.suppress(GanError):
        config = TrainConfig.from_dict(stored)
        assert TrainConfig.from_dict(config.to_dict()) == config


def test_a_processor_has_no_number() -> None:
    assert str(pick_device("cpu:3")) == "cpu"


# ---- a disk that fills ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_disk_that_fills_while_training_keeps_the_checkpoint_before(
    options: TrainOptions, tmp_path: Path, small_disk: Path, grow_disk: Any
) -> None:
    long = replace(options, kimg=0.16, keep=1)
    (small_disk / "ballast").write_bytes(bytes(shutil.disk_usage(small_disk).free - 1_300_000))
    out = small_disk / "run"
    with pytest.raises(DiskError, match=r"the disk is full \(\d+\.\d MB free\)") as caught:
        list(open_session(long, out=out).ticks())
    assert str(out) in str(caught.value)
    reached = read_checkpoint(out / "last.pt").nimg
    assert 0 < reached < 160
    grow_disk()
    found, whole = train(long, out), train(long, tmp_path / "whole")
    assert all(torch.equal(value, found[name]) for name, value in whole.items())


def test_naming_a_file_that_has_the_name_already_leaves_no_third_name(tmp_path: Path) -> None:
    source, target = tmp_path / "last.pt", tmp_path / "best.pt"
    source.write_bytes(b"weights")
    for _ in range(2):  # the best tick stays the same over two starts
        link_or_copy(source, target)
    assert target.read_bytes() == b"weights"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "last.pt"]
