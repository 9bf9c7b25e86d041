"""How many pictures a query can yield, said early and not too high.

A site says how many results it has; of the first of these it is known how many are usable (their licence, their size)
and how many another site gave as well. The usable share is carried over to the rest, and the overlap by capture and
recapture: if the first n of A and the first m of B have k in common, all of A and all of B have k (A / n) (B / m).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

from gancli.scrape.lanes import Lane
from gancli.scrape.plan import variants_of
from gancli.scrape.results import Forecast
from gancli.scrape.search import SearchStream

__all__ = ["Forecaster"]

_PAGES = 2
_NAMED_VARIANTS = 3


class Forecaster:
    """Watches lanes and, once each of a lane's providers has given its first pages, says what to expect of it."""

    def __init__(self, lanes: Sequence[Lane], count: int) -> None:
        self._waiting = [lane for lane in lanes if any(isinstance(s, SearchStream) for s in lane.streams)]
        self._count = count
        self._lanes = len(lanes)
        self._judged: Counter[tuple[str, str]] = Counter()
        self._usable: Counter[tuple[str, str]] = Counter()

    def note(self, lane: Lane, provider: str, *, is_usable: bool) -> None:
        """A result of `provider` in `lane` has been judged."""
        self._judged[lane.query, provider] += 1
        self._usable[lane.query, provider] += is_usable

    def ready(self) -> Iterator[Forecast]:
        """The forecasts that can be made now, each once."""
        for lane in list(self._waiting):
            streams = [s for s in lane.streams if isinstance(s, SearchStream) and not s.provider.is_local]
            if not streams:
                self._waiting.remove(lane)
            elif all(self._is_known(lane, stream) for stream in streams):
                self._waiting.remove(lane)
                if any(stream.plain for stream in streams):
                    yield self._forecast(lane, streams)

    def _is_known(self, lane: Lane, stream: SearchStream) -> bool:
        has_pages = stream.plain_ended or stream.pages >= (1 if stream.total is not None else _PAGES)
        return has_pages and (self._judged[lane.query, stream.name] > 0 or not stream.found)

    def _forecast(self, lane: Lane, streams: list[SearchStream]) -> Forecast:
        said = {stream: reach for stream in streams if (reach := _reach(stream)) is not None}
        share = {stream: self._share(lane, stream) for stream in said}
        alone = [reach * share[stream] for stream, reach in said.items()]
        overlap, known = 0.0, 0
        for one, other in itertools.combinations(said, 2):
            both = one.shared[other.name] + other.shared[one.name]
            known += both
            if both:
                expected = both * (said[one] / one.plain) * (said[other] / other.plain)
                overlap += min(expected, said[one], said[other]) * min(share[one], share[other])
        unusable = sum(self._judged[lane.query, stream.name] - self._usable[lane.query, stream.name] for stream in said)
        at_most = max(0, sum(said.values()) - max(unusable, known))  # a copy may be the unusable one of the two
        about = min(at_most, round(max([sum(alone) - overlap, *alone])) if alone else 0)
        is_short = len(said) == len(streams) and about < self._count / self._lanes
        return Forecast(
            query=lane.query,
            about=about,
            at_most=at_most,
            unsaid=tuple(stream.name for stream in streams if stream not in said),
            variants=variants_of(lane.query)[:_NAMED_VARIANTS] if is_short else (),
        )

    def _share(self, lane: Lane, stream: SearchStream) -> float:
        """How much of what `stream` gave was usable."""
        judged = self._judged[lane.query, stream.name]
        return self._usable[lane.query, stream.name] / judged if judged else 1.0


def _reach(stream: SearchStream) -> int | None:
    """How many results the query itself can give at this provider, None while nobody knows."""
    if stream.plain_ended:
        return stream.plain
    return None if stream.total is None else max(stream.plain, min(stream.total, stream.provider.max_results))
