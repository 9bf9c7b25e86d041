"""The engines: which can run the steps of a config on this machine, and what runs them."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import replace

import torch

from gancli.config import Engine, TrainConfig
from gancli.data.batches import BatchSource
from gancli.data.prefetch import Prefetcher
from gancli.errors import ConfigError
from gancli.training.fused import FusedToy, can_fuse
from gancli.training.graphs import GraphedIteration, why_not_graphed
from gancli.training.iteration import Iteration
from gancli.training.ranks import ALONE, Ranks
from gancli.training.state import State

__all__ = ["candidates", "check_precision", "make_iteration", "tune"]

_WORTH_COMPILING_MIN = {"toy": 1.0, "images": 30.0}
_HALF_SAFE = ("dcgan", "sngan", "fastgan", "mlp")  # networks whose gradients hold in fp16; penalties ask for more


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


def candidates(config: TrainConfig, device: torch.device) -> list[Engine]:
    """What is worth trying on `device`, the plainest first. Raises `ConfigError` when it cannot do what is asked."""
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
    if config.networks == "fastgan":
        return f"the loss of '{config.recipe}' changes its shape from step to step"
    if config.grown:
        return "new layers fade in, so every step is another"
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
