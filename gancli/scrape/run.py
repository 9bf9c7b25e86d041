"""A scrape from start to end: lanes of results, judged, fetched, written down, and counted."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

from gancli.scrape.agent import user_agent
from gancli.scrape.ask import Asker, missing_key, near_endpoints
from gancli.scrape.config import DEFAULT_COUNT, ScrapeConfig
from gancli.scrape.download import Downloader
from gancli.scrape.forecast import Forecaster
from gancli.scrape.guard import Guard
from gancli.scrape.http import Web
from gancli.scrape.judge import keys_of, objection, rule_for
from gancli.scrape.lanes import Lane, share
from gancli.scrape.plan import providers_of, searches, set_folder, set_name
from gancli.scrape.providers import Provider
from gancli.scrape.providers.demo import paint_file
from gancli.scrape.rawset import RawSet
from gancli.scrape.results import DUP, FAIL, OK, SKIP, Finished, Forecast, Notice, Outcome, Result, Started
from gancli.scrape.search import ListStream, SearchStream, Stream
from gancli.scrape.settled import is_settled
from gancli.scrape.urllist import check_list, read_list

__all__ = ["Event", "find", "scrape"]

Event = Started | Outcome | Notice | Forecast | Finished

_LIST_AHEAD = 1024


def scrape(config: ScrapeConfig) -> Iterator[Event]:
    """Fills a raw set and yields what happens: `Started`, an `Outcome` for each result, `Notice`s, `Finished`.

    What an outcome says is in the manifest before it is yielded. Closing the generator early ends the threads and
    writes the credits. Raises `GanError`s.
    """
    folder = set_folder(config)
    providers = providers_of(config)
    if config.urls is not None:
        check_list(config.urls)
    with RawSet(folder, label_by_query=config.label_by_query, ignores_optout=config.ignore_optout) as raw_set:
        run = _Run(config, providers, raw_set)
        try:
            yield from run.events()
        finally:
            run.close()


def find(config: ScrapeConfig) -> Iterator[Result | Notice]:
    """The results that a scrape would fetch, at most as many as asked; nothing is fetched, no folder is made."""
    providers = providers_of(config)
    if config.urls is not None:
        check_list(config.urls)
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
        self._stop = threading.Event()
        self._events: queue.SimpleQueue[Outcome | Notice | BaseException | None] = queue.SimpleQueue()
        self._notices: list[Notice] = []
        self._handled: set[str] = set()
        self._known: dict[str, str] = {}
        self._held: dict[str, list[tuple[Lane, Stream, Result]]] = {}
        self._on_the_way: dict[str, tuple[Lane, Stream]] = {}
        self._added = 0
        endpoint_guard = Guard(allow_private=config.allow_private, trusted=near_endpoints(config.endpoints))
        agent = user_agent()
        self._asking = Web(endpoint_guard, user_agent=agent, any_port=True)
        self._asker = Asker(self._asking, config.endpoints, self._stop)
        self._fetching = Web(
            Guard(allow_private=config.allow_private),
            user_agent=agent,
            per_host=config.per_host,
            any_port=config.allow_private,
        )
        self._streams: list[SearchStream] = []
        self._lanes = self._make_lanes(providers)
        self._count = config.count or (None if config.has_list else DEFAULT_COUNT)
        self._forecaster = Forecaster(self._lanes, self._count)
        self._downloader: Downloader | None = None
        if raw_set is not None:
            self._downloader = Downloader(
                config, raw_set, self._fetching, self._events.put, paint_file, self._events.put
            )

    def close(self) -> None:
        """Ends every thread."""
        self._stop.set()
        self._asking.interrupt()
        if self._downloader is not None:
            self._downloader.close()
        for stream in self._streams:
            stream.close()
        self._asking.close()
        self._fetching.close()

    # ---- lanes ----------------------------------------------------------------------------------------------------

    def _make_lanes(self, providers: list[Provider]) -> list[Lane]:
        config = self._config
        if config.has_list:
            name = set_name(config)
            source = config.urls if config.urls is not None else config.url_lines or ()
            lanes = [Lane(name, [ListStream(read_list(source, name))], 0, look_ahead=_LIST_AHEAD)]
        else:
            lanes = []
            for number, query in enumerate(dict.fromkeys(config.queries)):
                streams = self._make_streams(query, config.also if number == 0 else (), providers)
                lanes.append(Lane(query, streams, 0, look_ahead=max(32, 2 * config.workers)))
        by_query = {lane.query: lane for lane in lanes}
        for row in self._set.rows.values() if self._set is not None else ():
            if row.get("status") != OK:
                continue
            if row.get("query") in by_query:
                by_query[row["query"]].kept += 1
            for key in (*keys_of(Result(url=row["url"])), *_texts(row.get("same"))):
                self._known[key] = row["url"]
        return lanes

    def _make_streams(self, query: str, also: tuple[str, ...], providers: list[Provider]) -> list[Stream]:
        seen: set[str] = set()
        streams: list[SearchStream] = []
        for provider in providers:
            problem = missing_key(provider)
            if problem is not None:
                self._notice(Notice(provider=provider.name, query=query, kind=problem.kind, message=str(problem)))
                continue
            stream = SearchStream(
                provider,
                searches(provider, query, also, self._config),
                self._asker,
                seen=seen,
                stop=self._stop,
                wake=lambda: self._events.put(None),
                notify=self._events.put,
            )
            streams.append(stream)
        self._streams += streams
        return list(streams)

    def _notice(self, notice: Notice) -> None:
        self._events.put(notice)

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
        if self._count is not None and self._kept >= self._count:
            return True
        return all(lane.ended for lane in self._lanes) and not self._held

    def _open_lanes(self) -> Iterator[tuple[Lane, float]]:
        if self._count is None:
            yield from ((lane, float("inf")) for lane in self._lanes)
        else:
            yield from zip(self._lanes, share(self._count, self._lanes), strict=True)

    def _fill(self) -> Iterator[Outcome]:
        """Sends on as many results as may be on their way."""
        for lane, quota in self._open_lanes():
            while lane.kept + lane.in_flight < quota and (polled := lane.poll()) is not None:
                stream, result = polled
                outcome = self._consider(lane, stream, result)
                if outcome is not None:
                    yield outcome

    def _consider(self, lane: Lane, stream: Stream, result: Result) -> Outcome | None:
        """Fetches `result`, or holds it back, or gives the outcome it has already. Nothing for what is settled."""
        assert self._set is not None
        if result.key in self._handled:
            return None
        self._handled.add(result.key)
        row = self._set.rows.get(result.key)
        if row is not None and is_settled(row, self._config, rule_for(result.provider, self._config)):
            return None
        reason = objection(result, self._config)
        self._forecaster.note(lane, is_usable=reason is None)
        if reason is not None:
            return self._decide(result, SKIP, reason)
        for key in keys_of(result):
            if key in self._known and key.startswith(f"{result.provider}:"):
                return None  # the site's own number: the same picture under an address that changes daily
            if key in self._known:
                return self._decide(result, DUP, "same picture at another address", duplicate_of=self._known[key])
            if key in self._held:
                self._held[key].append((lane, stream, result))
                return None
        self._send(lane, stream, result)
        return None

    def _send(self, lane: Lane, stream: Stream, result: Result) -> None:
        assert self._downloader is not None
        lane.in_flight += 1
        stream.in_flight += 1
        self._on_the_way[result.key] = (lane, stream)
        for key in keys_of(result):
            self._held.setdefault(key, [])
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
        waiting: list[tuple[Lane, Stream, Result]] = []
        for key in keys_of(outcome.result):
            waiting += self._held.pop(key, [])
            if outcome.status in (OK, DUP):
                self._known[key] = outcome.result.key
        for other_lane, other_stream, result in waiting:
            self._handled.discard(result.key)
            decided = self._consider(other_lane, other_stream, result)
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
            notices=tuple(self._notices),
            requests=self._fetching.requests,
            bytes=self._fetching.bytes,
        )


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
