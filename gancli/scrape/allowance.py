"""What a provider gives in a day, counted over every start on this computer."""

from __future__ import annotations

import contextlib
import hashlib
import time

from filelock import FileLock, Timeout

from gancli.errors import DiskError
from gancli.files import write_text
from gancli.scrape.pagecache import cache_folder

__all__ = ["wait_for_allowance"]

DAY_S = 24 * 3600.0


def wait_for_allowance(endpoint: str, per_day: int) -> float:
    """Counts one more request to `endpoint`, and returns 0; or counts none, and returns the seconds until it may be.

    A day is the last 24 hours, as the sites count it. Where the count cannot be kept nothing is held back: the site
    counts too, and says so.
    """
    path = cache_folder() / "scrape" / f"{hashlib.sha256(endpoint.encode()).hexdigest()[:16]}.day"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=5):
            now = time.time()
            times: list[float] = []
            with contextlib.suppress(OSError, ValueError):
                times = [float(line) for line in path.read_text(encoding="utf-8").split()]
            times = sorted(when for when in times if now - DAY_S < when <= now)
            if len(times) >= per_day:
                return times[-per_day] + DAY_S - now
            write_text(path, "\n".join(str(int(when)) for when in (*times, now)) + "\n")
    except (OSError, Timeout, DiskError):
        pass
    return 0.0
