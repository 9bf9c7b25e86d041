"""One step, many engines: each gives the losses of the plain fp32 step for 20 steps, within its stated tolerance."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gancli.config import Engine, TrainConfig, TrainOptions, resolve
from gancli.data.augment import POLICIES, apply_augmentation
from gancli.data.batches import BatchSource
from gancli.data.dataset import TrainingSet, open_training_set
from gancli.data.prefetch import Prefetcher
from gancli.errors import ConfigError
from gancli.models.checkpoint import read_checkpoint, write_checkpoint
from gancli.training import choosing
from gancli.training import engine as engine_module
from gancli.training import memory as memory_module
from gancli.training.choosing import choose_engine
from gancli.training.compiling import compiled
from gancli.training.engine import make_iteration
from gancli.training.graphs import GraphedIteration, why_not_graphed
from gancli.training.iteration import Iteration
from gancli.training.state import State
from gancli.training.step import Step

STEPS = 20
CPU = torch.device("cpu")
PLAIN = Engine(device="cpu", precision="fp32", channels_last=False)

# (engine, threads, largest difference of a loss at each of 20 steps relative to 1 + |loss|)
ENGINES = {
    "fp32": (PLAIN, 1, 0.0),
    "channels-last": (replace(PLAIN, channels_last=True), 1, 1e-3),
    "two-threads": (PLAIN, 2, 1e-3),
    "micro-batches": (replace(PLAIN, micro_batch=2), 1, 1e-3),
    "recorded": (replace(PLAIN, cuda_graph=True), 1, 1e-5),
    "bf16": (replace(PLAIN, precision="bf16"), 1, 0.1),
    "fp16": (replace(PLAIN, precision="fp16"), 1, 0.03),
    "compiled": (replace(PLAIN, compile=True), 1, 1e-3),
    "cuda-fp32": (replace(PLAIN, device="cuda:0"), 1, 1e-2),
    "cuda-bf16": (replace(PLAIN, device="cuda:0", precision="bf16", channels_last=True), 1, 0.1),
    "cuda-fp16": (replace(PLAIN, device="cuda:0", precision="fp16", channels_last=True), 1, 0.03),
    "cuda-graph": (replace(PLAIN, device="cuda:0", cuda_graph=True), 1, 1e-2),
    "cuda-graph-bf16": (replace(PLAIN, device="cuda:0", precision="bf16", cuda_graph=True), 1, 0.1),
}
MARKS = {"compiled": pytest.mark.slow, "fp16": pytest.mark.slow, "cuda": pytest.mark.gpu}
RECIPES: dict[str, dict[str, Any]] = {
    "dcgan": {"width": 8},
    "wgan-gp": {"width": 8, "dropout": 0.0, "d_steps": 2},
    "r3gan-s": {"width": 16, "augment": "diffaugment", "batch_size": 4},
}


@pytest.fixture(scope="module")
def data(photo_folder: Path) -> TrainingSet:
    return open_training_set(str(photo_folder), size="16")


def config_of(data: TrainingSet, model: str, **changes: Any) -> TrainConfig:
    given = {"model": model, "batch_size": 8, "kimg": 1.0, "device": "cpu"} | RECIPES.get(model, {}) | changes
    return resolve(TrainOptions(**given), data.facts)


@contextmanager
def threads(num: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(num)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def rerun(work: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
    """What CUDA does with a recording, on a processor: the same Python again, on the same buffers."""
    held = work().clone().fill_(math.nan)  # a recording computes nothing yet

    def replay() -> None:
        held.copy_(work())

    return replay, held


def iterate(config: TrainConfig, engine: Engine, data: TrainingSet, steps: int = STEPS) -> tuple[list[float], State]:
    state = State.fresh(config, engine)
    set_scale(state, 16.0)  # low enough that no step is skipped
    source = BatchSource(data, config, torch.device(engine.device))
    iteration: Any = make_iteration(config, engine, state, source)
    if engine.cuda_graph and engine.device == "cpu":
        prefetcher = Prefetcher(source, batch_size=config.batch_size, d_steps=config.d_steps)
        iteration = GraphedIteration(config, engine, state, prefetcher, recorder=once(rerun, state))
    losses = []
    for _ in range(steps):
        iteration.run(state.nimg / 1000)
        means = iteration.tally.means()
        losses += [means["loss_d"], means["loss_g"]]
        iteration.tally = type(iteration.tally)()
    assert not iteration.notes
    return losses, state


def set_scale(state: State, scale: float) -> None:
    if state.scaler is not None:
        state.scaler.scale(torch.ones(()))
        state.scaler.update(scale)


def once(recorder: Any, state: State) -> Any:
    """`recorder` without its effect on what learns: recording is not running."""

    def record(work: Callable[[], torch.Tensor]) -> Any:
        saved = [t.clone() for t in learning(state)]
        result = recorder(work)
        for tensor, before in zip(learning(state), saved, strict=True):
            tensor.data.copy_(before)
        return result

    return record


def learning(state: State) -> list[torch.Tensor]:
    nets = (state.generator, state.generator_ema, state.discriminator)
    found = [t for net in nets for t in net.state_dict().values()]
    optimizers = (state.optimizer_g, state.optimizer_d)
    return found + [v for o in optimizers for s in o.state.values() for v in s.values()]


@pytest.fixture(scope="module")
def plain_losses(data: TrainingSet) -> dict[str, list[float]]:
    with threads(1):
        return {model: iterate(config_of(data, model), PLAIN, data)[0] for model in RECIPES}


@pytest.mark.parametrize("model", RECIPES)
@pytest.mark.parametrize("name", [pytest.param(name, marks=MARKS.get(name.split("-")[0], ())) for name in ENGINES])
def test_every_engine_gives_the_losses_of_the_plain_step(
    data: TrainingSet, plain_losses: dict[str, list[float]], name: str, model: str
) -> None:
    engine, num_threads, tolerance = ENGINES[name]
    if engine.device != "cpu" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    if engine.precision == "bf16" and engine.device != "cpu" and not torch.cuda.is_bf16_supported():
        pytest.skip("this card has no bf16")
    if num_threads > 1 and model == "r3gan-s":
        pytest.skip("slow with two threads on small groups; the other recipes stand for it")
    if engine.micro_batch and model != "r3gan-s":
        pytest.skip("networks that look at the whole batch are never cut")
    if engine.compile and (shutil.which("c++") is None or model != "r3gan-s"):
        pytest.skip("compiling takes long: the hardest recipe stands for all, where there is a compiler")
    with threads(num_threads):
        found, _ = iterate(config_of(data, model), engine, data)
    apart = max(abs(a - b) / (1 + abs(a)) for a, b in zip(plain_losses[model], found, strict=True))
    assert apart <= tolerance


# ---- recordings -----------------------------------------------------------------------------------------------------


def test_a_recorded_step_ends_with_the_plain_steps_weights(data: TrainingSet) -> None:
    config = config_of(data, "r3gan-s", augment="ada", ema_halflife_kimg=0.1)
    _, plain = iterate(config, PLAIN, data, 8)
    _, recorded = iterate(config, replace(PLAIN, cuda_graph=True), data, 8)
    for expected, found in zip(learning(plain), learning(recorded), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def recorded(data: TrainingSet, recorder: Any, **changes: Any) -> tuple[GraphedIteration, State, list[int]]:
    config, engine = config_of(data, "dcgan", **changes), replace(PLAIN, cuda_graph=True)
    state, records = State.fresh(config, engine), []

    def counted(work: Callable[[], torch.Tensor]) -> Any:
        records.append(state.nimg)
        return once(recorder, state)(work)

    source = BatchSource(data, config, CPU)
    return GraphedIteration(config, engine, state, source, recorder=counted), state, records


def test_a_step_of_another_shape_is_recorded_by_itself(data: TrainingSet) -> None:
    iteration, state, records = recorded(data, rerun, d_every="2")
    for _ in range(24):
        iteration.run(0.5)
    assert len(records) == 2  # with and without the discriminator; norms are wanted too seldom
    assert state.nimg == 24 * 8


def test_a_loaded_checkpoint_is_recorded_anew(data: TrainingSet, tmp_path: Path) -> None:
    iteration, state, records = recorded(data, rerun)
    for _ in range(6):
        iteration.run(0.5)
    content = state.content(iteration.config, iteration.engine, {}, {})
    write_checkpoint(tmp_path / "last.pt", content)
    state.load(read_checkpoint(tmp_path / "last.pt"))
    for _ in range(6):
        iteration.run(0.5)
    assert len(records) == 2


def test_a_step_that_cannot_be_recorded_goes_on_plainly_and_says_so_once(data: TrainingSet) -> None:
    def refuse(work: Callable[[], torch.Tensor]) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    iteration, state, records = recorded(data, refuse)
    for _ in range(8):
        iteration.run(0.5)
    assert len(records) == 1
    assert len(iteration.notes) == 1
    assert "could not be recorded as a CUDA graph (operation not permitted" in iteration.notes[0]
    assert state.nimg == 64
    assert not iteration.step.is_captured
    assert not state.optimizer_d.param_groups[0].get("capturable")


def test_what_changes_from_step_to_step_is_not_recorded(data: TrainingSet) -> None:
    for model, precision, world, words in (
        ("fastgan", "bf16", 1, "quadrant"),
        ("dcgan", "fp16", 1, "overflowed"),
        ("dcgan", "bf16", 2, "several processes"),
    ):
        assert words in str(why_not_graphed(config_of(data, model), precision, world))
    assert why_not_graphed(config_of(data, "wgan-gp"), "bf16", 1) is None


# ---- prefetching ----------------------------------------------------------------------------------------------------


def test_a_batch_fetched_ahead_is_the_batch_of_its_position(data: TrainingSet) -> None:
    config = config_of(data, "r3gan-s", augment="ada", instance_noise=0.1)
    source = BatchSource(data, config, CPU)
    ahead = Prefetcher(source, batch_size=8, d_steps=1)
    # in order, then another chance of an augmentation, then back to an earlier place with another draw
    for nimg, draw, p in ((0, 0, 0.1), (8, 0, 0.1), (16, 0, 0.2), (24, 0, 0.2), (8, 1, 0.2), (16, 1, None)):
        for who in ("discriminator_batch", "generator_batch"):
            expected, found = getattr(source, who)(nimg, draw, p), getattr(ahead, who)(nimg, draw, p)
            assert found.seed == expected.seed
            for one, other in zip(expected.tensors(), found.tensors(), strict=True):
                assert torch.equal(one, other)
    ahead.settle()


def test_what_fails_while_fetching_ahead_fails_where_it_is_asked_for(data: TrainingSet) -> None:
    class Torn(BatchSource):
        def discriminator_batch(self, nimg: int, draw: int, augment_p: float | None = None) -> Any:
            if nimg:
                raise MemoryError("no room")
            return super().discriminator_batch(nimg, draw, augment_p)

    ahead = Prefetcher(Torn(data, config_of(data, "dcgan"), CPU), batch_size=8, d_steps=1)
    ahead.discriminator_batch(0, 0)
    ahead.settle()
    with pytest.raises(MemoryError):
        ahead.discriminator_batch(8, 0)


# ---- half precision -------------------------------------------------------------------------------------------------


def test_an_overflow_skips_the_step_halves_the_scale_and_is_not_counted(data: TrainingSet) -> None:
    config, engine = config_of(data, "dcgan"), replace(PLAIN, precision="fp16")
    state = State.fresh(config, engine)
    iteration = Iteration(config, engine, state, BatchSource(data, config, CPU))
    assert state.scaler is not None
    set_scale(state, 2.0**40)  # so high that every gradient overflows
    before = [p.detach().clone() for p in state.discriminator.parameters()]
    iteration.run(0.0)
    assert all(torch.equal(a, b) for a, b in zip(before, state.discriminator.parameters(), strict=True))
    assert state.scaler.get_scale() < 2.0**40
    assert iteration.tally.is_finite()
    for _ in range(60):
        iteration.run(0.0)
    assert iteration.tally.means()["loss_d"] > 0
    assert not all(torch.equal(a, b) for a, b in zip(before, state.discriminator.parameters(), strict=True))


def test_losses_that_are_no_numbers_at_any_scale_are_not_hidden(data: TrainingSet) -> None:
    config, engine = config_of(data, "dcgan"), replace(PLAIN, precision="fp16")
    state = State.fresh(config, engine)
    iteration = Iteration(config, engine, state, BatchSource(data, config, CPU))
    with torch.no_grad():
        next(state.discriminator.parameters()).fill_(math.nan)
    for _ in range(40):
        iteration.run(0.0)
    assert not iteration.tally.is_finite()


def test_the_penalty_of_half_precision_is_that_of_whole(data: TrainingSet) -> None:
    config = config_of(data, "wgan-gp", g_lr=1e-9, d_lr=1e-9)  # the same networks throughout
    found = []
    for precision in ("fp32", "fp16"):
        state = State.fresh(config, replace(PLAIN, precision=precision))
        if state.scaler is not None:  # low enough for no step to overflow: such a one would not be counted
            state.scaler.load_state_dict(state.scaler.state_dict() | {"scale": 256.0})
        iteration = Iteration(config, replace(PLAIN, precision=precision), state, BatchSource(data, config, CPU))
        for _ in range(3):
            iteration.run(0.0)
        found.append(iteration.tally.means()["gp"])
    assert found[1] == pytest.approx(found[0], rel=0.02)


def test_the_scale_travels_in_the_checkpoint(data: TrainingSet, tmp_path: Path) -> None:
    config, engine = config_of(data, "dcgan"), replace(PLAIN, precision="fp16")
    state = State.fresh(config, engine)
    assert state.scaler is not None
    set_scale(state, 1024.0)
    write_checkpoint(tmp_path / "last.pt", state.content(config, engine, {}, {}))
    again = State.restored(read_checkpoint(tmp_path / "last.pt"), engine)
    assert again.scaler is not None
    assert again.scaler.get_scale() == 1024.0
    # an engine without it does not mind
    assert State.restored(read_checkpoint(tmp_path / "last.pt"), PLAIN).scaler is None


# ---- compiling ------------------------------------------------------------------------------------------------------


def test_what_cannot_be_compiled_is_refused_by_name(data: TrainingSet, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"--compile on: the loss of 'fastgan' changes its shape"):
        choose_engine(config_of(data, "fastgan", compile="on"), data, lambda text: None)
    with pytest.raises(ConfigError, match=r"--compile on: the low-pass filters of --augment ada"):
        choose_engine(config_of(data, "r3gan-s", augment="ada", compile="on"), data, lambda text: None)
    monkeypatch.setattr(engine_module.shutil, "which", lambda name: None)
    with pytest.raises(ConfigError, match=r"--compile on: there is no C\+\+ compiler .* Leave --compile out"):
        choose_engine(config_of(data, "dcgan", compile="on"), data, lambda text: None)


def test_a_compiler_that_fails_leaves_the_function_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(function: Any, **how: Any) -> Any:
        def call(*given: Any) -> Any:
            raise RuntimeError("no compiler")

        return call

    monkeypatch.setattr(torch, "compile", broken)

    def double(x: int) -> int:
        return 2 * x

    quick = compiled(double)
    assert [quick(2), quick(3)] == [4, 6]


@pytest.mark.parametrize("compile_", ["auto", "off"])
def test_images_on_a_processor_are_not_compiled_unasked(data: TrainingSet, compile_: str) -> None:
    engine = choose_engine(config_of(data, "dcgan", compile=compile_, precision="fp32"), data, lambda text: None)
    assert (engine.compile, engine.cuda_graph) == (False, False)


@pytest.mark.parametrize(("seconds", "batch_size"), [(12.0, 48), (100.0, 2)])
def test_a_quick_recipe_is_measured_on_its_whole_batch_and_a_slow_one_on_a_few_images(
    data: TrainingSet, monkeypatch: pytest.MonkeyPatch, seconds: float, batch_size: int
) -> None:
    monkeypatch.setattr(choosing, "_TRIAL_S", 60.0)
    config = config_of(data, "vanilla", batch_size=48)
    trial = choosing._trial(config, PLAIN, data, State.fresh(config, PLAIN), seconds)
    assert trial.batch_size == batch_size


@pytest.mark.parametrize(("fixed_s", "an_image_s", "batch_size"), [(1.4, 0.01, 48), (0.1, 0.1, 15), (1.4, 0.2, 8)])
def test_what_a_step_takes_for_any_batch_does_not_make_the_trial_small(
    data: TrainingSet, monkeypatch: pytest.MonkeyPatch, fixed_s: float, an_image_s: float, batch_size: int
) -> None:
    monkeypatch.setattr(choosing, "_step_s", lambda config, *_: fixed_s + an_image_s * config.batch_size)
    config = config_of(data, "vanilla", batch_size=48)
    trial = choosing._trial(config, PLAIN, data, State.fresh(config, PLAIN), 0.7)
    assert trial.batch_size == pytest.approx(batch_size, abs=1)


@pytest.mark.parametrize(
    ("fixed_s", "an_image_s", "rate"),
    [
        (6.0, 0.5, 48 / 30),  # the weights take their six seconds once, not with every second image
        (0.0, 2.0, 0.5),
        (20.0, 1.0, 2 / 22),  # where so few take so long, no more are tried
    ],
)
def test_the_rate_of_a_slow_recipe_is_that_of_its_whole_batch(
    data: TrainingSet, monkeypatch: pytest.MonkeyPatch, fixed_s: float, an_image_s: float, rate: float
) -> None:
    def seconds(config: TrainConfig, *_: object) -> float:
        return fixed_s + an_image_s * config.batch_size

    monkeypatch.setattr(choosing, "_first_step_s", seconds)
    config = config_of(data, "vanilla", batch_size=48)
    few = 2 / seconds(replace(config, batch_size=2))
    assert choosing._whole_rate(config, few, PLAIN, data, State.fresh(config, PLAIN)) == pytest.approx(rate)


@pytest.mark.parametrize(("few", "rate"), [(2, 7.0), (8, 5.0)])
def test_only_what_was_measured_on_a_few_images_is_converted_to_whole_batches(
    data: TrainingSet, monkeypatch: pytest.MonkeyPatch, few: int, rate: float
) -> None:
    monkeypatch.setattr(choosing, "_trial", lambda config, *_: replace(config, batch_size=few))
    monkeypatch.setattr(choosing, "_measured", lambda config, engine, *_: (5.0, engine))
    monkeypatch.setattr(choosing, "_whole_rate", lambda *_: 7.0)
    config = config_of(data, "vanilla", batch_size=48, precision="fp32", device="cpu")
    assert choose_engine(config, data, lambda text: None).images_per_s == rate


def test_a_clock_that_jumps_does_not_make_a_slow_recipe_endlessly_quick(
    data: TrainingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "_first_step_s", lambda *_: 0.1)
    config = config_of(data, "vanilla", batch_size=48)
    assert choosing._whole_rate(config, 1.0, PLAIN, data, State.fresh(config, PLAIN)) <= 10


@pytest.mark.parametrize("model", ["dcgan", "r3gan-s"])
def test_with_exact_flags_neither_the_clock_nor_free_memory_decides_about_arithmetic(
    data: TrainingSet, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    config = config_of(data, model, precision="fp32", compile="off")
    monkeypatch.setattr(choosing, "MEASURE_S", 0.02)
    found, num_threads = [], torch.get_num_threads()
    for trial_s, free_mb in ((60.0, 64_000.0), (1e-6, 1.0)):
        monkeypatch.setattr(choosing, "_TRIAL_S", trial_s)
        monkeypatch.setattr(memory_module, "available_mb", lambda device, free_mb=free_mb: free_mb)
        found.append(replace(choose_engine(config, data, lambda text: None), images_per_s=0.0, tick_kimg=1.0))
    assert found[0] == found[1]
    assert found[0].micro_batch == 0
    assert torch.get_num_threads() == num_threads


class Stuck(Iteration):
    """Never learns."""

    def _update(self, inputs: Any) -> Any:
        before = [t.clone() for t in learning(self.state)]
        found = super()._update(inputs)
        for tensor, old in zip(learning(self.state), before, strict=False):
            tensor.data.copy_(old)
        return found


class Failing(Iteration):
    def _update(self, inputs: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing\nand more")


@pytest.mark.parametrize(("kind", "reason"), [(Stuck, "its loss is"), (Failing, "it fails here (operation not perm")])
def test_an_engine_that_fails_or_computes_otherwise_on_this_machine_is_left_out(
    data: TrainingSet, monkeypatch: pytest.MonkeyPatch, kind: type[Iteration], reason: str
) -> None:
    def make(config: TrainConfig, engine: Engine, state: State, source: BatchSource) -> Iteration:
        return (kind if engine.cuda_graph else Iteration)(config, engine, state, source)

    monkeypatch.setattr(choosing, "MEASURE_S", 0.02)
    monkeypatch.setattr(choosing, "make_iteration", make)
    monkeypatch.setattr(choosing, "candidates", lambda config, device: [PLAIN, replace(PLAIN, cuda_graph=True)])
    said: list[str] = []
    engine = choose_engine(config_of(data, "dcgan", g_lr=0.01, d_lr=0.01), data, said.append)
    assert not engine.cuda_graph
    assert engine.images_per_s > 0
    assert any(line.startswith("left out") and reason in line for line in said)


def test_an_engine_that_computes_the_same_is_measured(data: TrainingSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "MEASURE_S", 0.02)
    monkeypatch.setattr(choosing, "make_iteration", Iteration)
    monkeypatch.setattr(choosing, "candidates", lambda config, device: [PLAIN, replace(PLAIN, cuda_graph=True)])
    said: list[str] = []
    choose_engine(config_of(data, "dcgan"), data, said.append)
    assert [line.split()[0] for line in said] == ["measured", "measured"]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_pictures_are_augmented_in_full_precision(data: TrainingSet, policy: str, precision: str) -> None:
    seen = []
    config = config_of(data, "dcgan", augment=policy)
    state = State.fresh(config, replace(PLAIN, precision=precision))
    state.discriminator.register_forward_pre_hook(lambda module, given: seen.append(given[0].detach().clone()))
    source = BatchSource(data, config, CPU)
    step = Step(config, replace(PLAIN, precision=precision), state.generator, state.discriminator)
    batch = source.discriminator_batch(0, 0, 0.9 if policy == "ada" else None)
    step.discriminator_gradients(batch)
    assert batch.augmentation is not None or policy == "none"
    expected = batch.reals if batch.augmentation is None else apply_augmentation(batch.reals, batch.augmentation)
    assert seen[0].dtype == torch.float32
    assert torch.equal(seen[0], expected)
    step.generator_gradients(batch)


@pytest.mark.parametrize("model", ["r3gan-s", "dcgan"])
def test_the_rate_is_that_of_the_middle_of_a_run(
    data: TrainingSet, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chances = []
    plain = BatchSource.discriminator_batch

    def spied(self: BatchSource, nimg: int, draw: int, p: float | None = None) -> Any:
        chances.append(p)
        return plain(self, nimg, draw, p)

    monkeypatch.setattr(BatchSource, "discriminator_batch", spied)
    monkeypatch.setattr(choosing, "MEASURE_S", 0.05)
    choose_engine(config_of(data, model, augment="ada", precision="fp32"), data, lambda text: None)
    assert chances[-1] == pytest.approx(0.3, abs=0.02)  # it moves a little with each of the steps measured
