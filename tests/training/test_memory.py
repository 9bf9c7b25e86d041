"""Micro-batches: the same arithmetic in pieces, chosen when the batch does not fit, halved when memory runs out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gancli.config import DataFacts, Engine, TrainOptions, resolve
from gancli.data.batches import Batch
from gancli.data.dataset import TrainingSet
from gancli.errors import TrainingError
from gancli.models.checkpoint import read_checkpoint
from gancli.recipes import find_recipe
from gancli.training import choosing
from gancli.training import memory as memory_module
from gancli.training.memory import MemoryEstimate, budget_mb, is_out_of_memory, pick_micro_batch
from gancli.training.session import open_session
from gancli.training.state import State
from gancli.training.step import Step


@pytest.fixture
def options(photo_folder: Path) -> TrainOptions:
    return TrainOptions(
        data=str(photo_folder),
        model="vanilla",
        size="16",
        width=16,
        batch_size=8,
        dropout=0.0,
        kimg=0.064,
        tick_kimg=0.032,
        device="cpu",
        precision="fp32",
        compile="off",
    )


def generator(run: Path) -> torch.Tensor:
    states = read_checkpoint(run / "last.pt").states["generator"]
    return torch.cat([value.flatten() for value in states.values()])


@pytest.mark.parametrize(
    "change",
    [{}, {"r1_gamma": 1.0}, {"model": "r3gan-s", "width": 16, "dropout": None, "augment": "none", "kimg": 0.016}],
)
def test_pieces_of_a_batch_are_the_same_arithmetic(
    options: TrainOptions, tmp_path: Path, change: dict[str, object]
) -> None:
    ends = []
    for micro in (0, 3):
        session = open_session(replace(options, **change), out=tmp_path / str(micro))  # type: ignore[arg-type]
        session.engine = replace(session.engine, micro_batch=micro)
        list(session.ticks())
        ends.append(generator(tmp_path / str(micro)))
    # Adam divides by the root of a small second moment, so rounding is enlarged: 8 steps of the rate at most apart
    assert (ends[0] - ends[1]).abs().max() < 2e-4
    assert (ends[0] - ends[1]).abs().mean() < 2e-6


def test_out_of_memory_halves_the_pieces_and_goes_on(
    options: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Step._discriminator_part

    def tight(self: Step, part: Batch, fakes: torch.Tensor) -> object:
        if len(part) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
        return whole(self, part, fakes)

    list(open_session(options, out=tmp_path / "whole").ticks())
    session = open_session(options, out=tmp_path / "tight")
    monkeypatch.setattr(Step, "_discriminator_part", tight)
    ticks = list(session.ticks())
    assert ticks[-1].row["nimg"] == 64
    assert "micro-batches of 2" in ticks[0].note
    assert not ticks[1].note
    assert (generator(tmp_path / "whole") - generator(tmp_path / "tight")).abs().max() < 2e-4
    # a resume knows what fits
    assert read_checkpoint(tmp_path / "tight" / "last.pt").extra["micro_batch"] == 2


def test_networks_that_look_at_the_whole_batch_are_not_cut(
    options: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Step, part: Batch, fakes: torch.Tensor) -> object:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes.")

    session = open_session(replace(options, model="dcgan", width=8, dropout=None), out=tmp_path / "run")
    monkeypatch.setattr(Step, "_discriminator_part", full)
    with pytest.raises(TrainingError, match=r"cannot run in pieces. Give a smaller --batch \(e.g. 4\)"):
        list(session.ticks())
    assert read_checkpoint(tmp_path / "run" / "last.pt").nimg == 0


def test_other_errors_are_not_taken_for_a_full_memory() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("x"))
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_the_largest_pieces_that_fit_are_chosen() -> None:
    estimate = MemoryEstimate(state_mb=100, per_image_mb=10)
    assert pick_micro_batch(64, estimate, 10_000) == 0
    assert pick_micro_batch(64, estimate, 480) == 32  # it holds 100 + 32 · 10, not 100 + 64 · 10
    assert pick_micro_batch(64, estimate, 10) == 1


def test_a_step_takes_most_of_what_is_free_and_never_more_than_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    for free, budget in ((1000, 800), (64_000, 1200), (0, 1200)):  # 0: nothing is known
        monkeypatch.setattr(memory_module, "available_mb", lambda device, free=free: free)
        assert budget_mb("cpu", 200) == budget
        assert budget_mb("cpu", 200, counts_free=False) == 1200


def test_many_weights_do_not_make_the_pieces_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "available_mb", lambda device: 64_000)
    perceptrons = MemoryEstimate(state_mb=4000, per_image_mb=3)  # vanilla at 256 px
    assert pick_micro_batch(100, perceptrons, budget_mb("cpu", perceptrons.state_mb)) == 0


@pytest.mark.parametrize("model", ["wgan-gp", "r3gan-s"])
@pytest.mark.parametrize(("side", "most_mb"), [(64, 3200), (128, 4800)])
def test_a_card_of_6_gb_holds_the_recipes_batch(model: str, side: int, most_mb: int, tmp_path: Path) -> None:
    images = torch.randint(0, 256, (64, 3, side, side), dtype=torch.uint8)
    facts = DataFacts(spec="x", fingerprint="", size=(side, side), channels=3, num_images=len(images), num_held_out=0)
    data = TrainingSet(
        facts=facts, images=images, labels=None, train=torch.arange(len(images)), held_out=torch.arange(0)
    )
    config = resolve(TrainOptions(model=model, kimg=1.0, device="cpu", precision="fp32", compile="off"), facts)
    engine = Engine(device="cpu", precision="fp32")
    (engine,), _ = choosing._fitted(config, [engine], data, State.fresh(config, engine), lambda text: None)
    assert config.batch_size == find_recipe(model).batch_size  # in pieces, where it must be
    assert 50 < engine.peak_mb < most_mb


def test_the_plan_says_what_a_step_takes_and_cuts_what_does_not_fit(
    options: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_session(options, out=tmp_path / "a")
    assert session.engine.peak_mb > 0
    assert session.plan.figures["memory_is_estimate"]
    assert session.plan.figures["memory_mb"] == session.engine.peak_mb
    monkeypatch.setattr(memory_module, "available_mb", lambda device: session.engine.peak_mb)
    exact = open_session(options, out=tmp_path / "b")
    assert exact.engine.micro_batch == 0  # bit-exactness was asked for
    small = open_session(replace(options, compile="auto"), out=tmp_path / "c")
    assert 0 < small.engine.micro_batch < 8
    assert "micro-batches" in dict(small.plan.lines)["engine"]
