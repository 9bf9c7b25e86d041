"""A scrape from start to end: lanes of results, judged, fetched, written down, and counted."""

from __future__ import annotations

import queue
from collections import Counter
from collections.abc import Iterator
from typing import Any

from gancli.scrape.agent import user_agent
from gancli.scrape.config import DEFAULT_COUNT, ScrapeConfig
from gancli.scrape.download import Downloader
from gancli.scrape.forecast import Forecaster
from gancli.scrape.guard import Guard
from gancli.scrape.http import Web
from gancli.scrape.judge import keys_of, objection, rule_for
from gancli.scrape.lanes import Lane, share
from gancli.scrape.plan import providers_of, set_folder
from gancli.scrape.providers import Provider
from gancli.scrape.providers.demo import paint_file
from gancli.scrape.rawset import RawSet
from gancli.scrape.results import DUP, FAIL, OK, SKIP, Finished, Forecast, Notice, Outcome, Result, Started
from gancli.scrape.search import ListStream, Stream
from gancli.scrape.searching import Searching
from gancli.scrape.settled import is_settled
from gancli.scrape.twins import Twins
from gancli.scrape.urllist import check_list, count_list, read_list

__all__ = ["Event", "find", "scrape"]

Event = Started | Outcome | Notice | Forecast | Finished


def scrape(config: ScrapeConfig) -> Iterator[Event]:
    """Fills a raw set and yields what happens: `Started`, an `Outcome` for each result, `Notice`s, `Finished`.

    What an outcome says is in the manifest before it is yielded. Closing the generator early ends the threads and
    writes the credits. Raises `GanError`s.
    """
    folder = set_folder(config)
    providers = providers_of(config)
    if config.has_list:
        check_list(config.list_source)
    with RawSet(folder, label_by_query=config.label_by_query, ignores_optout=config.ignore_optout) as raw_set:
        run = _Run(config, providers, raw_set)
        try:
            yield from run.events()
        finally:
            run.close()


def find(config: ScrapeConfig) -> Iterator[Result | Notice]:
    """The results that a scrape would fetch, at most as many as asked; nothing is fetched, no folder is made."""
    providers = providers_of(config)
    if config.has_list:
        check_list(config.list_source)
    run = _Run(config, providers, None)
    try:
        yield from run.results()
    finally:
        run.close()


class _Run:
    """The state of one start."""

    def __init__(self, config: ScrapeConfig, providers: list[Provider], raw_set: RawSet | None) -> None:
        self._config = config
        self._set = raw_set
        self._events: queue.SimpleQueue[Outcome | Notice | BaseException | None] = queue.SimpleQueue()
        self._notices: list[Notice] = []
        self._handled: set[str] = set()
        self._twins: Twins[tuple[Lane, Stream, Result]] = Twins()
        self._on_the_way: dict[str, tuple[Lane, Stream]] = {}
        self._added = 0
        self._searching = Searching(config, providers, self._events.put)
        self._lanes = self._searching.lanes()
        self._recall()
        self._count = config.count or DEFAULT_COUNT
        if config.has_list and config.count is None:
            self._count = min(DEFAULT_COUNT, count_list(config.list_source))
        self._forecaster = Forecaster(self._lanes, self._count)
        self._fetching = Web(
            Guard(allow_private=config.allow_private),
            user_agent=user_agent(),
            per_host=config.per_host,
            any_port=config.allow_private,
        )
        self._downloader: Downloader | None = None
        if raw_set is not None:
            self._downloader = Downloader(
                config, raw_set, self._fetching, self._events.put, paint_file, self._events.put
            )

    def close(self) -> None:
        """Ends every thread."""
        self._searching.stop()
        if self._downloader is not None:
            self._downloader.close()
        self._searching.close()
        self._fetching.close()

    def _recall(self) -> None:
        """What the set holds already counts for the lanes, and is not fetched again under another address."""
        rows = self._set.rows if self._set is not None else {}
        kept = {url: row for url, row in rows.items() if row.get("status") == OK}
        by_query = Counter(row.get("query") for row in kept.values())
        for lane in self._lanes:
            lane.kept = by_query[lane.query]
        if self._config.has_list and kept:  # of a list, what it names: any list may have filled this set before
            listed = read_list(self._config.list_source, "")
            self._lanes[0].kept = len({result.key for result in listed if result.key in kept})
        for row in kept.values():
            self._twins.remember(row["url"], (*keys_of(Result(url=row["url"])), *row.get("same", ())))

    # ---- the loop -------------------------------------------------------------------------------------------------

    def events(self) -> Iterator[Event]:
        """Everything that happens, to the end."""
        assert self._set is not None
        yield Started(folder=self._set.folder, asked=self._count, kept=self._kept)
        while not self._is_done():
            yield from self._fill()
            if self._is_done():
                break
            yield from self._forecaster.ready()
            yield from self._news(wait_s=0.5)
        yield from self._news(wait_s=0)
        yield self._finished()

    def results(self) -> Iterator[Result | Notice]:
        """What would be fetched, to the end."""
        while not self._is_done():
            progressed = False
            for lane, quota in self._open_lanes():
                while lane.kept < quota and (polled := lane.poll()) is not None:
                    progressed = True
                    _, result = polled
                    if result.key not in self._handled and objection(result, self._config) is None:
                        lane.kept += 1
                        yield result
                    self._handled.add(result.key)
            if not progressed:
                for event in self._news(wait_s=0.5):
                    if isinstance(event, Notice):
                        yield event
        for event in self._news(wait_s=0):
            if isinstance(event, Notice):
                yield event

    @property
    def _kept(self) -> int:
        return sum(lane.kept for lane in self._lanes)

    def _is_done(self) -> bool:
        if self._kept >= self._count:
            return True
        return all(lane.ended for lane in self._lanes) and not self._twins.is_holding

    def _open_lanes(self) -> Iterator[tuple[Lane, int]]:
        yield from zip(self._lanes, share(self._count, self._lanes), strict=True)

    def _fill(self) -> Iterator[Outcome]:
        """Sends on as many results as may be on their way."""
        for lane, quota in self._open_lanes():
            while lane.kept + lane.in_flight < quota and (polled := lane.poll()) is not None:
                stream, result = polled
                outcome = self._consider(lane, stream, result)
                if outcome is not None:
                    yield outcome

    def _consider(self, lane: Lane, stream: Stream, result: Result, *, again: bool = False) -> Outcome | None:
        """Fetches `result`, or holds it back, or gives the outcome it has already. Nothing for what is settled."""
        assert self._set is not None
        if result.key in self._handled:
            return None
        self._handled.add(result.key)
        row = self._set.rows.get(result.key)
        if row is not None and is_settled(row, self._config, rule_for(result.provider, self._config)):
            return None
        reason = objection(result, self._config)
        if not again:
            self._forecaster.note(lane, result.provider, is_usable=reason is None)
        if reason is not None:
            return self._decide(result, SKIP, reason)
        twin = self._twins.find(result)
        if twin is not None:
            if twin[0].startswith(f"{result.provider}:"):
                return None  # the site's own number: the same picture under an address that changes daily
            self._twins.remember(twin[1], keys_of(result))
            return self._decide(result, DUP, "same picture at another address", duplicate_of=twin[1])
        if not self._twins.hold(result, (lane, stream, result)):
            self._send(lane, stream, result)
        return None

    def _send(self, lane: Lane, stream: Stream, result: Result) -> None:
        assert self._downloader is not None
        lane.in_flight += 1
        stream.in_flight += 1
        self._on_the_way[result.key] = (lane, stream)
        self._twins.send(result)
        self._downloader.submit(result)

    def _decide(self, result: Result, status: str, reason: str, **more: Any) -> Outcome:
        assert self._set is not None
        outcome = Outcome(status=status, reason=reason, result=result, more=more)
        self._set.record(outcome)
        return outcome

    def _news(self, wait_s: float) -> Iterator[Outcome | Notice]:
        """What threads have reported, waiting for the first of it."""
        try:
            event = self._events.get(timeout=wait_s) if wait_s else self._events.get_nowait()
            while True:
                if isinstance(event, BaseException):
                    raise event
                if isinstance(event, Notice):
                    self._notices.append(event)
                    yield event
                elif event is not None:
                    yield event
                    yield from self._settle(event)
                event = self._events.get_nowait()
        except queue.Empty:
            return

    def _settle(self, outcome: Outcome) -> Iterator[Outcome]:
        """Counts a fetched outcome and decides about those that were held back for it."""
        lane, stream = self._on_the_way.pop(outcome.result.key)
        lane.in_flight -= 1
        stream.in_flight -= 1
        if outcome.status == OK:
            lane.kept += 1
            self._added += 1
        waiting = self._twins.settle(outcome.result, is_there=outcome.status in (OK, DUP))
        for other_lane, other_stream, result in waiting:
            self._handled.discard(result.key)
            decided = self._consider(other_lane, other_stream, result, again=True)
            if decided is not None:
                yield decided

    def _finished(self) -> Finished:
        assert self._set is not None
        queries = {lane.query for lane in self._lanes}
        left_out: Counter[str] = Counter()
        for row in self._set.rows.values():
            if row.get("query") in queries and row.get("status") in (DUP, SKIP, FAIL):
                left_out[str(row.get("reason") or row["status"])] += 1
        return Finished(
            folder=self._set.folder,
            asked=self._count,
            kept=self._kept,
            added=self._added,
            left_out=dict(left_out.most_common()),
            untried=self._count_untried(),
            notices=tuple(self._notices),
            requests=self._fetching.requests,
            bytes=self._fetching.bytes,
        )

    def _count_untried(self) -> int:
        """How many addresses of the list have no outcome."""
        assert self._set is not None
        streams = (stream for lane in self._lanes for stream in lane.streams if isinstance(stream, ListStream))
        return len({result.key for stream in streams for result in stream.rest()} - self._set.rows.keys())
