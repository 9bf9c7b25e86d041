"""Claims about the worker processes: one bad item costs itself, and says why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from gancli.errors import DiskError
from gancli.images import ImageError
from gancli.pool import Failure, Pool


def square(bad: dict[int, str], item: int) -> int:
    """The job of these tests; `bad` says which items do what instead of being squared."""
    match bad.get(item):
        case "hang":
            time.sleep(600)
        case "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        case "refuse":
            raise ImageError("not a picture")
        case "stumble":
            raise KeyError(item)
        case "full":
            raise DiskError("the disk is full")
        case "print":
            print("library talk")
            sys.stderr.write("library talk")
    return item * item


def done(workers: int, bad: dict[int, str], count: int = 40, time_limit_s: float = 60) -> list[object]:
    with Pool(workers, time_limit_s) as pool:
        results = dict(pool.run(square, bad, range(count)))
    return [results[index] for index in range(count)]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_every_item_is_answered_whatever_the_number_of_workers(workers: int) -> None:
    bad = {3: "refuse", 20: "stumble", 21: "print"}
    expected: list[object] = [index * index for index in range(40)]
    expected[3], expected[20] = Failure("not a picture"), Failure("cannot be used (KeyError)")
    assert done(workers, bad) == expected


def test_an_item_that_hangs_costs_only_itself() -> None:
    expected: list[object] = [index * index for index in range(40)]
    expected[5] = Failure("took too long")
    assert done(1, {5: "hang"}, time_limit_s=1.5) == expected


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no way to crash a process here")
def test_an_item_that_crashes_the_worker_costs_only_itself() -> None:
    expected: list[object] = [index * index for index in range(40)]
    expected[5] = expected[16] = Failure("crashed the decoder")
    assert done(2, {5: "crash", 16: "crash"}) == expected


@pytest.mark.parametrize("workers", [0, 1])
def test_a_full_disk_stops_everything(workers: int) -> None:
    with pytest.raises(DiskError, match="disk is full"):
        done(workers, {7: "full"})


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="asks /proc for children")
def test_who_leaves_early_leaves_no_process_behind() -> None:
    script = (
        "import os, test_pool\nfrom gancli.pool import Pool\npool = Pool(2)\n"
        "found = pool.run(test_pool.square, {}, range(400))\nnext(found)\nfound.close()\n"
        "children = open(f'/proc/self/task/{os.getpid()}/children').read().split()\nassert not children, children"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])}
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, env=environment)
