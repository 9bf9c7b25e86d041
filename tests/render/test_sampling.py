from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from gancli.errors import CheckpointError, UsageError
from gancli.render.generator import Generator, load
from gancli.render.sampling import chunk_size, latent, latents, pick_labels, to_uint8

IMAGE_MODELS = ("vanilla", "dcgan", "wgan-gp")


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=IMAGE_MODELS)
def generator(request: pytest.FixtureRequest, make_run) -> Generator:
    return load(make_run(request.param), device="cpu")


def test_one_seed_is_one_image_for_any_batch_and_thread_count(generator: Generator) -> None:
    seeds = list(range(10))
    torch.set_num_threads(2)
    together = generator.sample(seeds)
    sevens = np.concatenate([generator.sample(seeds[:7]), generator.sample(seeds[7:])])
    for threads in (1, 2):
        torch.set_num_threads(threads)
        alone = np.concatenate([generator.sample([seed]) for seed in seeds])
        assert np.array_equal(alone, together)
        assert np.array_equal(sevens, together)
        assert torch.get_num_threads() == threads
    assert np.array_equal(generator.sample(seeds[::-1])[::-1], together)
    assert len(np.unique(together.reshape(10, -1), axis=0)) == 10


def test_latents_are_the_frozen_stream() -> None:
    assert latents([3, 9], 5).equal(torch.stack([latent(3, 5), latent(9, 5)]))
    assert latent(7, 4).tolist() == pytest.approx([-0.2810, 0.4559, -0.0585, -0.0504], abs=1e-4)
    many = latents(range(2000), 32)
    assert abs(many.mean().item()) < 0.02
    assert abs(many.std().item() - 1) < 0.02
    assert not latent(2**40, 4).equal(latent(0, 4))


def test_pixels_are_rounded_and_clamped() -> None:
    values = torch.tensor([-3.0, -1.0, 0.0, 1.0, 2.0]).reshape(1, 1, 1, 5)
    assert to_uint8(values).ravel().tolist() == [0, 0, 128, 255, 255]


def test_a_chunk_never_exceeds_its_budget() -> None:
    cpu = torch.device("cpu")
    assert chunk_size(64, 64, cpu) == 8
    assert chunk_size(1024, 1024, cpu) == 1
    assert chunk_size(0, 0, cpu) == 32


def test_truncation_draws_every_recipe_towards_its_typical_picture(generator: Generator) -> None:
    def spread(psi: float) -> float:
        return float(generator.sample(range(16), truncation=psi).astype(float).std(axis=0).mean())

    assert spread(0.0) == 0
    assert spread(0.3) < 0.8 * spread(1.0)
    with pytest.raises(UsageError, match="truncation"):
        generator.sample([0], truncation=-1)


def test_truncation_one_changes_nothing(generator: Generator) -> None:
    assert np.array_equal(generator.sample([1], truncation=1.0), generator.sample([1]))


def test_classes_come_from_the_seed_or_as_asked(make_run) -> None:
    generator = load(make_run("dcgan", classes=4), device="cpu")
    by_class = [generator.sample([5], label=label) for label in range(4)]
    assert len(np.unique(np.concatenate(by_class).reshape(4, -1), axis=0)) == 4
    own = pick_labels([5], 4)
    assert own is not None
    assert np.array_equal(generator.sample([5]), by_class[int(own[0])])
    with pytest.raises(UsageError, match=r"out of range.*0 to 3"):
        generator.sample([5], label=4)
    assert set(pick_labels(range(100), 4).tolist()) == {0, 1, 2, 3}


def test_a_class_of_a_model_without_classes_is_refused(generator: Generator) -> None:
    with pytest.raises(UsageError, match="no classes"):
        generator.sample([0], label=1)


def test_toys_give_points_in_their_own_units_and_no_pictures(make_run) -> None:
    generator = load(make_run("vanilla", size=(0, 0), channels=2), device="cpu")
    points = generator.points(range(50))
    assert points.shape == (50, 2)
    with torch.inference_mode():
        raw = generator.loaded.module(generator.latents(range(50)), None)
    assert np.allclose(points, raw.numpy() * 2.0, atol=1e-5)
    with pytest.raises(CheckpointError, match="toy"):
        generator.sample([0])


def test_a_notebook_shows_samples_and_generators(generator: Generator) -> None:
    shown = generator.sample(range(4))._repr_png_()
    assert shown is not None
    assert shown.startswith(b"\x89PNG")
    assert (generator._repr_png_() or b"").startswith(b"\x89PNG")
    assert "kimg" in repr(generator)
