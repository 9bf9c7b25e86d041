from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gancli.config import DataFacts, Engine, TrainOptions, resolve
from gancli.models.checkpoint import FORMAT_VERSION, write_checkpoint
from gancli.models.registry import build_networks, network_spec

MakeRun = Callable[..., Path]


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    """Writes a run with an untrained, lively generator: `data` is what it was trained on. Returns the folder."""

    def make(
        data: str, *, model: str = "dcgan", size: tuple[int, int] = (32, 32), channels: int = 3, **extra: Any
    ) -> Path:
        facts = DataFacts(
            spec=data,
            fingerprint="0" * 16,
            size=size,
            channels=channels,
            num_images=56,
            num_held_out=4,
            class_names=(),
        )
        config = resolve(TrainOptions(model=model, width=8), facts)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            pair = build_networks(config.networks, network_spec(config))
            with torch.no_grad():
                for weights in pair.generator.parameters():
                    if weights.dim() > 1:
                        weights.normal_(0, 2.0 / weights[0].numel() ** 0.5)
        run = tmp_path_factory.mktemp("runs") / f"{model}-test"
        run.mkdir()
        card = {"scale": 2.0} if size == (0, 0) else {"licenses": {"CC BY <4.0>": 60}}
        shown = {"config": config.to_dict(), "data": card, "command": ["gan", "train", "my photos", "--model", model]}
        (run / "config.json").write_text(json.dumps(shown))
        (run / "log.jsonl").write_text("")
        content = {
            "format_version": FORMAT_VERSION,
            "recipe": config.recipe,
            "config": config.to_dict(),
            "engine": Engine(device="cpu", precision="fp32").to_dict(),
            "nimg": 1000,
            "draw": 0,
            "generator": pair.generator.state_dict(),
            "generator_ema": pair.generator.state_dict(),
            "discriminator": pair.discriminator.state_dict(),
            "optimizer_g": {},
            "optimizer_d": {},
            "augment": {},
            "data_card": card,
            "extra": extra,
        }
        write_checkpoint(run / "last.pt", content)
        return run

    return make


class Gan:
    """Runs a command in this process; gives what it said on stdout."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self.capfd = capfd
        self.said = ""

    def __call__(self, *words: object) -> str:
        from gancli.cli.app import app

        app([str(word) for word in words], standalone_mode=False)
        out, self.said = self.capfd.readouterr()
        return out.strip()


@pytest.fixture
def gan(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Gan:
    monkeypatch.chdir(tmp_path)
    return Gan(capfd)
