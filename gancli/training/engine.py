"""Which engine runs the step on this machine: measured for a few seconds on copies, said in the plan, then frozen."""

from __future__ import annotations

import importlib.util
import shutil
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from gancli.config import Engine, TrainConfig
from gancli.data.batches import BatchSource
from gancli.data.dataset import TrainingSet
from gancli.data.prefetch import Prefetcher
from gancli.errors import ConfigError
from gancli.models.devices import pick_device
from gancli.training.fused import FusedToy, can_fuse
from gancli.training.graphs import GraphedIteration, why_not_graphed
from gancli.training.iteration import Iteration
from gancli.training.memory import budget_mb, estimate_memory, has_batch_statistics, pick_micro_batch
from gancli.training.ranks import ALONE, Ranks
from gancli.training.state import State

__all__ = ["check_precision", "choose_engine", "make_iteration", "plan_tick_kimg", "tune"]

MEASURE_S = 1.5
_TRIAL_S = 1.5  # about what one iteration of the trial may take on a processor
_FEW, _GROWTH = 2, 4  # images are enough to measure a slow recipe; of a quick one so many times more are tried
_TICK_S = 40.0
_SHORTEST_TICK_S = 8.0
_TICKS_PER_RUN = 20
# A tick takes as long as the training of about a hundred images (tests/benchmarks/bench_ticks.py): so many between two
# keep its cost below 5 %. A short run has its ticks nevertheless.
_SPACED_IMAGES = 3000
_FEWEST_TICKS = 12
_GAIN = 1.1  # worth another arithmetic or a compiler only when clearly faster
_WORTH_COMPILING_MIN = {"toy": 1.0, "images": 30.0}
_HALF_SAFE = ("dcgan", "sngan", "fastgan", "mlp")  # networks whose gradients hold in fp16; penalties ask for more


def choose_engine(config: TrainConfig, data: TrainingSet, say: Callable[[str], None]) -> Engine:
    """The engine for `config` on this machine, with its measured images/s and its planned tick.

    With `--precision fp32 --compile off` nothing that changes arithmetic is chosen by measurement. `say` hears what
    is being tried. Raises `ConfigError` when the device cannot do the asked precision, or nothing can be compiled.
    """
    candidates = _candidates(config, pick_device(config.device))
    state = State.fresh(config, candidates[0])
    candidates, seconds = _fitted(config, candidates, data, state, say)
    trial = _trial(config, candidates[0], data, state, seconds)
    # a recipe too slow for a second is timed from its first step on, unless several engines are compared
    warms_up = len(candidates) > 1 or trial.batch_size == config.batch_size
    chosen, rate = candidates[0], 0.0
    for number, engine in enumerate(candidates):
        own = State.fresh(config, engine) if number else state
        found, engine = _measured(trial, engine, data, own, say, warms_up)
        if len(candidates) > 1:
            say(f"measured {_name(engine)}: {found:,.0f} images/s")
        if found > _GAIN * rate:
            chosen, rate = engine, found
    return replace(chosen, images_per_s=round(rate, 1), tick_kimg=plan_tick_kimg(config, rate))


def check_precision(precision: str, device: torch.device) -> None:
    """Raises `ConfigError` when `device` does not compute in `precision`."""
    if precision == "fp16" and device.type == "cpu":
        raise ConfigError("--precision fp16 needs a GPU; on this processor choose auto, fp32 or bf16.")
    if precision == "bf16" and device.type == "cuda" and not _has_bf16():
        raise ConfigError("--precision bf16: this card has no bf16. Choose auto, fp32 or fp16.")
    if precision == "bf16" and device.type == "mps":
        raise ConfigError("--precision bf16 is not tried on Apple GPUs. Choose auto or fp32.")


def make_iteration(
    config: TrainConfig, engine: Engine, state: State, source: BatchSource, ranks: Ranks = ALONE
) -> Iteration | FusedToy:
    """What runs the steps of `config`: the plain iteration, the recorded one, or for a toy the one written by hand."""
    if can_fuse(config) and ranks.world == 1:
        return FusedToy(config, engine, state, source)
    fetched: BatchSource | Prefetcher = source
    if source.device.type == "cuda":
        fetched = Prefetcher(source, batch_size=config.batch_size, d_steps=config.d_steps)
    if engine.cuda_graph and why_not_graphed(config, engine.precision, ranks.world) is None:
        return GraphedIteration(config, engine, state, fetched, ranks)
    return Iteration(config, engine, state, fetched, ranks)


def tune(config: TrainConfig, engine: Engine) -> None:
    """The switches of this process: cuDNN tries its kernels once for each shape; TF32 unless fp32 was asked for."""
    if not engine.device.startswith("cuda"):
        return
    torch.backends.cudnn.benchmark = True
    kind = "ieee" if config.precision == "fp32" else "tf32"
    torch.backends.cuda.matmul.fp32_precision = kind
    torch.backends.cudnn.conv.fp32_precision = kind  # type: ignore[attr-defined]


# ---- candidates -----------------------------------------------------------------------------------------------------


def _candidates(config: TrainConfig, device: torch.device) -> list[Engine]:
    """What is worth trying, the plainest first."""
    engines = [
        Engine(device=str(device), precision=precision, channels_last=not config.is_points)
        for precision in _precisions(config, device)
    ]
    if can_fuse(config):
        return [replace(engine, compile=_compiles_toy(config)) for engine in engines]
    if config.compile == "on":
        _need_compiler(config, device)
        engines = [replace(engine, compile=True) for engine in engines]
    if device.type != "cuda" or config.compile == "off":
        return engines
    graphed = [replace(e, cuda_graph=True) for e in engines if why_not_graphed(config, e.precision, 1) is None]
    if config.compile == "auto" and _is_long(config, "images") and _why_not_compiled(config, device) is None:
        graphed += [replace(engine, compile=True) for engine in graphed or engines]
    return engines + graphed


def _precisions(config: TrainConfig, device: torch.device) -> list[str]:
    if config.precision != "auto":
        check_precision(config.precision, device)
        return [config.precision]
    if config.is_points or config.networks == "mlp":
        return ["fp32"]  # perceptrons gain nothing from short numbers
    if device.type == "cpu":
        return ["fp32", "bf16"] if _has_fast_bf16() else ["fp32"]
    if device.type == "cuda" and _has_bf16():
        return ["bf16"]
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0) and config.networks in _HALF_SAFE:
        return ["fp32", "fp16"]
    return ["fp32"]


def _has_bf16() -> bool:
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def _has_fast_bf16() -> bool:
    """Does the processor multiply bf16 natively (AMX, AVX512-BF16)? Elsewhere it is emulated, and slow."""
    capability = torch.backends.cpu.get_cpu_capability()
    if not capability.startswith("AVX512"):
        return False
    is_amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    is_bf16 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return bool(is_amx() or is_bf16())


def _compiles_toy(config: TrainConfig) -> bool:
    """The toy step is one graph: three times as fast, after some ten seconds of compiling."""
    if config.compile != "auto":
        return config.compile == "on"
    return _is_long(config, "toy") and shutil.which("c++") is not None


def _is_long(config: TrainConfig, kind: str) -> bool:
    """Will the run take long enough for a compiler, at the rate that such runs are known to have at least?"""
    rate = {"toy": 80_000, "images": 5_000}[kind]
    minutes = min(config.minutes or 60.0, (config.kimg or 1e9) * 1000 / rate / 60)
    return minutes >= _WORTH_COMPILING_MIN[kind]


def _why_not_compiled(config: TrainConfig, device: torch.device) -> str | None:
    if config.networks == "fastgan" or config.grown:
        return f"the loss of '{config.recipe}' changes its shape from step to step"
    if config.augment == "ada":
        return (
            "the low-pass filters of --augment ada would be compiled entry by entry, which takes longer than it saves"
        )
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        return "there is no triton, with which torch compiles for this GPU"
    if device.type == "cpu" and shutil.which("c++") is None and shutil.which("g++") is None:
        return "there is no C++ compiler (c++ or g++) on this machine"
    penalty = config.r1_gamma or config.r2_gamma or config.gp_weight
    if penalty and not hasattr(torch._dynamo.config, "trace_autograd_ops"):
        return f"torch {torch.__version__} cannot compile a gradient penalty; a newer one can"
    return None


def _need_compiler(config: TrainConfig, device: torch.device) -> None:
    reason = _why_not_compiled(config, device)
    if reason is not None:
        raise ConfigError(f"--compile on: {reason}. Leave --compile out.")


# ---- measuring ------------------------------------------------------------------------------------------------------


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
        iteration.run(0.0)
    _wait(engine)
    began, first = time.perf_counter(), state.nimg
    while time.perf_counter() - began < MEASURE_S:
        iteration.run(0.0)
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
        size = pick_micro_batch(config.batch_size, estimate, budget_mb(first.device, counts_free=not is_exact))
    if size:
        say(f"a batch of {config.batch_size} takes {estimate.peak_mb(config.batch_size):,.0f} MB: in pieces of {size}")
    peak_mb = round(estimate.peak_mb(size or config.batch_size), 1)
    return [replace(engine, micro_batch=size, peak_mb=peak_mb) for engine in engines], seconds


def _trial(config: TrainConfig, engine: Engine, data: TrainingSet, state: State, seconds: float) -> TrainConfig:
    """`config` with as many images a batch as a processor takes `_TRIAL_S` for, where one takes about `seconds`.

    Part of a step is the same for any batch (Adam, on many parameters): while a step stays short, the batch grows.
    """
    if config.is_points or engine.device != "cpu" or engine.compile:
        return config
    few = min(config.batch_size, max(_FEW, _FEW * int(_TRIAL_S / seconds / _FEW)))
    trial = replace(config, batch_size=few)
    if few * seconds > _TRIAL_S:
        return trial
    while few < config.batch_size:
        trial = replace(config, batch_size=few)
        iteration = make_iteration(trial, engine, state, BatchSource(data, trial, torch.device("cpu")))
        taken = 0.0
        for _ in range(2):  # the first makes the state of the optimizers
            began = time.perf_counter()
            iteration.run(0.0)
            taken = time.perf_counter() - began
            if taken > _TRIAL_S:
                break
        if taken * _GROWTH > _TRIAL_S:
            return trial
        few = min(config.batch_size, few * _GROWTH)
    return config


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
