"""Position is the random state: the same position gives the same draws, in any order of asking."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gancli.config import DataFacts, TrainOptions, resolve
from gancli.data.streams import Sampler, batch_indices, normal, stream
from gancli.training.choosing import plan_tick_kimg
from gancli.training.schedules import cosine, ema_beta, lr_factor


def test_streams_differ_by_each_of_their_arguments() -> None:
    draws = [
        normal((4,), 0, "z", 0),
        normal((4,), 1, "z", 0),
        normal((4,), 0, "y", 0),
        normal((4,), 0, "z", 64),
        normal((4,), 0, "z", 0, draw=1),
    ]
    for i, one in enumerate(draws):
        for other in draws[i + 1 :]:
            assert not torch.equal(one, other)
    assert torch.equal(draws[0], normal((4,), 0, "z", 0))


def test_streams_are_the_same_in_every_version() -> None:
    assert stream(0, "z", 0).initial_seed() == 4108859893669313350


@settings(max_examples=40)
@given(num=st.integers(2, 50), start=st.integers(0, 500), sizes=st.lists(st.integers(1, 60), min_size=1, max_size=6))
def test_batches_of_any_size_walk_the_same_order(num: int, start: int, sizes: list[int]) -> None:
    sampler, at, walked = Sampler(num, 3), start, []
    for size in sizes:
        walked.append(sampler.indices(at, size))
        at += size
    assert torch.equal(torch.cat(walked), batch_indices(num, 3, start, sum(sizes)))


def test_an_epoch_shows_every_image_once_in_a_new_order() -> None:
    first, second = batch_indices(20, 0, 0, 20), batch_indices(20, 0, 20, 20)
    assert sorted(first.tolist()) == list(range(20)) == sorted(second.tolist())
    assert not torch.equal(first, second)


def test_the_fish_schedule_follows_its_stages() -> None:
    assert lr_factor("fish", 0.01, 0, 0) == 1.0
    assert lr_factor("fish", 0.1, 0, 0) == 0.5
    drawn = {lr_factor("fish", 0.2, 0, nimg) for nimg in range(0, 6400, 64)}
    assert drawn == {0.6, 0.5, 0.4, 0.3, 0.2}
    assert lr_factor("fish", 0.2, 0, 64) == lr_factor("fish", 0.2, 0, 64)
    assert lr_factor("fish", 0.4, 0, 0) == 0.25
    assert lr_factor("fish", 1.0, 0, 0) == 0.2


def test_linear_and_cosine_end_at_nothing() -> None:
    assert lr_factor("linear", 0.25, 0, 0) == 0.75
    assert lr_factor("cosine", 0.5, 0, 0) == pytest.approx(0.5)
    assert lr_factor("cosine", 1.0, 0, 0) == pytest.approx(0.0)
    assert cosine(2.0, 0.2, 0.9, until=0.8) == pytest.approx(0.2)


def test_the_running_average_ramps_with_the_run() -> None:
    assert ema_beta(10, 0, 64) == 0.0
    assert ema_beta(10, 1000, 50) == pytest.approx(0.5)  # 5 % of 1000 images is the half-life
    assert ema_beta(10, 10**7, 10_000) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("rate", "minutes", "seconds"),
    [(1000.0, 60, 40), (1000.0, 2, 8), (30.0, 60, 100), (30.0, 5, 25), (1e6, 60, 40)],
    ids=["usual", "short", "slow", "slow and short", "toy"],
)
def test_ticks_are_rare_enough_to_cost_little_and_frequent_enough_to_judge(
    rate: float, minutes: float, seconds: float
) -> None:
    facts = DataFacts(spec="x", fingerprint="0", size=(64, 64), channels=3, num_images=500, num_held_out=0)
    config = resolve(TrainOptions(model="dcgan", minutes=minutes), facts)
    assert plan_tick_kimg(config, rate) * 1000 / rate == pytest.approx(seconds)
