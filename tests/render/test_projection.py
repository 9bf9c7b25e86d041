from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from gancli.cli.app import app
from gancli.errors import CheckpointError, DataError, UsageError
from gancli.images import write_png
from gancli.render.generator import Generator, load
from gancli.render.projection import project


@pytest.fixture(scope="module")
def generator(make_run) -> Generator:
    return load(make_run("vanilla", size=(16, 16), width=16), device="cpu")


# an untrained discriminator is all kinks: how near the descent comes differs by processor, 4 to 7 % here
@pytest.mark.parametrize(("features", "near"), [("random", 0.05), ("discriminator", 0.1)])
def test_a_sample_of_its_own_comes_nearer_and_nearer(generator: Generator, features: str, near: float) -> None:
    target = generator.sample([77])[0]
    way = list(project(generator, target, features=features, starts=4, steps=150))
    ratios = [found.distance / found.typical for found in way]
    assert all(later <= earlier for earlier, later in pairwise(ratios))
    assert ratios[-1] < near
    assert way[-1].step == 150
    if features == "random":
        assert np.abs(way[-1].image.astype(float) - target).mean() < 2


def test_a_projection_is_the_same_every_time(generator: Generator) -> None:
    target = generator.sample([5])[0]
    first, second = (list(project(generator, target, starts=2, steps=10))[-1] for _ in range(2))
    assert np.array_equal(first.latent, second.latent)


def test_what_was_projected_can_be_walked_between(
    generator: Generator, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = str(generator.path.parent)
    places = []
    for seed in (1, 2):
        write_png(tmp_path / f"p{seed}.png", np.asarray(generator.sample([seed])[0]))
        app(["project", run, f"p{seed}.png", "--steps", "20", "--starts", "2", "--json"], standalone_mode=False)
        places.append(json.loads(capfd.readouterr().out))
    folder = Path(places[0]["path"])
    assert {p.name for p in folder.iterdir()} == {"latent.npy", "pair.png", "projection.json"}
    assert 0 <= places[0]["ratio"] < 1
    both = [word for place in places for word in ("--latents", place["path"])]
    app(["interpolate", run, *both, "--frames", "3", "--no-loop", "-o", "walk"], standalone_mode=False)
    assert len(list(Path("walk").glob("frame*.png"))) == 4
    with pytest.raises(UsageError, match="two latents"):
        app(["interpolate", run, *both[:2]], standalone_mode=False)
    np.save("short.npy", np.zeros(3, np.float32))
    with pytest.raises(UsageError, match="does not fit"):
        app(["interpolate", run, *both[:2], "--latents", "short.npy"], standalone_mode=False)


def test_bad_input_is_named(generator: Generator, make_run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="random or discriminator"):
        next(project(generator, generator.sample([0])[0], features="vgg"))
    with pytest.raises(UsageError, match="0 starts"):
        next(project(generator, generator.sample([0])[0], starts=0))
    with pytest.raises(DataError, match=r"nothing\.png"):
        app(["project", str(generator.path), str(tmp_path / "nothing.png")], standalone_mode=False)
    write_png(tmp_path / "x.png", np.zeros((8, 8, 3), np.uint8))
    toy = make_run("vanilla", size=(0, 0), channels=2)
    with pytest.raises(CheckpointError, match="toy"):
        app(["project", str(toy), str(tmp_path / "x.png")], standalone_mode=False)
