"""Which engine runs the step on this machine: measured for a few seconds on copies, said in the plan, then frozen."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from gancli.config import Engine, TrainConfig
from gancli.data.batches import BatchSource
from gancli.data.dataset import TrainingSet
from gancli.errors import ConfigError
from gancli.models.devices import pick_device
from gancli.training.fused import can_fuse, make_iteration
from gancli.training.memory import available_mb, estimate_memory, has_batch_statistics, pick_micro_batch
from gancli.training.state import State

__all__ = ["choose_engine"]

MEASURE_S = 1.5
_TICK_S = 40.0
_SHORTEST_TICK_S = 8.0
_TICKS_PER_RUN = 20
_BF16_GAIN = 1.1  # worth its coarser arithmetic only when clearly faster
_WORTH_COMPILING_MIN = 1.0


def choose_engine(config: TrainConfig, data: TrainingSet, say: Callable[[str], None]) -> Engine:
    """The engine for `config` on this machine, with its measured images/s and the tick planned at 30 to 60 s.

    With `--precision fp32 --compile off` nothing that changes arithmetic is chosen by measurement. `say` hears what
    is being tried. Raises `ConfigError` when the device cannot do the asked precision.
    """
    device = pick_device(config.device)
    base = Engine(device=str(device), precision="fp32", compile=_compiles(config), channels_last=not config.is_points)
    base = _fitted(config, base, data, say)
    candidates = [replace(base, precision=p) for p in _precisions(config, device)]
    rates: dict[str, float] = {}
    micro_batches: list[int] = []
    for engine in candidates:
        rates[engine.precision], micro_batch = _rate(config, engine, data)
        micro_batches.append(micro_batch)
        if len(candidates) > 1:
            say(f"measured {engine.precision}: {rates[engine.precision]:,.0f} images/s")
    chosen = candidates[0]
    for engine in candidates[1:]:
        if rates[engine.precision] > _BF16_GAIN * rates[chosen.precision]:
            chosen = engine
    rate = rates[chosen.precision]
    chosen = _with_memory(chosen, micro_batches)
    return replace(chosen, images_per_s=round(rate, 1), tick_kimg=_tick_kimg(config, rate))


def _precisions(config: TrainConfig, device: torch.device) -> list[str]:
    if config.precision != "auto":
        if config.precision == "fp16" and device.type == "cpu":
            raise ConfigError("--precision fp16 needs a GPU; on this processor choose auto, fp32 or bf16.")
        if config.precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
            raise ConfigError("--precision bf16: this card has no bf16. Choose auto, fp32 or fp16.")
        return [config.precision]
    if config.is_points or config.networks == "mlp":
        return ["fp32"]  # perceptrons gain nothing from short numbers
    if device.type == "cpu":
        return ["fp32", "bf16"] if _has_fast_bf16() else ["fp32"]
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return ["bf16"]
    return ["fp32"]


def _compiles(config: TrainConfig) -> bool:
    """Only the toy step, which is one graph: three times as fast, after some ten seconds of compiling."""
    if config.compile != "auto" or not can_fuse(config):
        return config.compile == "on" and can_fuse(config)
    long = min(config.minutes or 60.0, (config.kimg or 1e9) / 5000) >= _WORTH_COMPILING_MIN
    return long and shutil.which("c++") is not None


def _has_fast_bf16() -> bool:
    """Does the processor multiply bf16 natively (AMX, AVX512-BF16)? Elsewhere it is emulated, and slow."""
    capability = torch.backends.cpu.get_cpu_capability()
    if not capability.startswith("AVX512"):
        return False
    is_amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    is_bf16 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return bool(is_amx() or is_bf16())


def _rate(config: TrainConfig, engine: Engine, data: TrainingSet) -> tuple[float, int]:
    """Images per second of real iterations on a copy of the untrained state, and the micro-batch that they needed.

    One iteration to warm up is not counted.
    """
    state = State.fresh(config, engine)
    iteration = make_iteration(config, engine, state, BatchSource(data, config, torch.device(engine.device)))
    iteration.run(0.0)
    _wait(engine)
    began, first = time.perf_counter(), state.nimg
    while time.perf_counter() - began < MEASURE_S:
        iteration.run(0.0)
        _wait(engine)
    return (state.nimg - first) / (time.perf_counter() - began), iteration.micro_batch


def _fitted(config: TrainConfig, engine: Engine, data: TrainingSet, say: Callable[[str], None]) -> Engine:
    """`engine` with what a step is estimated to take, and with micro-batches where the whole batch would not fit.

    None are chosen where bit-exactness is asked for, nor for networks that look at the whole batch.
    """
    if config.is_points:
        return engine
    state = State.fresh(config, engine)
    source = BatchSource(data, config, torch.device(engine.device))
    estimate = estimate_memory(config, engine, state, source)
    is_exact = (engine.device, config.precision, config.compile) == ("cpu", "fp32", "off")
    size = 0
    if not is_exact and not has_batch_statistics(state.generator, state.discriminator):
        size = pick_micro_batch(config.batch_size, estimate, available_mb(engine.device))
    if size:
        say(
            f"the batch of {config.batch_size} takes {estimate.peak_mb(config.batch_size):,.0f} MB: in pieces of {size}"
        )
    return replace(engine, micro_batch=size, peak_mb=round(estimate.peak_mb(size or config.batch_size), 1))


def _with_memory(engine: Engine, micro_batches: list[int]) -> Engine:
    """After the trial: the allocator's peak where there is one, and the smallest pieces that were needed."""
    pieces = [size for size in micro_batches if size]
    engine = replace(engine, micro_batch=min(pieces, default=0))
    if engine.device.startswith("cuda"):
        engine = replace(engine, peak_mb=round(torch.cuda.max_memory_allocated(engine.device) / 1e6, 1))
    return engine


def _wait(engine: Engine) -> None:
    if engine.device.startswith("cuda"):
        torch.cuda.synchronize()


def _tick_kimg(config: TrainConfig, rate: float) -> float:
    if config.tick_kimg is not None:
        return config.tick_kimg
    planned_s = min(
        config.minutes * 60 if config.minutes else float("inf"),
        config.kimg * 1000 / rate if config.kimg else float("inf"),
        config.epochs * config.num_images / rate if config.epochs else float("inf"),
    )
    seconds = min(max(planned_s / _TICKS_PER_RUN, _SHORTEST_TICK_S), _TICK_S)
    return max(rate * seconds / 1000, config.batch_size / 1000)
