"""Several processes train one run: shares of one batch, sums of gradients, one folder, one set of weights."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from gancli.config import Engine, TrainOptions, resolve
from gancli.data.batches import Batch, BatchSource
from gancli.data.dataset import TrainingSet, open_training_set
from gancli.errors import UsageError
from gancli.training.ranks import ALONE, Ranks, joined_ranks
from gancli.training.state import State
from gancli.training.step import Step

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(photo_folder: Path) -> TrainingSet:
    return open_training_set(str(photo_folder), size="16")


def tensors(batch: Batch) -> Iterator[torch.Tensor]:
    yield from (batch.reals, batch.z)
    yield from (x for x in (batch.mix, batch.noise_real, batch.noise_fake) if x is not None)


@pytest.mark.parametrize("world", [2, 3])
def test_the_shares_of_all_processes_are_the_batch_of_one(data: TrainingSet, world: int) -> None:
    options = TrainOptions(data="x", model="wgan-gp", batch_size=8, instance_noise=0.1, augment="diffaugment", kimg=1)
    config = resolve(options, data.facts)
    whole = BatchSource(data, config, CPU).discriminator_batch(40, 1)
    shares = [BatchSource(data, config, CPU, rank, world).discriminator_batch(40, 1) for rank in range(world)]
    assert [share.num_whole for share in shares] == [8] * world
    for one, *others in zip(tensors(whole), *map(tensors, shares), strict=True):
        assert torch.equal(one, torch.cat(others))
    assert [share.seed - whole.seed for share in shares] == [8 * rank // world for rank in range(world)]


def test_gradients_of_the_shares_sum_to_those_of_the_batch(data: TrainingSet) -> None:
    options = TrainOptions(data="x", model="vanilla", width=16, batch_size=8, dropout=0.0, r1_gamma=1.0, kimg=1)
    config, engine = resolve(options, data.facts), Engine(device="cpu", precision="fp32")
    found = []
    for world in (1, 2):
        state = State.fresh(config, engine)
        step = Step(config, engine, state.generator, state.discriminator)
        for rank in range(world):
            batch = BatchSource(data, config, CPU, rank, world).discriminator_batch(0, 0)
            step.discriminator_gradients(batch)
            step.generator_gradients(batch)
        found.append([p.grad for net in (state.discriminator, state.generator) for p in net.parameters()])
    for one, other in zip(*found, strict=True):
        assert one is not None
        assert other is not None
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)


def test_one_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined_ranks("cpu") as ranks:
        assert ranks is ALONE
    assert ALONE.told("x") == "x"
    assert not ALONE.any(False)
    assert [Ranks(rank=r, world=3).rows(8) for r in range(3)] == [slice(0, 2), slice(2, 5), slice(5, 8)]
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(UsageError, match="torchrun sets it"), joined_ranks("cpu"):
        pass


# ---- real processes -------------------------------------------------------------------------------------------------

NETWORKS = ["--model", "vanilla", "--size", "16", "--width", "16", "--batch", "8", "--dropout", "0"]
EXACT = ["--device", "cpu", "--precision", "fp32", "--compile", "off", "--tick-kimg", "0.08"]
TRAIN = ["-m", "gancli", "train", *NETWORKS, *EXACT]


def start(photos: Path, out: Path, processes: int, kimg: str) -> subprocess.Popen[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.Popen(
        [sys.executable, *(launcher if processes > 1 else []), *TRAIN, str(photos), "--kimg", kimg, "-o", str(out)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    stdout, stderr = process.communicate(timeout=600)
    assert process.returncode == 0, stderr
    return stdout, stderr


def rows(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_two_processes_train_as_one_and_a_run_changes_their_number(photo_folder: Path, tmp_path: Path) -> None:
    alone, both = tmp_path / "alone", tmp_path / "both"
    finish(start(photo_folder, alone, 1, "0.8"))
    stdout, _ = finish(start(photo_folder, both, 2, "0.8"))  # 100 steps; ranks are compared at every tick
    assert stdout.strip() == str(both)  # one of them speaks
    one, two = rows(alone), rows(both)
    assert [row["nimg"] for row in one] == [row["nimg"] for row in two]
    for name in ("loss_d", "loss_g", "d_real", "d_fake"):
        assert [row[name] for row in one] == pytest.approx([row[name] for row in two], abs=1e-3), name
    finish(start(photo_folder, both, 1, "0.96"))
    finish(start(photo_folder, both, 3, "1.12"))
    assert [row["starts"] for row in rows(both)][-4:] == [2, 2, 3, 3]
    finish(start(photo_folder, alone, 1, "1.12"))
    assert rows(alone)[-1]["loss_d"] == pytest.approx(rows(both)[-1]["loss_d"], abs=1e-2)


@pytest.mark.slow
def test_a_process_that_dies_is_said_and_the_run_goes_on_with_one(photo_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start(photo_folder, out, 2, "80")
    deadline = time.monotonic() + 300
    while not ((out / "log.jsonl").exists() and len(rows(out)) >= 2):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    listed = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(process.pid)], capture_output=True, text=True)
    children = [int(line.split()[0]) for line in listed.stdout.splitlines() if "gancli" in line]
    assert len(children) == 2
    os.kill(max(children), signal.SIGKILL)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "Another of the 2 processes has ended" in stderr
    reached = rows(out)[-1]["nimg"]
    finish(start(photo_folder, out, 1, str(reached / 1000 + 0.08)))
    assert rows(out)[-1]["nimg"] > reached
