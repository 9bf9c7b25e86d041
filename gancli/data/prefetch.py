"""The next batch on its way to a GPU while the device is busy with this one."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import torch

from gancli.data.batches import Batch, BatchSource

__all__ = ["Prefetcher"]

_Key = tuple[str, int, int, float | None]  # whose batch, nimg, draw, chance of an augmentation
_Fetched = tuple[Batch, torch.cuda.Event | None]


class Prefetcher:
    """Gives what `source` gives, and draws the batch that follows in a thread, on a stream of its own.

    A batch is a pure function of its position, so one drawn too early is the one that would have been drawn; a guess
    that was wrong (another `draw`, another chance) is thrown away.
    """

    def __init__(self, source: BatchSource, *, batch_size: int, d_steps: int) -> None:
        self._source = source
        self._strides = {"d": batch_size, "g": batch_size * d_steps}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
        self._stream = torch.cuda.Stream(source.device) if source.device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._coming: dict[str, tuple[_Key, Future[_Fetched]]] = {}

    def discriminator_batch(self, nimg: int, draw: int, augment_p: float | None = None) -> Batch:
        """As `BatchSource.discriminator_batch`."""
        return self._take(("d", nimg, draw, augment_p))

    def generator_batch(self, nimg: int, draw: int, augment_p: float | None = None) -> Batch:
        """As `BatchSource.generator_batch`."""
        return self._take(("g", nimg, draw, augment_p))

    def settle(self) -> None:
        """Waits until the thread has nothing to do."""
        for _, future in self._coming.values():
            future.exception()

    def _take(self, key: _Key) -> Batch:
        who, nimg, draw, p = key
        guess, future = self._coming.pop(who, (None, None))
        if future is None or guess != key:
            future = self._thread.submit(self._fetch, key)
        batch, ready = future.result()
        following = (who, nimg + self._strides[who], draw, p)
        self._coming[who] = (following, self._thread.submit(self._fetch, following))
        if ready is not None:
            now = torch.cuda.current_stream(self._source.device)
            now.wait_event(ready)
            for tensor in batch.tensors():
                tensor.record_stream(now)  # its memory is not given away before this stream has read it
        return batch

    def _fetch(self, key: _Key) -> _Fetched:
        who, nimg, draw, p = key
        draw_batch = self._source.discriminator_batch if who == "d" else self._source.generator_batch
        if self._stream is None:
            return draw_batch(nimg, draw, p), None
        with torch.cuda.stream(self._stream):
            batch = draw_batch(nimg, draw, p)
            return batch, self._stream.record_event()
