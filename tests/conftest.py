"""What all tests share: a cache of their own, one thread (so that they do not fight), a small folder of pictures."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if importlib.util.find_spec("hypothesis"):  # a GPU machine may be without: the other tests run there
    from hypothesis import HealthCheck, settings

    # A busy machine is no failure.
    settings.register_profile("house", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("house")

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["GAN_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty painted landscapes of 40x32 px as PNG files."""
    from gancli.images import write_png
    from gancli.painter import landscapes

    folder = tmp_path_factory.mktemp("photos")
    images, _ = landscapes(60, (40, 32), 5)
    for index, image in enumerate(np.asarray(images)):
        write_png(folder / f"photo {index:02d}.png", image)
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 2 MB, where we may mount one."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


@pytest.fixture
def grow_disk(small_disk: Path) -> Callable[[], None]:
    """Makes room on the small disk."""

    def grow() -> None:
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)

    return grow


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a run folder with an untrained, lively generator of a recipe; `extra` goes into its checkpoint."""

    def make(
        model: str = "dcgan",
        *,
        data: str = "folder",
        size: tuple[int, int] = (32, 32),
        channels: int = 3,
        classes: int = 0,
        width: int = 16,
        **extra: Any,
    ) -> Path:
        from gancli.config import DataFacts, Engine, TrainOptions, resolve
        from gancli.models.checkpoint import FORMAT_VERSION, write_checkpoint

        facts = DataFacts(
            spec="toy:ring" if size == (0, 0) and data == "folder" else data,
            fingerprint="0" * 16,
            size=size,
            channels=channels,
            num_images=56,
            num_held_out=4,
            class_names=tuple(f"kind{i}" for i in range(classes)),
        )
        config = resolve(TrainOptions(model=model, width=width, conditional=classes > 0), facts)
        card = {"scale": 2.0} if size == (0, 0) else {}
        run = tmp_path_factory.mktemp("runs") / f"{model}-test"
        run.mkdir()
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
            **_lively_networks(config),
            "optimizer_g": {},
            "optimizer_d": {},
            "augment": {},
            "data_card": card,
            "extra": extra,
        }
        write_checkpoint(run / "last.pt", content)
        return run

    return make


def _lively_networks(config: Any) -> dict[str, Any]:
    """The states of untrained networks whose pictures differ as those of trained ones do."""
    import torch

    from gancli.models.registry import build_networks, network_spec

    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        pair = build_networks(config.networks, network_spec(config))
        for weights in pair.generator.parameters():
            if weights.dim() > 1:
                weights.normal_(0, 2.0 / weights[0].numel() ** 0.5)
            elif weights.numel() == 1:  # a strength of noise that a training has moved
                weights.fill_(0.1)
        for _ in range(3 if config.networks == "fastgan" else 0):  # its spectral norms follow the weights only in use
            labels = torch.arange(8) % config.num_classes if config.num_classes else None
            pair.generator(torch.randn(8, config.latent_dim), labels)
    generator = pair.generator.state_dict()
    return {
        "generator": generator,
        "generator_ema": generator,
        "discriminator": pair.discriminator.state_dict(),
    }
