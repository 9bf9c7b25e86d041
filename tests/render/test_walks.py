from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gancli.errors import CheckpointError, UsageError
from gancli.render.generator import Generator, load
from gancli.render.sampling import latents
from gancli.render.walk import Walk
from gancli.render.walks import along, even_positions, image_steps, lerp, positions, slerp


def test_slerp_of_perpendicular_vectors_is_the_circle() -> None:
    first, second = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    half = slerp(first, second, torch.tensor([1 / 3]))
    assert torch.allclose(half, 2 * torch.tensor([[np.cos(np.pi / 6), np.sin(np.pi / 6)]]).float(), atol=1e-6)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.floats(0, 1))
def test_slerp_stays_on_the_shell_and_meets_its_ends(seed: int, t: float) -> None:
    first, second = latents([seed, seed + 1], 64).double().split(1)
    place = torch.tensor([t], dtype=torch.float64)
    expected = (1 - t) * first.norm() + t * second.norm()
    assert slerp(first, second, place).norm().item() == pytest.approx(expected.item(), rel=1e-6)
    assert torch.allclose(slerp(first, second, torch.zeros(1, dtype=torch.float64)), first)
    assert torch.allclose(slerp(first, second, torch.ones(1, dtype=torch.float64)), second)


def test_slerp_of_equal_and_opposite_latents_stays_finite() -> None:
    first = torch.ones(1, 8)
    for second in (first, -first, torch.zeros(1, 8)):
        assert slerp(first, second, torch.tensor([0.5])).isfinite().all()


def test_lerp_is_the_straight_line() -> None:
    assert lerp(torch.zeros(1, 2), torch.ones(1, 2), torch.tensor([0.25])).tolist() == [[0.25, 0.25]]


@settings(max_examples=40)
@given(st.integers(2, 6), st.integers(1, 30), st.booleans(), st.sampled_from(["linear", "smooth"]))
def test_a_walk_has_the_promised_number_of_frames(keys: int, frames: int, loop: bool, easing: str) -> None:
    where = positions(keys, frames, loop=loop, easing=easing)
    assert len(where) == (keys * frames if loop else (keys - 1) * frames + 1)
    assert (np.diff(where) > 0).all()
    assert where[0] == 0
    assert where[-1] < keys if loop else where[-1] == keys - 1


def test_key_frames_are_the_keys_exactly() -> None:
    keys = latents([1, 2, 3], 16)
    path = along(keys, positions(3, 10, loop=True))
    assert path[[0, 10, 20]].equal(keys)


def test_one_seed_or_no_frames_is_no_walk() -> None:
    with pytest.raises(UsageError, match="two seeds"):
        positions(1, 10, loop=True)
    with pytest.raises(UsageError, match="--frames 0"):
        positions(2, 0, loop=True)


def test_even_positions_spread_a_known_change() -> None:
    def steps_at(where: np.ndarray) -> np.ndarray:
        travelled = np.append(where, 2.0) ** 3
        return np.diff(travelled)

    where = even_positions(np.linspace(0, 2, 40, endpoint=False), 2, steps_at, loop=True)
    steps = steps_at(where)
    assert steps.std() / steps.mean() < 0.03


@pytest.fixture(scope="module")
def generator(make_run) -> Generator:
    return load(make_run("dcgan"), device="cpu")


def test_a_loop_flows_from_its_last_frame_into_its_first(generator: Generator) -> None:
    walk = Walk(generator, [[3, 14, 15]], 12)
    steps = walk.steps()
    assert len(steps) == walk.num_frames == 36
    last_leg = steps[24:]
    assert abs(steps[-1] / last_leg.mean() - 1) < 0.25
    frames = list(walk.frames())
    assert not np.array_equal(frames[0], frames[-1])


def test_even_steps_vary_at_most_a_third_as_much_and_close_the_loop(generator: Generator) -> None:
    walk = Walk(generator, [[3, 14, 15]], 15)
    before = walk.steps()
    walk.make_even()
    after = walk.steps()
    assert after.std() / after.mean() < before.std() / before.mean() / 3
    assert abs(after[-1] / after.mean() - 1) < 0.10
    assert [leg.first for leg in walk.legs(after)] == [3, 14, 15]


def test_walks_side_by_side_are_the_single_walks(generator: Generator) -> None:
    both = Walk(generator, [[1, 2], [3, 4]], 4, columns=2)
    first = list(Walk(generator, [[1, 2]], 4).frames())
    for frame, own in zip(both.frames(), first, strict=True):
        assert frame.shape == (36, 70, 3)
        assert np.array_equal(frame[2:34, 2:34], own)


def test_a_strip_shows_the_stages_from_first_to_last_key(generator: Generator) -> None:
    strip = Walk(generator, [[1, 2]], 1, loop=False).stages(5)
    ends = generator.sample([1, 2])
    assert strip.shape == (100, 5 * 98 + 2, 3)
    assert np.array_equal(strip[2:98:3, 2:98:3], ends[0])
    assert np.array_equal(strip[2:98:3, -98:-2:3], ends[1])


def test_classes_are_blended_on_the_way(make_run) -> None:
    generator = load(make_run("dcgan", classes=3), device="cpu")
    frames = list(Walk(generator, [[5, 5]], 4, loop=False, labels=[0, 2]).frames())
    assert np.abs(frames[0].astype(int) - generator.sample([5], label=0)[0]).max() <= 1
    assert np.abs(frames[-1].astype(int) - generator.sample([5], label=2)[0]).max() <= 1
    steps = image_steps(frames, loop=False)
    assert steps.min() > 0


def test_a_toy_cannot_be_walked(make_run) -> None:
    with pytest.raises(CheckpointError, match="toy"):
        Walk(load(make_run("vanilla", size=(0, 0), channels=2), device="cpu"), [[1, 2]], 4)
