"""The whole step as one CUDA graph: its kernels are recorded once and from then on sent to the GPU at once.

Small networks are bound by the hundreds of kernels that a step launches, not by their arithmetic. Everything random is
drawn outside, in buffers that stay where they are; what the schedules change lies in tensors as well. A step of another
shape is another graph, and where a graph cannot be recorded the plain step goes on.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gancli.config import TrainConfig
from gancli.data.prefetch import Prefetcher
from gancli.text import clean
from gancli.training.iteration import Inputs, Iteration
from gancli.training.step import Numbers

__all__ = ["GraphedIteration", "why_not_graphed"]

_SIGHTINGS = 3  # plain steps before a recording: libraries choose their kernels, optimizers make their state
_MOST_GRAPHS = 6
_MANY = 1000  # shapes seen: some schedules make every step another

Recorder = Callable[[Callable[[], Tensor]], tuple[Callable[[], None], Tensor]]


def why_not_graphed(config: TrainConfig, precision: str, world: int) -> str | None:
    """Why the steps of `config` cannot be recorded; None when they can."""
    if config.networks == "fastgan":
        return "its redrawing loss chooses a quadrant anew at every step"
    if config.is_points:
        return "the toy step is fused by hand"
    if config.grown:
        return "new layers fade in, so every step is another"
    if precision == "fp16":
        return "fp16 asks at every step whether it overflowed"
    return "several processes sum their gradients within the step" if world > 1 else None


@dataclass(frozen=True, kw_only=True)
class _Graph:
    inputs: list[Tensor]
    replay: Callable[[], None]
    numbers: Tensor
    names: list[tuple[str, ...]]


class GraphedIteration(Iteration):
    """`Iteration`, whose updates are recorded after a few plain ones."""

    warm_up = _SIGHTINGS + 3

    def __init__(self, *given: Any, recorder: Recorder | None = None) -> None:
        super().__init__(*given)
        self._graphs: dict[Hashable, _Graph] = {}
        self._seen: Counter[Hashable] = Counter()
        self._places: list[int] = []
        self._fails = False
        is_cuda = self.engine.device.startswith("cuda")
        self._stream = torch.cuda.Stream(self.engine.device) if is_cuda else None  # type: ignore[no-untyped-call]
        self._recorder = recorder or _CudaRecorder(self._stream)

    def _update(self, inputs: Inputs) -> list[Numbers]:
        key = self._key(inputs)
        self._seen[key] += 1
        graph = self._graphs.get(key)
        if graph is None and self._seen[key] > _SIGHTINGS and not self._fails:
            graph = self._record(key, inputs)
        if graph is None:
            return self._plain(inputs)
        for held, now in zip(graph.inputs, _tensors(inputs), strict=True):
            if held is not now:
                held.copy_(now, non_blocking=True)
        if self.step.draws:
            torch.manual_seed(inputs.batches[0].seed)
        graph.replay()
        values = iter(graph.numbers.clone().unbind())
        return [{name: next(values) for name in names} for names in graph.names]

    def _key(self, inputs: Inputs) -> Hashable:
        """All that is fixed in a recording; another value needs another one."""
        optimizers = (self.state.optimizer_g, self.state.optimizer_d)
        places = [value.data_ptr() for o in optimizers for s in o.state.values() for value in s.values()]
        if places != self._places or len(self._seen) > _MANY:
            # loading a checkpoint gives the optimizers new tensors
            self._places = places
            self._graphs.clear()
            self._seen.clear()
        return (
            tuple((tuple(t.shape), t.dtype) for t in _tensors(inputs)),
            (inputs.learns, inputs.measures_norms),
            tuple(o.param_groups[0]["betas"] for o in optimizers),
            self.step.micro_batch,
        )

    def _record(self, key: Hashable, inputs: Inputs) -> _Graph | None:
        if len(self._graphs) >= _MOST_GRAPHS:
            self._graphs.pop(next(iter(self._graphs)))
        if isinstance(self.source, Prefetcher):
            self.source.settle()  # what another thread asks of the GPU would be recorded too, or forbidden
        names: list[tuple[str, ...]] = []

        def work() -> Tensor:
            found = super(GraphedIteration, self)._update(inputs)
            names[:] = [tuple(numbers) for numbers in found]
            return torch.stack([value.detach().float() for numbers in found for value in numbers.values()])

        try:
            with self._capturing():
                replay, numbers = self._recorder(work)
        except RuntimeError as error:
            self._fails = True
            reason = clean(str(error).splitlines()[0] if str(error) else type(error).__name__, 120)
            self.notes.append(f"the step could not be recorded as a CUDA graph ({reason}): going on without")
            return None
        self._graphs[key] = _Graph(inputs=_tensors(inputs), replay=replay, numbers=numbers, names=names)
        return self._graphs[key]

    @contextlib.contextmanager
    def _capturing(self) -> Iterator[None]:
        groups = [g for o in (self.state.optimizer_g, self.state.optimizer_d) for g in o.param_groups]
        self.step.is_captured = True
        for group in groups:
            group["capturable"] = True  # only while recording: torch warns about it elsewhere
        try:
            yield
        finally:
            self.step.is_captured = False
            for group in groups:
                group["capturable"] = False

    def _take_less(self, error: BaseException) -> None:
        if self.step.is_captured:
            raise error  # a recording has no room; the plain step may
        super()._take_less(error)

    def _plain(self, inputs: Inputs) -> list[Numbers]:
        """A step as it is, on the stream that recordings are made on."""
        if self._stream is None:
            return super()._update(inputs)
        now = torch.cuda.current_stream(self.engine.device)
        self._stream.wait_stream(now)
        with torch.cuda.stream(self._stream):
            found = super()._update(inputs)
        now.wait_stream(self._stream)
        return found


class _CudaRecorder:
    """Records on `stream`; all recordings share one pool of memory, since none runs beside another."""

    def __init__(self, stream: torch.cuda.Stream | None) -> None:
        self._stream = stream
        self._pool: Any = None

    def __call__(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            numbers = work()
        return graph.replay, numbers


def _tensors(inputs: Inputs) -> list[Tensor]:
    batches = inputs.batches if inputs.own is None else (*inputs.batches, inputs.own)
    return [tensor for batch in batches for tensor in batch.tensors()]
