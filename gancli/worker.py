"""The child process of `gancli.pool`: reads batches of work from stdin, answers one by one on stdout.

It is bounded in memory, ignores Ctrl-C (the parent decides), and whatever a library prints does not reach the pipe.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
from collections.abc import Callable
from typing import Any

from gancli.errors import DiskError
from gancli.images import ImageError
from gancli.pool import Failure

__all__ = ["answer", "main"]

_MEMORY_BYTES = 6 << 30


def main() -> None:
    """Answers until stdin ends."""
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory()
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        while True:
            try:
                job, setup, batch = pickle.load(sys.stdin.buffer)
            except EOFError:
                return
            for item in batch:
                words = pickle.dumps(answer(job, setup, item), pickle.HIGHEST_PROTOCOL)
                answers.write(len(words).to_bytes(4, "little") + words)
                answers.flush()


def answer(job: Callable[[Any, Any], Any], setup: Any, item: Any) -> Any:
    """What `job` finds about one item: its result, a `Failure`, or the `DiskError` that stops everything."""
    try:
        return job(setup, item)
    except ImageError as error:
        return Failure(error.reason)
    except DiskError as error:
        return error
    except MemoryError:
        return Failure("too large")
    except Exception as error:  # noqa: BLE001 - one bad file never stops the rest
        return Failure(f"cannot be used ({type(error).__name__})")


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:
        return
    with contextlib.suppress(ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = _MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(hard, _MEMORY_BYTES)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


if __name__ == "__main__":
    main()
