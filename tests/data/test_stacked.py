import gzip
import struct

import numpy as np
import pytest

from gancli.config import TrainOptions
from gancli.data.dataset import open_training_set
from gancli.data.stacked import stack_digits
from gancli.errors import DataError
from gancli.training.session import open_session


@pytest.fixture
def digits(tmp_path):
    """Ten grey squares, each of one brightness, as IDX files."""
    images = np.repeat(np.arange(10, dtype=np.uint8) * 20, 64).reshape(10, 8, 8)
    with gzip.open(tmp_path / "train-images-idx3-ubyte.gz", "wb") as file:
        file.write(struct.pack(">IIII", 0x803, 10, 8, 8) + images.tobytes())
    with gzip.open(tmp_path / "train-labels-idx1-ubyte.gz", "wb") as file:
        file.write(struct.pack(">II", 0x801, 10) + np.arange(10, dtype=np.uint8).tobytes())
    return tmp_path


def test_triples_are_random_independent_and_fixed_by_the_seed():
    images = np.repeat(np.arange(10, dtype=np.uint8), 4).reshape(10, 1, 2, 2)
    stacked = stack_digits(images, 0, "x", num=20_000)
    assert stacked.shape == (20_000, 3, 2, 2)
    triples = stacked[:, :, 0, 0].astype(int) @ [100, 10, 1]
    counts = np.bincount(triples, minlength=1000)
    assert len(counts) == 1000
    assert counts.min() > 0
    assert counts.mean() == 20
    assert counts.std() == pytest.approx(20**0.5, rel=0.2)  # Poisson, as of independent draws
    assert np.array_equal(stacked, stack_digits(images, 0, "x", num=20_000))
    assert not np.array_equal(stacked, stack_digits(images, 1, "x", num=20_000))


def test_stacked_set_is_colour_and_a_run_finds_it_again_by_its_own_name(digits, monkeypatch):
    monkeypatch.setattr("gancli.data.stacked.NUM_STACKED", 500)
    monkeypatch.setattr(stack_digits, "__defaults__", (500,))
    data = open_training_set(f"idx:{digits}", seed=3, stacked=True)
    assert data.facts.channels == 3
    assert data.facts.size == (8, 8)
    assert len(data.images) == 500
    assert not data.facts.flip
    again = open_training_set(data.facts.spec, seed=3)
    assert again.facts == data.facts


def test_a_run_on_triples_goes_on_without_being_told_again(digits, monkeypatch, tmp_path):
    monkeypatch.setattr(stack_digits, "__defaults__", (40,))
    numbers = {"model": "vanilla", "width": 8, "batch_size": 8, "tick_kimg": 0.016}
    exact = {"device": "cpu", "precision": "fp32", "compile": "off"}
    first = TrainOptions(data=f"idx:{digits}", stacked=True, kimg=0.016, **numbers, **exact)
    list(open_session(first, out=tmp_path / "run").ticks())
    for again in (TrainOptions(kimg=0.032), TrainOptions(data=f"idx:{digits}", kimg=0.048)):
        session = open_session(again, resume=tmp_path / "run")
        assert session.config.data == f"stacked-idx:{digits}"
        assert not session.is_new
        list(session.ticks())
    like = open_session(TrainOptions(data=f"idx:{digits}"), like=tmp_path / "run", out=tmp_path / "like")
    assert like.config.channels == 3


def test_stacking_what_is_not_grey_is_refused_by_name(photo_folder):
    with pytest.raises(DataError, match="--stacked lays three grey images"):
        open_training_set(str(photo_folder), size="16", stacked=True)
