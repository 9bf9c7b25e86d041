"""Which engine is the fastest here: measured for a few seconds on copies, said in the plan, then frozen."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import torch

from gancli.config import Engine, TrainConfig
from gancli.data.ada import AdaController
from gancli.data.batches import BatchSource
from gancli.data.dataset import TrainingSet
from gancli.models.devices import pick_device
from gancli.text import clean
from gancli.training.engine import candidates, make_iteration, tune
from gancli.training.iteration import Tally
from gancli.training.memory import budget_mb, estimate_memory, has_batch_statistics, pick_micro_batch
from gancli.training.state import State

__all__ = ["choose_engine", "plan_tick_kimg"]

MEASURE_S = 1.5
_TRIAL_S = 1.5  # about what one iteration of the trial may take on a processor
_FEW = 2  # images are enough to measure a slow recipe, with as many more where those take no longer than this
_FEW_S = 8.0
_LEAST_SHARE = 0.1  # of what one of the few images took: what one more takes at least, whatever the clock says
_COMPARED = 8  # iterations that an engine must do as the plain one does
_TOLERANCE = 0.1
_MIDDLE = 0.5  # of a run: at its beginning nothing is augmented yet and new layers do not count
_ADA_P = 0.3
_GAIN = 1.1  # worth another arithmetic or a compiler only when clearly faster
_TICK_S = 40.0
_SHORTEST_TICK_S = 8.0
_TICKS_PER_RUN = 20
# A tick takes as long as the training of about a hundred images (tests/benchmarks/bench_ticks.py): so many between two
# keep its cost below 5 %. A short run has its ticks nevertheless.
_SPACED_IMAGES = 3000
_FEWEST_TICKS = 12


def choose_engine(config: TrainConfig, data: TrainingSet, say: Callable[[str], None]) -> Engine:
    """The engine for `config` on this machine, with its measured images/s and its planned tick.

    One that records or compiles its steps, and fails here or computes other losses than the plain one, is left out.
    With `--precision fp32 --compile off` nothing that changes arithmetic is chosen by measurement. `say` hears what is
    being tried. Raises `ConfigError` when the device cannot do the asked precision, or nothing can be compiled.
    """
    engines = candidates(config, pick_device(config.device))
    state = _typical(config, engines[0])
    engines, seconds = _fitted(config, engines, data, state, say)
    trial = _trial(config, engines[0], data, state, seconds)
    # a recipe too slow for a second is timed from its first step on, unless several engines are compared
    warms_up = len(engines) > 1 or trial.batch_size == config.batch_size
    chosen, rate = engines[0], 0.0
    for number, engine in enumerate(engines):
        plain = next(other for other in engines if other.precision == engine.precision)
        is_other = (engine.cuda_graph, engine.compile) != (plain.cuda_graph, plain.compile)
        if is_other and (fault := _fault(trial, engine, plain, data)) is not None:
            say(f"left out {_name(engine)}: {fault}")
            continue
        own = _typical(config, engine) if number else state
        found, engine = _measured(trial, engine, data, own, say, warms_up)
        if not warms_up and trial.batch_size == _FEW:
            found = _whole_rate(config, found, engine, data, own)
        if len(engines) > 1:
            say(f"measured {_name(engine)}: {found:,.0f} images/s")
        if found > _GAIN * rate:
            chosen, rate = engine, found
    return replace(chosen, images_per_s=round(rate, 1), tick_kimg=plan_tick_kimg(config, rate))


def _typical(config: TrainConfig, engine: Engine) -> State:
    """Untrained networks, with adaptive augmentation under way: it takes its time as well."""
    state = State.fresh(config, engine)
    if config.augment == "ada":
        state.augment = AdaController(p=_ADA_P).state_dict()
    return state


def _fault(config: TrainConfig, engine: Engine, plain: Engine, data: TrainingSet) -> str | None:
    """Why `engine` is not to be trusted on this machine: it fails, or its first losses are not those of `plain`."""
    try:
        pairs = zip(_first_losses(config, engine, data), _first_losses(config, plain, data), strict=True)
    except RuntimeError as error:
        lines = str(error).splitlines() or [type(error).__name__]
        return f"it fails here ({clean(lines[0], 120)})"
    for found, wanted in pairs:
        if not abs(found - wanted) <= _TOLERANCE * (1 + abs(wanted)):
            return f"its loss is {found:.3g} where the plain step's is {wanted:.3g}"
    return None


def _first_losses(config: TrainConfig, engine: Engine, data: TrainingSet) -> list[float]:
    """Both losses of the first iterations on a fresh state, some of them after the engine has warmed up."""
    tune(config, engine)
    state = State.fresh(config, engine)
    iteration = make_iteration(config, engine, state, BatchSource(data, config, torch.device(engine.device)))
    losses = []
    for _ in range(_COMPARED):
        iteration.run(0.0)
        means = iteration.tally.means()
        losses += [means["loss_d"], means["loss_g"]]
        iteration.tally = Tally()
    return losses


def _measured(
    config: TrainConfig, engine: Engine, data: TrainingSet, state: State, say: Callable[[str], None], warms_up: bool
) -> tuple[float, Engine]:
    """Images per second of real iterations on `state`, which is thrown away; `engine` with what they showed."""
    tune(config, engine)
    is_cuda = engine.device.startswith("cuda")
    if is_cuda:
        torch.cuda.reset_peak_memory_stats(engine.device)
    iteration = make_iteration(config, engine, state, BatchSource(data, config, torch.device(engine.device)))
    for _ in range(iteration.warm_up if warms_up else 0):
        iteration.run(_MIDDLE)
    _wait(engine)
    began, first = time.perf_counter(), state.nimg
    while time.perf_counter() - began < MEASURE_S:
        iteration.run(_MIDDLE)
        _wait(engine)
    rate = (state.nimg - first) / (time.perf_counter() - began)
    for note in iteration.notes:
        say(note)
    engine = replace(engine, micro_batch=iteration.micro_batch)
    if is_cuda:
        engine = replace(engine, peak_mb=round(torch.cuda.max_memory_allocated(engine.device) / 1e6, 1))
    return rate, engine


def _fitted(
    config: TrainConfig, engines: list[Engine], data: TrainingSet, state: State, say: Callable[[str], None]
) -> tuple[list[Engine], float]:
    """`engines` with micro-batches where a step would take too much, and about the seconds that an image takes.

    Networks that look at the whole batch are never cut. Where bit-exactness is asked for, only the recipe's own budget
    counts, not what happens to be free.
    """
    if config.is_points:
        return engines, 0.0
    first = engines[0]
    source = BatchSource(data, config, torch.device(first.device))
    began = time.perf_counter()
    estimate = estimate_memory(config, first, state, source)
    seconds = (time.perf_counter() - began) * config.d_steps / estimate.num_images
    is_exact = (first.device, config.precision, config.compile) == ("cpu", "fp32", "off")
    size = 0
    if not has_batch_statistics(state.generator, state.discriminator):
        budget = budget_mb(first.device, estimate.state_mb, counts_free=not is_exact)
        size = pick_micro_batch(config.batch_size, estimate, budget)
    if size:
        say(f"a batch of {config.batch_size} takes {estimate.peak_mb(config.batch_size):,.0f} MB: in pieces of {size}")
    peak_mb = round(estimate.peak_mb(size or config.batch_size), 1)
    return [replace(engine, micro_batch=size, peak_mb=peak_mb) for engine in engines], seconds


def _trial(config: TrainConfig, engine: Engine, data: TrainingSet, state: State, seconds: float) -> TrainConfig:
    """`config` with as many images a batch as a processor takes `_TRIAL_S` for, where one takes about `seconds`.

    Part of a step is the same for any batch (Adam, on many parameters): two batches tell what an image adds to it.
    """
    if config.is_points or engine.device != "cpu" or engine.compile:
        return config
    if _FEW * seconds > _TRIAL_S:
        return replace(config, batch_size=min(config.batch_size, _FEW))
    more = min(config.batch_size, max(4 * _FEW, int(_TRIAL_S / seconds)))
    if more < config.batch_size:
        few_s, more_s = (_step_s(replace(config, batch_size=n), engine, data, state) for n in (_FEW, more))
        an_image_s = max((more_s - few_s) / (more - _FEW), 1e-9)
        more = min(config.batch_size, max(more, int(_TRIAL_S / an_image_s)))
    return replace(config, batch_size=more)


def _step_s(config: TrainConfig, engine: Engine, data: TrainingSet, state: State) -> float:
    """Seconds of one iteration, after one that makes the state of the optimizers."""
    _first_step_s(config, engine, data, state)
    return _first_step_s(config, engine, data, state)


def _first_step_s(config: TrainConfig, engine: Engine, data: TrainingSet, state: State) -> float:
    """Seconds of one iteration on `state`."""
    iteration = make_iteration(config, engine, state, BatchSource(data, config, torch.device(engine.device)))
    began = time.perf_counter()
    iteration.run(_MIDDLE)
    return time.perf_counter() - began


def _whole_rate(config: TrainConfig, rate: float, engine: Engine, data: TrainingSet, state: State) -> float:
    """Images per second of whole batches, where `_FEW` images made `rate`: what many weights take, they take once."""
    few_s = _FEW * config.d_steps / rate
    if few_s > _FEW_S:
        return rate
    more = min(config.batch_size, 2 * _FEW)
    more_s = _first_step_s(replace(config, batch_size=more), engine, data, state)
    an_image_s = max((more_s - few_s) / (more - _FEW), _LEAST_SHARE * few_s / _FEW)
    return config.batch_size * config.d_steps / (few_s + an_image_s * (config.batch_size - _FEW))


def _name(engine: Engine) -> str:
    parts = [engine.precision, "compiled" if engine.compile else "", "as a CUDA graph" if engine.cuda_graph else ""]
    return " ".join(part for part in parts if part)


def _wait(engine: Engine) -> None:
    if engine.device.startswith("cuda"):
        torch.cuda.synchronize()


def plan_tick_kimg(config: TrainConfig, rate: float) -> float:
    """Kimg between two ticks of a run that trains `rate` images a second, where none were asked for."""
    if config.tick_kimg is not None:
        return config.tick_kimg
    planned_s = min(
        config.minutes * 60 if config.minutes else float("inf"),
        config.kimg * 1000 / rate if config.kimg else float("inf"),
        config.epochs * config.num_images / rate if config.epochs else float("inf"),
    )
    seconds = min(max(planned_s / _TICKS_PER_RUN, _SHORTEST_TICK_S), _TICK_S)
    spaced = min(_SPACED_IMAGES / rate, planned_s / _FEWEST_TICKS)
    return max(rate * max(seconds, spaced) / 1000, config.batch_size / 1000)
