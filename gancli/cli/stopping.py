"""Ctrl-C once stops at the next step with everything saved, twice at once; SIGTERM is a polite Ctrl-C."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Stopper"]


class Stopper:
    """Call it to ask whether to stop; a context that takes the signals and gives them back."""

    def __init__(self) -> None:
        self.stopped = False
        self._before: dict[int, Any] = {}
        self._stopped_at = 0.0
        # torchrun passes on the Ctrl-C that the terminal has sent to each process already
        self._echo_s = 2.0 if int(os.environ.get("WORLD_SIZE", "1") or 1) > 1 else 0.0

    def __call__(self) -> bool:
        return self.stopped

    def __enter__(self) -> Stopper:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.stopped and time.monotonic() - self._stopped_at >= self._echo_s:
            raise KeyboardInterrupt
        if not self.stopped:
            self.stopped, self._stopped_at = True, time.monotonic()
