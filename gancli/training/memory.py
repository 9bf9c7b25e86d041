"""How much memory a batch takes, and the micro-batch that fits: what autograd keeps for two images, times the batch.

An estimate where there is no allocator to ask: saved tensors plus state; buffers of single layers come on top.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gancli.config import Engine, TrainConfig
from gancli.data.batches import BatchSource
from gancli.models.layers import MinibatchDeviation
from gancli.training.state import State
from gancli.training.step import Step

__all__ = [
    "MemoryEstimate",
    "available_mb",
    "budget_mb",
    "estimate_memory",
    "has_batch_statistics",
    "is_out_of_memory",
    "pick_micro_batch",
]

_SHARE = 0.8  # of what is free, for what the estimate does not see
_CARD_SHARE = 0.5  # of a card: its desktop and the allocator's waste want the rest
_PROCESSOR_MB = 1000.0  # of images at a time: more of them make a processor slower, by fresh memory for every layer
_SAMPLE = 2
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "failed to allocate")


@dataclass(frozen=True, kw_only=True)
class MemoryEstimate:
    """Megabytes: of weights, averages, gradients and optimizers, and of one image's way through a step at its peak."""

    state_mb: float
    per_image_mb: float
    num_images: int = _SAMPLE  # that were looked at

    def peak_mb(self, batch_size: int) -> float:
        """Of a step with `batch_size` images at a time."""
        return self.state_mb + self.per_image_mb * batch_size


def estimate_memory(config: TrainConfig, engine: Engine, state: State, source: BatchSource) -> MemoryEstimate:
    """Runs both updates on two images, without taking a step, and counts what is kept for the way back."""
    step = Step(config, engine, state.generator, state.discriminator)
    batch = source.discriminator_batch(0, 0).part(0, _SAMPLE)
    known = {t.data_ptr() for net in (state.generator, state.discriminator) for t in net.state_dict().values()}
    kept = max(
        _kept_mb(lambda: step.discriminator_gradients(batch), known),
        _kept_mb(lambda: step.generator_gradients(batch), known),
    )
    # the fakes' graph waits through the discriminator's update where it serves both
    if config.objective != "relativistic":
        kept += _kept_mb(lambda: step.make(batch), known)
    for optimizer in (state.optimizer_g, state.optimizer_d):
        optimizer.zero_grad(set_to_none=True)
    # Adam keeps two moments, the gradient is a fourth copy, and the generator's average a fifth
    weights = [
        sum(p.numel() * p.element_size() for p in net.parameters()) for net in (state.generator, state.discriminator)
    ]
    return MemoryEstimate(state_mb=(5 * weights[0] + 4 * weights[1]) / 1e6, per_image_mb=kept / len(batch))


def pick_micro_batch(batch_size: int, estimate: MemoryEstimate, budget_mb: float) -> int:
    """The largest halving of `batch_size` that takes no more than `budget_mb`; 0 when the whole batch does."""
    size = batch_size
    while size > 1 and estimate.peak_mb(size) > budget_mb:
        size = (size + 1) // 2
    return 0 if size >= batch_size else size


def budget_mb(device: str, state_mb: float = 0.0, *, counts_free: bool = True) -> float:
    """What a step may take: most of what is free there, at most half a card; on a processor 1 GB beside its state."""
    most = state_mb + _PROCESSOR_MB
    if device.startswith("cuda"):
        most = _CARD_SHARE * torch.cuda.get_device_properties(device).total_memory / 1e6
    free = available_mb(device) if counts_free else 0.0
    return min(most, _SHARE * free) if free > 0 else most


def available_mb(device: str) -> float:
    """What is free for us: on the card, or in memory within the limits set for this process; 0 where unknown."""
    if device.startswith("cuda"):
        free, _ = torch.cuda.mem_get_info(device)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return (free + cached) / 1e6
    found = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) / 1e3)
    with contextlib.suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        found.append(max(0, limit - used) / 1e6)
    return min(found, default=0.0)


def has_batch_statistics(*networks: nn.Module) -> bool:
    """Does any layer look at the whole batch? Then pieces of it are not the same arithmetic."""
    return any(
        isinstance(part, nn.modules.batchnorm._BatchNorm | MinibatchDeviation)
        for network in networks
        for part in network.modules()
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Is `error` an allocator's refusal, of whichever device?"""
    text = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in text for words in _OUT_OF_MEMORY)
    )


def _kept_mb(compute: Callable[[], Any], known: set[int]) -> float:
    seen: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            seen[storage.data_ptr()] = max(seen.get(storage.data_ptr(), 0), storage.nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = compute()
    del result
    return sum(seen.values()) / 1e6
