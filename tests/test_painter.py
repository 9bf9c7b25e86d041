"""The painter: the same scene for the same seed, six kinds that can be told apart, words that pick them."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from gancli.errors import UsageError
from gancli.painter import KINDS, kinds_for, landscapes, nearest_kind, paint


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_paints_the_same_picture(kind: str) -> None:
    first, again, other = paint(kind, 3, 40, 24), paint(kind, 3, 40, 24), paint(kind, 4, 40, 24)
    assert first.shape == (24, 40, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_shows_one_scene_at_every_size(kind: str) -> None:
    small = paint(kind, 11, 32, 32).astype(float)
    large = paint(kind, 11, 128, 128).astype(float).reshape(32, 4, 32, 4, 3).mean(axis=(1, 3))
    other = paint(kind, 12, 32, 32).astype(float)
    assert np.abs(small - large).mean() < 0.5 * np.abs(small - other).mean()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 3), (3, 50), (120, 20)])
def test_any_shape_can_be_painted(width: int, height: int) -> None:
    for kind in KINDS:
        assert paint(kind, 0, width, height).shape == (height, width, 3)


def test_a_longer_set_begins_with_the_shorter_one() -> None:
    images, labels = landscapes(20, (24, 16), seed=5)
    few, few_labels = landscapes(7, (24, 16), seed=5)
    assert images.shape == (20, 16, 24, 3)
    assert labels.dtype == np.int64
    assert np.array_equal(images[:7], few)
    assert np.array_equal(labels[:7], few_labels)
    assert not np.array_equal(landscapes(7, (24, 16), seed=6)[0], few)


def test_a_set_holds_every_kind_equally_often_and_no_picture_twice() -> None:
    images, labels = landscapes(120, (16, 16), seed=0)
    assert np.bincount(labels).tolist() == [20] * 6
    assert len({hashlib.sha256(image.tobytes()).digest() for image in images}) == 120


@pytest.mark.parametrize("side", [16, 48])
def test_nearest_kind_is_right_on_fresh_seeds(side: int) -> None:
    images, labels = landscapes(180, (side, side), seed=901)
    assert (nearest_kind(images) == labels).mean() > 0.95


def test_nearest_kind_bears_noise_as_a_young_generator_makes_it() -> None:
    images, labels = landscapes(120, (32, 32), seed=902)
    noise = np.random.default_rng(0).normal(0, 30, images.shape)
    assert (nearest_kind(np.clip(images + noise, 0, 255).astype(np.uint8)) == labels).mean() > 0.9


def test_nearest_kind_takes_other_shapes_and_refuses_other_types() -> None:
    wide = np.stack([paint(kind, 8, 60, 40) for kind in KINDS])
    assert (nearest_kind(wide) == np.arange(6)).mean() >= 5 / 6
    assert nearest_kind(np.zeros((0, 8, 8, 3), np.uint8)).shape == (0,)
    with pytest.raises(UsageError, match="uint8"):
        nearest_kind(np.zeros((2, 8, 8, 3), np.float32))


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("snowy mountains", ("snowy",)),
        ("Desert", ("desert",)),
        ("sand dunes at dusk", ("desert",)),
        ("Scottish moors", ("highland",)),
        ("highland lakes", ("highland",)),
        ("high peaks", ("high",)),
        ("green and rocky slopes", ("green", "rocky")),
        ("winter hills", ("green", "snowy")),
        ("verschneite Berge", ("snowy",)),
        ("mountains", KINDS),
        ("", KINDS),
    ],
)
def test_words_pick_kinds(query: str, kinds: tuple[str, ...]) -> None:
    assert kinds_for(query) == kinds


def test_what_cannot_be_painted_is_refused_with_what_can() -> None:
    with pytest.raises(UsageError, match=r"'lunar'.*desert, green, high"):
        paint("lunar", 0)
    with pytest.raises(UsageError):
        paint("green", -1)
    with pytest.raises(UsageError):
        landscapes(3, (0, 4), seed=0)
