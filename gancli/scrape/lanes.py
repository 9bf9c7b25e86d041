"""A lane for each query: whose turn it is, and how many pictures each may have."""

from __future__ import annotations

from collections.abc import Sequence

from gancli.scrape.results import Result
from gancli.scrape.search import Stream

__all__ = ["Lane", "share"]


class Lane:
    """One query: its streams in turn, how many pictures it has (`kept`) and how many are on their way."""

    def __init__(self, query: str, streams: Sequence[Stream], kept: int, *, look_ahead: int) -> None:
        self.query = query
        self.streams = list(streams)
        self.kept = kept
        self.in_flight = 0
        self._look_ahead = look_ahead
        self._turn = 0

    @property
    def ended(self) -> bool:
        """Will there be no more results, and is none on its way?"""
        return self.in_flight == 0 and all(stream.ended for stream in self.streams)

    def poll(self) -> tuple[Stream, Result] | None:
        """The next result of the streams in turn, from one with room for another; None when there is none now."""
        for _ in range(len(self.streams)):
            stream = self.streams[self._turn]
            self._turn = (self._turn + 1) % len(self.streams)
            if stream.in_flight >= self._look_ahead or stream.ended:
                continue
            result = stream.poll()
            if result is not None:
                return stream, result
        return None


def share(count: int, lanes: Sequence[Lane]) -> list[int]:
    """How many each lane may keep: even, what an ended lane cannot give spread over the others, `count` in total.

    A lane is never given less than it has; the sum may then be more than `count`, and nothing is added.
    """
    given = [lane.kept + lane.in_flight for lane in lanes]
    open_lanes = [i for i, lane in enumerate(lanes) if not lane.ended]
    left = count - sum(given)
    while left > 0 and open_lanes:
        lowest = min(open_lanes, key=lambda i: given[i])
        level = [i for i in open_lanes if given[i] == given[lowest]]
        higher = [given[i] for i in open_lanes if given[i] > given[lowest]]
        step = (
            min((higher[0] if len(higher) == 1 else min(higher)) - given[lowest], left // len(level))
            if higher
            else left // len(level)
        )
        if step == 0:
            for i in level[:left]:
                given[i] += 1
            break
        for i in level:
            given[i] += step
        left -= step * len(level)
    return given
