"""Several processes that train one run, started by torchrun: gradients are summed, rank 0 decides and writes.

No wrapper around the networks: one flat vector for all gradients of an update is summed over the processes, so every
engine, penalty and number of forward passes works, and all processes take the same step.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gancli.errors import TrainingError, UsageError
from gancli.training.state import State

__all__ = ["ALONE", "Ranks", "joined_ranks"]

_PATIENCE = datetime.timedelta(minutes=30)  # rank 0 measures, draws and writes while the others wait


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """This process among all that train the run."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Does this process write and speak?"""
        return self.rank == 0

    def rows(self, num: int) -> slice:
        """This process's share of a global batch of `num`."""
        return slice(num * self.rank // self.world, num * (self.rank + 1) // self.world)

    def sum_gradients(self, module: nn.Module) -> None:
        """Every process's gradient becomes the sum of all; each has weighed its own by its share of the batch."""
        if self.world == 1:
            return
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])
        self.sum(flat)
        parts = torch.split(flat, [g.numel() for g in gradients])
        torch._foreach_copy_(gradients, [part.view_as(g) for part, g in zip(parts, gradients, strict=True)])

    def sum(self, tensor: Tensor) -> Tensor:
        """`tensor` summed in place over all processes."""
        if self.world > 1:
            with _together(self):
                torch.distributed.all_reduce(tensor)
        return tensor

    def any(self, flag: bool) -> bool:
        """Is `flag` true in any process?"""
        return bool(self.sum(torch.tensor([float(flag)])).item()) if self.world > 1 else flag

    def told(self, value: Any) -> Any:
        """What rank 0 gives as `value`, in every process: plain numbers, texts and tensors on the CPU."""
        if self.world == 1:
            return value
        held = [value]
        with _together(self):
            torch.distributed.broadcast_object_list(held, src=0)
        return held[0]

    def share_state(self, state: State) -> None:
        """The state of rank 0, position and optimizers included, in every process."""
        if self.world == 1:
            return
        names = ("generator", "generator_ema", "discriminator", "optimizer_g", "optimizer_d")
        content = None
        if self.is_first:
            content = {name: _on_cpu(getattr(state, name).state_dict()) for name in names}
            content |= {"nimg": state.nimg, "draw": state.draw, "augment": _on_cpu(state.augment)}
        content = self.told(content)
        if not self.is_first:
            for name in names:
                getattr(state, name).load_state_dict(content[name])
            state.nimg, state.draw, state.augment = content["nimg"], content["draw"], content["augment"]

    def average_buffers(self, *modules: nn.Module) -> None:
        """Running statistics, which each process has of its own share, become their mean."""
        for module in modules:
            for buffer in module.buffers():
                if self.world > 1 and buffer.is_floating_point():
                    self.sum(buffer.div_(self.world))

    def check_identical(self, *modules: nn.Module) -> None:
        """Raises `TrainingError` unless every process holds the same weights, to the bit."""
        if self.world == 1:
            return
        norms = torch.stack([p.detach().double().sum().cpu() for m in modules for p in m.parameters()])
        squares = torch.stack([p.detach().double().square().sum().cpu() for m in modules for p in m.parameters()])
        own = torch.cat([norms, squares])
        first = own.clone()
        with _together(self):
            torch.distributed.broadcast(first, src=0)
        if self.any(not torch.equal(own, first)):
            raise TrainingError(
                f"The networks of the {self.world} processes have come apart, so the run was stopped. What was saved "
                "is whole: the same command continues. Are all processes on the same versions and kind of device?"
            )


ALONE = Ranks()


@contextlib.contextmanager
def joined_ranks(device: str) -> Iterator[Ranks]:
    """The processes that torchrun started, joined for as long as the context lasts; `ALONE` without torchrun.

    Raises `UsageError` when its variables make no sense, `TrainingError` when the others cannot be reached.
    """
    world = _variable("WORLD_SIZE", 1)
    if world < 2 or torch.distributed.is_initialized():
        yield ALONE
        return
    ranks = Ranks(rank=_variable("RANK", 0), world=world, local_rank=_variable("LOCAL_RANK", 0))
    uses_cuda = device in ("auto", "cuda") and torch.cuda.is_available()
    if uses_cuda:
        torch.cuda.set_device(ranks.local_rank)
    try:
        torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if uses_cuda else "gloo", timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"The {world} processes could not find each other ({str(error).splitlines()[0][:120]}). "
            "Start all of them with torchrun, as in: torchrun --nproc-per-node 2 -m gancli train …"
        ) from error
    try:
        yield ranks
    finally:
        torch.distributed.destroy_process_group()


def _variable(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdigit():
        raise UsageError(f"{name}={text[:20]} is not a number; torchrun sets it.")
    return int(text)


@contextlib.contextmanager
def _together(ranks: Ranks) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise TrainingError(
            f"Another of the {ranks.world} processes has ended, so this one (rank {ranks.rank}) cannot go on. What was "
            "saved is whole: the same command continues, with any number of processes."
        ) from error


def _on_cpu(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, dict):
        return {k: _on_cpu(v) for k, v in value.items()}
    return [_on_cpu(v) for v in value] if isinstance(value, list) else value
