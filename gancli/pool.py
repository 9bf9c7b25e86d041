"""Worker processes for work on untrusted files: a time limit for each file, and a crash costs one file.

The workers are plain child interpreters that talk pickles over their pipes, so that a script without a main guard,
a thread in the parent or the start method of multiprocessing cannot matter. A thread of the parent minds each.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, TypeVar

__all__ = ["Failure", "Pool", "num_cpus"]

_Setup = TypeVar("_Setup")
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_Job = Callable[[Any, Any], Any]
_AHEAD = 8
_LULL_S = 4e-5  # for each item of a batch
_Results = queue.SimpleQueue[list[tuple[int, Any]] | BaseException]


@dataclass(frozen=True)
class Failure:
    """What a worker could not do: 'took too long', 'crashed the decoder', or why the file cannot be used."""

    reason: str


def num_cpus() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool:
    """At most `workers` child processes, started when they are first needed and stopped by `close`.

    With 0 workers everything happens in this process, without a time limit: for files that are trusted.
    """

    def __init__(self, workers: int, time_limit_s: float = 60.0) -> None:
        self.workers = workers
        self._minders: list[_Minder] = []
        self._time_limit_s = time_limit_s
        self._closed = threading.Event()
        self._watchdog: threading.Thread | None = None

    def run(
        self, job: Callable[[_Setup, _Item], _Result], setup: _Setup, items: Sequence[_Item], *, batch: int = 16
    ) -> Iterator[tuple[int, _Result | Failure]]:
        """Does `job`, a function at the top of a module, for each item; yields (index, what came of it) as they come.

        A worker is given `batch` items at a time. A `DiskError` of one stops everything and is raised here.
        """
        if self.workers < 1:
            from gancli.worker import answer

            for index, item in enumerate(items):
                result = answer(job, setup, item)
                if isinstance(result, BaseException):
                    raise result
                yield index, result
            return
        results: _Results = queue.SimpleQueue()
        stop = threading.Event()
        starts = iter(range(0, len(items), batch))
        lock = threading.Lock()
        room = threading.Semaphore(_AHEAD * self.workers)  # no more is done than whoever asked has taken

        def next_batch() -> range | None:
            room.acquire()
            with lock:
                start = None if stop.is_set() else next(starts, None)
            return None if start is None else range(start, min(start + batch, len(items)))

        minders = self._ready(min(self.workers, -(-len(items) // batch)))
        threads = [
            threading.Thread(target=minder.work, args=(job, setup, items, next_batch, results), daemon=True)
            for minder in minders
        ]
        done = 0
        try:
            for thread in threads:
                thread.start()
            while done < len(items):
                handful = results.get()
                if isinstance(handful, BaseException):
                    raise handful
                for index, result in handful:
                    if isinstance(result, BaseException):
                        raise result
                    done += 1
                    if done % batch == 0:
                        room.release()
                    yield index, result
        finally:
            stop.set()
            room.release(len(threads) + 1)
            if done < len(items):
                self.close()
            for thread in threads:
                thread.join()

    def _ready(self, count: int) -> list[_Minder]:
        if self._watchdog is None:
            self._watchdog = threading.Thread(target=self._watch, daemon=True)
            self._watchdog.start()
        while len(self._minders) < count:
            self._minders.append(_Minder(self._time_limit_s))
        return self._minders[:count]

    def _watch(self) -> None:
        while not self._closed.wait(0.2):
            for minder in list(self._minders):
                minder.stop_if_overdue()

    def close(self) -> None:
        """Stops every worker at once."""
        self._closed.set()
        for minder in self._minders:
            minder.stop()
        if self._watchdog is not None:
            self._watchdog.join()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Minder:
    """One child process and what it is busy with; started again when it had to be killed or died."""

    def __init__(self, time_limit_s: float) -> None:
        self._time_limit_s = time_limit_s
        self._process: subprocess.Popen[bytes] | None = None
        self._received = bytearray()
        self._deadline = float("inf")
        self._overdue = self._stopped = False

    def work(
        self, job: _Job, setup: Any, items: Sequence[Any], next_batch: Callable[[], range | None], results: _Results
    ) -> None:
        try:
            while (batch := next_batch()) is not None:
                left = list(batch)
                while left and not self._stopped:
                    self._do(job, setup, [items[i] for i in left], left, results)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that asked
            results.put(error)

    def _do(self, job: _Job, setup: Any, batch: list[Any], left: list[int], results: _Results) -> None:
        """Sends what is left of a batch and takes the answers; a death is the fault of the first without one."""
        process = self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            self._deadline = time.monotonic() + self._time_limit_s + 30  # a fresh interpreter may be slow to start
            pickle.dump((job, setup, batch), process.stdin)
            process.stdin.flush()
            while left:
                handful = self._answers(process.stdout, len(batch) * _LULL_S)
                self._deadline = time.monotonic() + self._time_limit_s
                results.put([(left.pop(0), answer) for answer in handful])
        except (EOFError, OSError):
            self._end()
            if left and not self._stopped:
                results.put([(left.pop(0), Failure("took too long" if self._overdue else "crashed the decoder"))])
        finally:
            self._deadline = float("inf")

    def _answers(self, pipe: IO[bytes], lull_s: float) -> list[Any]:
        """Those that have come after a lull, at least one.

        To be woken for each would cost both sides as much as a small picture does.
        """
        answers: list[Any] = []
        while not answers:
            time.sleep(lull_s)
            piece = os.read(pipe.fileno(), 1 << 20)
            if not piece:
                raise EOFError
            self._received += piece
            while len(self._received) >= (end := 4 + int.from_bytes(self._received[:4], "little")):
                answers.append(pickle.loads(self._received[4:end]))
                del self._received[:end]
        return answers

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._overdue = False
            self._received.clear()
            places = [os.path.abspath(place) for place in sys.path]
            environment = {
                **os.environ,
                "PYTHONPATH": os.pathsep.join(dict.fromkeys(places)),
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
            }
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "gancli.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
        return self._process

    def stop_if_overdue(self) -> None:
        if time.monotonic() > self._deadline:
            self._overdue = True
            self._kill()

    def stop(self) -> None:
        self._stopped = True
        self._kill()
        self._end()

    def _kill(self) -> None:
        process = self._process
        if process is not None:
            with contextlib.suppress(OSError):
                process.kill()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
