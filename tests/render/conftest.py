from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gancli.config import DataFacts, Engine, TrainOptions, resolve
from gancli.models.checkpoint import FORMAT_VERSION, write_checkpoint
from gancli.models.registry import build_networks, network_spec

MakeRun = Callable[..., Path]


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    """Writes a run folder with an untrained, lively generator of a recipe; returns the folder."""

    def make(
        model: str = "dcgan",
        *,
        size: tuple[int, int] = (32, 32),
        channels: int = 3,
        classes: int = 0,
        width: int = 16,
    ) -> Path:
        facts = DataFacts(
            spec="toy:ring" if size == (0, 0) else "folder",
            fingerprint="0" * 16,
            size=size,
            channels=channels,
            num_images=100,
            num_held_out=0,
            class_names=tuple(f"kind{i}" for i in range(classes)),
        )
        config = resolve(TrainOptions(model=model, width=width, conditional=classes > 0), facts)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            pair = build_networks(config.networks, network_spec(config))
            with torch.no_grad():
                for weights in pair.generator.parameters():
                    if weights.dim() > 1:
                        weights.normal_(0, 2.0 / weights[0].numel() ** 0.5)
                for weights in pair.generator.parameters():
                    if weights.numel() == 1:  # a strength of noise that a training has moved
                        weights.fill_(0.1)
                for _ in range(3 if model == "fastgan" else 0):  # its spectral norms follow the weights only in use
                    pair.generator(torch.randn(8, config.latent_dim), torch.arange(8) % classes if classes else None)
        run = tmp_path_factory.mktemp("runs") / f"{model}-test"
        run.mkdir()
        (run / "config.json").write_text("{}")
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
            "data_card": {"scale": 2.0} if size == (0, 0) else {},
        }
        write_checkpoint(run / "last.pt", content)
        return run

    return make
