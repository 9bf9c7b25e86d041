"""When to ask again: which answers pass, and how long a site asks to wait."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["MAX_TRIES", "RETRY_STATUSES", "backoff_s", "retry_after_s"]

MAX_TRIES = 4
RETRY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, *range(520, 525)})
_BACKOFF_S, _MAX_BACKOFF_S = 0.5, 30.0


def backoff_s(tries: int) -> float:
    """A pause after `tries` failures: doubling from half a second, full jitter, 30 seconds at most."""
    return random.uniform(0, min(_MAX_BACKOFF_S, _BACKOFF_S * 2**tries))


def retry_after_s(value: str) -> float | None:
    """The seconds that a Retry-After header asks to wait (a number or an HTTP date); None when it says nothing."""
    value = value.split(",")[0].strip() if value[:1].isdigit() else value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
