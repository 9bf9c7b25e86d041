"""How many pictures a query can yield, said early: what the sites claim to have, less what was unusable so far."""

from __future__ import annotations

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
        self._judged: Counter[str] = Counter()
        self._usable: Counter[str] = Counter()

    def note(self, lane: Lane, *, is_usable: bool) -> None:
        """A result of `lane` has been judged."""
        self._judged[lane.query] += 1
        self._usable[lane.query] += is_usable

    def ready(self) -> Iterator[Forecast]:
        """The forecasts that can be made now, each once."""
        for lane in list(self._waiting):
            streams = [s for s in lane.streams if isinstance(s, SearchStream) and not s.provider.is_local]
            if not streams:
                self._waiting.remove(lane)
            elif self._judged[lane.query] and all(_is_known(stream) for stream in streams):
                self._waiting.remove(lane)
                yield self._forecast(lane, streams)

    def _forecast(self, lane: Lane, streams: list[SearchStream]) -> Forecast:
        """Usable share times reach, less the share that several providers have both given (capture and recapture)."""
        reach = sum(_reach(stream) for stream in streams)
        seen = sum(stream.seen for stream in streams)
        fresh = sum(stream.found for stream in streams) / seen if seen else 1.0
        about = int(reach * fresh * self._usable[lane.query] / self._judged[lane.query])
        is_short = about < self._count / self._lanes
        return Forecast(
            query=lane.query, about=about, variants=variants_of(lane.query)[:_NAMED_VARIANTS] if is_short else ()
        )


def _is_known(stream: SearchStream) -> bool:
    return stream.ended or stream.pages >= (1 if stream.total is not None else _PAGES)


def _reach(stream: SearchStream) -> int:
    """How many results the plain query can give at this provider."""
    if stream.plain_ended:
        return stream.plain_found
    most = stream.provider.max_results
    return most if stream.total is None else min(stream.total, most)
