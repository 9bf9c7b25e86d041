"""A run that is killed at any moment ends where one that never stopped ends, bit for bit."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import torch

LENGTH = ["--kimg", "8", "--tick-kimg", "1"]
NETWORKS = ["--model", "dcgan", "--size", "16", "--width", "8", "--batch", "16"]
EXACT = ["--device", "cpu", "--precision", "fp32", "--compile", "off"]
COMMAND = ["train", *NETWORKS, *LENGTH, *EXACT]


def start(photos: Path, out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "gancli", *COMMAND, str(photos), "-o", str(out)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(photos: Path, out: Path) -> None:
    process = start(photos, out)
    stdout, stderr = process.communicate(timeout=600)
    assert process.returncode == 0, stderr.decode()
    assert stdout.decode().strip() == str(out)


def interrupt(photos: Path, out: Path, after_s: float, how: signal.Signals) -> int:
    """Starts the run, waits for a checkpoint and then `after_s`, sends the signal; returns the exit status."""
    process = start(photos, out)
    marks = len(list(out.glob("starts.jsonl")) and (out / "starts.jsonl").read_text().splitlines())
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        begun = (out / "starts.jsonl").exists() and len((out / "starts.jsonl").read_text().splitlines()) > marks
        if begun and (out / "last.pt").exists():
            break
        assert process.poll() is None, process.stderr.read().decode() if process.stderr else ""
        time.sleep(0.02)
    time.sleep(after_s)
    process.send_signal(how)
    process.communicate(timeout=300)
    return process.returncode


def content(out: Path) -> dict[str, object]:
    return dict(torch.load(out / "last.pt", weights_only=True))


def assert_same(first: object, second: object, where: str = "") -> None:
    assert type(first) is type(second), where
    if isinstance(first, torch.Tensor):
        assert isinstance(second, torch.Tensor)
        assert torch.equal(first, second), where
    elif isinstance(first, dict):
        assert isinstance(second, dict)
        assert first.keys() == second.keys(), where
        for key, value in first.items():
            assert_same(value, second[key], f"{where}.{key}")
    elif isinstance(first, list):
        assert isinstance(second, list)
        for index, (a, b) in enumerate(zip(first, second, strict=True)):
            assert_same(a, b, f"{where}[{index}]")
    else:
        assert first == second, where


RUNS, KILLS = 6, 5
STATES = ("nimg", "draw", "generator", "generator_ema", "discriminator", "optimizer_g", "optimizer_d")


def kill_and_finish(photos: Path, out: Path, seed: int) -> list[int]:
    """A run killed five times at moments of chance, then left to end; the exit statuses of the killed ones."""
    rng = random.Random(seed)
    how = [signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
    rng.shuffle(how)
    codes = [interrupt(photos, out, rng.uniform(0.0, 0.5), one) for one in how]
    finish(photos, out)
    return codes


@pytest.mark.slow
def test_thirty_kills_change_nothing(photo_folder: Path, tmp_path: Path) -> None:
    outs = [tmp_path / f"killed-{number}" for number in range(RUNS)]
    with ThreadPoolExecutor(2) as pool:
        whole = pool.submit(finish, photo_folder, tmp_path / "whole")
        codes = list(pool.map(partial(kill_and_finish, photo_folder), outs, range(RUNS)))
        whole.result()
    assert [sorted(found) for found in codes] == [[-9, -9, -9, 130, 130]] * RUNS  # none had ended by itself
    expected = content(tmp_path / "whole")
    for out in outs:
        found = content(out)
        for name in STATES:
            assert_same(expected[name], found[name], f"{out.name}.{name}")
        rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        starts = [json.loads(line)["start"] for line in (out / "starts.jsonl").read_text().splitlines()]
        assert starts == list(range(1, KILLS + 2))
        assert rows[-1]["starts"] == KILLS + 1
        assert [row["starts"] for row in rows] == sorted(row["starts"] for row in rows)
        assert [row["tick"] for row in rows] == list(range(1, len(rows) + 1))
        assert [row["nimg"] for row in rows] == sorted({row["nimg"] for row in rows})


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_polite_stop_saves_where_it_stands(photo_folder: Path, tmp_path: Path, how: signal.Signals) -> None:
    finish(photo_folder, tmp_path / "whole")
    assert interrupt(photo_folder, tmp_path / "stopped", 0.7, how) == 130
    stopped = content(tmp_path / "stopped")
    rows = (tmp_path / "stopped" / "log.jsonl").read_text().splitlines()
    assert json.loads(rows[-1])["nimg"] == stopped["nimg"]
    finish(photo_folder, tmp_path / "stopped")
    whole, again = content(tmp_path / "whole"), content(tmp_path / "stopped")
    for name in STATES:
        assert_same(whole[name], again[name], name)


@pytest.mark.slow
@pytest.mark.parametrize(("doing", "after_s"), [("reading", 0.05), ("measuring", 0.0), ("measuring", 1.0)])
def test_ctrl_c_before_the_first_step_leaves_nothing_half_made(
    photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doing: str, after_s: float
) -> None:
    monkeypatch.setenv("GAN_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "run"
    command = [sys.executable, "-m", "gancli", "train", *NETWORKS, *LENGTH, str(photo_folder), "-v", "-o", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert next(line for line in process.stderr if line.startswith(doing))
        time.sleep(after_s)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (130, "")
    assert stderr.splitlines()[-1].startswith("error: interrupted")
    assert "Traceback" not in stderr
    assert sorted(os.listdir(tmp_path)) == ["cache"]
    assert not list((tmp_path / "cache").glob(".building-*"))
    finish(photo_folder, out)
