"""A run that is killed at any moment ends where one that never stopped ends, bit for bit."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

LENGTH = ["--kimg", "12", "--tick-kimg", "0.5"]
NETWORKS = ["--model", "dcgan", "--size", "16", "--width", "8", "--batch", "16"]
EXACT = ["--device", "cpu", "--precision", "fp32", "--compile", "off"]
COMMAND = ["train", "demo:landscapes", *NETWORKS, *LENGTH, *EXACT, "-o"]


def start(out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "gancli", *COMMAND, str(out)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(out: Path) -> None:
    process = start(out)
    stdout, stderr = process.communicate(timeout=600)
    assert process.returncode == 0, stderr.decode()
    assert stdout.decode().strip() == str(out)


def interrupt(out: Path, after_s: float, how: signal.Signals) -> int:
    """Starts the run, waits for a checkpoint and then `after_s`, sends the signal; returns the exit status."""
    process = start(out)
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


@pytest.mark.slow
def test_three_kills_change_nothing(tmp_path: Path) -> None:
    rng = random.Random(20)
    finish(tmp_path / "whole")
    for _ in range(3):
        interrupt(tmp_path / "killed", rng.uniform(0.0, 2.0), signal.SIGKILL)
    finish(tmp_path / "killed")
    whole, killed = content(tmp_path / "whole"), content(tmp_path / "killed")
    for name in ("nimg", "draw", "generator", "generator_ema", "discriminator", "optimizer_g", "optimizer_d"):
        assert_same(whole[name], killed[name], name)
    rows = [json.loads(line) for line in (tmp_path / "killed" / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["starts"] == 4
    assert [row["tick"] for row in rows] == list(range(1, len(rows) + 1))
    assert [row["nimg"] for row in rows] == sorted({row["nimg"] for row in rows})


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_polite_stop_saves_where_it_stands(tmp_path: Path, how: signal.Signals) -> None:
    finish(tmp_path / "whole")
    assert interrupt(tmp_path / "stopped", 0.7, how) == 130
    stopped = content(tmp_path / "stopped")
    rows = (tmp_path / "stopped" / "log.jsonl").read_text().splitlines()
    assert json.loads(rows[-1])["nimg"] == stopped["nimg"]
    finish(tmp_path / "stopped")
    whole, again = content(tmp_path / "whole"), content(tmp_path / "stopped")
    for name in ("nimg", "generator", "generator_ema", "discriminator", "optimizer_g", "optimizer_d"):
        assert_same(whole[name], again[name], name)
